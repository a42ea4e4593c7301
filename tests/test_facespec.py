"""What a spec says of faces, of what is kept and of limits, and what is said of a wrong one."""

import pytest

from generator.errors import SpecError
from generator.facespec import FACES, FacesSpec, VisualizationSpec
from generator.spec import json_schema, load_spec

GOOD = """\
title: A title
models:
  - name: one
    source: bundled
"""


def load(folder, text):
    path = folder / "atlas.yaml"
    path.write_text(text)
    return load_spec(path)


def faces(folder, text, own=""):
    """The faces of a spec's only model."""
    spec = load(folder, GOOD + (f"    faces: {own}\n" if own else "") + (f"faces: {text}\n" if text else ""))
    return spec.faces_of(spec.models[0])


def problems(folder, text):
    """The lines of a wrong spec, from the line number on."""
    with pytest.raises(SpecError) as caught:
        load(folder, text)
    assert all("\n" not in line for line in caught.value.lines)
    return [line.removeprefix(f"{folder / 'atlas.yaml'}:") for line in caught.value.lines]


def test_a_spec_that_says_nothing_has_weights_and_pixels_and_what_comes_with_the_model(tmp_path):
    spec = load(tmp_path, GOOD)
    said = spec.faces_of(spec.models[0])
    assert (said.pixels, said.classes, said.visualization.kind, said.bytes) == ("auto", 5, "bundled", 12288)
    assert said.of("conv1") == ("weights", "pixels", "visualization")
    assert (spec.pages, spec.cache.folder, spec.cache.limit, spec.cache.address) == (
        "per-neuron", ".atlas-cache", 10 * 10**9, "",
    )  # fmt: skip
    assert (spec.budget.bytes, spec.budget.files, spec.budget.seconds, spec.budget.memory) == (0, 0, 0, 0)


def test_a_model_changes_only_what_it_names(tmp_path):
    top = "{pixels: none, bytes: 20 KB, visualization: {kind: make, size: 128, steps: 7}, pictures: 'a/{unit}.png'}"
    said = faces(tmp_path, top, "{pixels: all, visualization: {size: 32}, pictures: none}")
    assert (said.pixels, said.bytes, said.pictures.path) == ("all", 20_000, "none")
    assert said.visualization == VisualizationSpec(kind="make", size=32, steps=7)
    assert said.of("x") == ("weights", "pixels", "visualization")


def test_text_stands_for_a_mapping(tmp_path):
    said = faces(tmp_path, "{images: photos.zip, pictures: icons.csv, visualization: make}")
    assert (said.images.path, said.images.top, said.pictures.path) == ("photos.zip", 9, "icons.csv")
    assert (said.visualization.kind, said.visualization.size) == ("make", 64)
    longer = faces(tmp_path, "{images: {path: photos, licence: CC0, credit: A. Nyone, count: 100, top: 3, spread: 0}}").images
    assert (longer.path, longer.licence, longer.credit, longer.count, longer.top, longer.spread) == (
        "photos", "CC0", "A. Nyone", 100, 3, 0,
    )  # fmt: skip


def test_faces_stand_in_the_declared_order_and_one_left_out_is_none(tmp_path):
    assert faces(tmp_path, "{order: [visualization, weights], images: photos}").of("a") == ("visualization", "weights")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("conv1", ("weights",)),
        ("mixed3a", ()),
        ("mixed3a.b5", ("pixels",)),
        ("other", ("weights", "pixels", "visualization")),
        ("all", ("weights", "pixels", "visualization")),
    ],
)
def test_layers_switch_faces_by_the_first_pattern_that_fits(tmp_path, address, shown):
    switched = "{layers: {'conv*': [weights, examples], mixed3a: none, 'mixed*.*': pixels, all: all}}"
    assert faces(tmp_path, switched).of(address) == shown


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("order: [pixels]", "5:16: faces.order: found a list, expected 'weights' among them: it stands in where a neuron has no other face"),
        ("order: [weights, weights]", "5:16: faces.order: found a list, expected each face once"),
        ("order: []", "5:16: faces.order: found 0 of them, expected at least 1"),
        ("order: [weight]", "5:17: faces.order[0]: found 'weight', expected 'weights', 'pixels', 'visualization', 'examples' or 'picture'; nearest: weights"),
        ("pixels: some", "5:17: faces.pixels: found 'some', expected 'auto', 'all' or 'none'"),
        ("layers: {a: [pixel]}", "5:22: faces.layers.a[0]: found 'pixel', expected 'weights', 'pixels', 'visualization', 'examples' or 'picture'; nearest: pixels"),
        ("visualization: mak", "5:24: faces.visualization: found 'mak', expected 'none', 'bundled' or 'make'; nearest: make"),
        ("visualization: {sise: 3}", "5:25: faces.visualization.sise: unknown key, expected one of: kind, size, steps, seed, objective, negative, images; nearest: size"),
        ("visualization: {size: 8}", "5:31: faces.visualization.size: found 8, expected 16 or more"),
        ("visualization:", "5:23: faces.visualization: found nothing, expected 'none', 'bundled', 'make' or a mapping of keys and values; leave the key out, or give it a value"),
        ("images: 3", "5:17: faces.images: found 3, expected a folder, a zip file, 'none' or a mapping of keys and values"),
        ("images: {top: 3}", "5:17: faces.images.path: missing, expected: A folder or a zip file of images, relative to this file, or 'none'."),
        ("pictures: icons/one.png", "5:19: faces.pictures: found 'icons/one.png', expected a path with {unit} in it ('icons/{layer}/{unit}.png'), or a table: a .csv, .tsv or .yaml file"),
        ("pictures: 'icons/{layer}.png'", "5:19: faces.pictures: found 'icons/{layer}.png', expected a path with {unit} in it ('icons/{layer}/{unit}.png'), or a table: a .csv, .tsv or .yaml file"),
        ("pictures: 'icons/{lair}{unit}.png'", "5:19: faces.pictures: found 'icons/{lair}{unit}.png', expected a path with {unit} in it ('icons/{layer}/{unit}.png'), or a table: a .csv, .tsv or .yaml file"),
        ("bytes: 12 kilo", "5:16: faces.bytes: found '12 kilo', expected a size: '12 KB', '1.5 GB' (a KB is 1,000 bytes, a KiB 1,024)"),
        ("bytes: 0", "5:16: faces.bytes: found 0, expected a size: '12 KB', '1.5 GB' (a KB is 1,000 bytes, a KiB 1,024)"),
    ],
)  # fmt: skip
def test_a_wrong_face_is_told_in_one_line_at_its_place(tmp_path, text, line):
    assert problems(tmp_path, GOOD + f"faces: {{{text}}}\n") == [line]


def test_a_wrong_face_of_a_model_is_told_there(tmp_path):
    lines = problems(tmp_path, GOOD + "    faces: {pixel: all, visualization: {steps: 0}}\n")
    assert lines == [
        "5:13: models[0].faces.pixel: unknown key, expected one of: "
        "order, layers, pixels, classes, visualization, images, pictures, bytes; nearest: pixels",
        "5:48: models[0].faces.visualization.steps: found 0, expected 1 or more",
    ]


@pytest.mark.parametrize(
    ("text", "size"),
    [("'1 GB'", 10**9), ("1.5 kib", 1536), ("2MB", 2 * 10**6), ("300", 300), ("7 bytes", 7), ("1 TiB", 2**40)],
)
def test_sizes_have_units(tmp_path, text, size):
    assert load(tmp_path, GOOD + f"budget: {{bytes: {text}}}\n").budget.bytes == size


@pytest.mark.parametrize(("text", "seconds"), [("10 minutes", 600), ("90", 90), ("2 h", 7200), ("0.5 min", 30), ("45 s", 45)])
def test_times_have_units(tmp_path, text, seconds):
    assert load(tmp_path, GOOD + f"budget: {{seconds: {text}}}\n").budget.seconds == seconds


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("budget: {seconds: 10 minits}", "5:19: budget.seconds: found '10 minits', expected a time: '45 s', '10 minutes', '2 hours'; nearest: minutes"),
        ("budget: {bytes: -1}", "5:17: budget.bytes: found -1, expected a size: '12 KB', '1.5 GB' (a KB is 1,000 bytes, a KiB 1,024)"),
        ("budget: {bytes: true}", "5:17: budget.bytes: found true, expected a size: '12 KB', '1.5 GB' (a KB is 1,000 bytes, a KiB 1,024)"),
        ("budget: {bytes: .inf}", "5:17: budget.bytes: found inf, expected a size: '12 KB', '1.5 GB' (a KB is 1,000 bytes, a KiB 1,024)"),
        ("budget: {files: 0}", "5:17: budget.files: found 0, expected 1 or more"),
        ("cache: {folder: ''}", "5:17: cache.folder: found '', expected one line of text that is not empty"),
        ("cache: {size: 1 GB}", "5:9: cache.size: unknown key, expected one of: folder, limit, address"),
        ("pages: per-page", "5:8: pages: found 'per-page', expected 'per-neuron' or 'per-layer'; nearest: per-layer"),
    ],
)  # fmt: skip
def test_a_wrong_limit_is_told_in_one_line_at_its_place(tmp_path, text, line):
    (only,) = problems(tmp_path, GOOD + text + "\n")
    assert only.startswith(line)


def test_a_place_that_is_not_there_is_told_where_it_is_named(tmp_path):
    (tmp_path / "icons").mkdir()
    spec = load(
        tmp_path, GOOD + "    faces: {pictures: 'icon/{unit}.png'}\nfaces: {images: photos, pictures: 'icons/{unit}.png'}\n"
    )
    with pytest.raises(SpecError, match=r":5:23: models\[0\]\.faces\.pictures: found 'icon/\{unit\}\.png', expected a file or"):
        spec.faces_place(spec.models[0], "pictures")
    with pytest.raises(SpecError, match=r":6:17: faces\.images: found 'photos', expected a file or folder that is there"):
        spec.faces_place(spec.models[0], "images")
    (tmp_path / "icon").mkdir()
    assert spec.faces_place(spec.models[0], "pictures") == tmp_path / "icon" / "{unit}.png"


def test_patterns_that_fit_no_chosen_layer_are_told(tmp_path):
    spec = load(tmp_path, GOOD + "    faces: {layers: {mixed9: none}}\nfaces: {layers: {convv1: none, 'mixed*': all}}\n")
    with pytest.raises(SpecError) as caught:
        spec.check_faces({"one": ["conv1", "mixed3a"]})
    first, second = (line.partition("atlas.yaml:")[2] for line in caught.value.lines)
    assert first == "6:26: faces.layers.convv1: found 'convv1', expected one of the chosen layers; nearest: conv1"
    assert second.startswith("5:30: models[0].faces.layers.mixed9: found 'mixed9', expected one of the chosen layers")
    load(tmp_path, GOOD + "faces: {layers: {'conv?': none}}\n").check_faces({"one": ["conv1"]})


@pytest.mark.parametrize(
    ("text", "mean", "std"),
    [
        ("{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("{mean: 0.5, std: [1, 1, 0.5]}", (0.5,), (1, 1, 0.5)),
        ("{mean: [0], std: 0.00392157}", (0,), (0.00392157,)),
        ("none", (0,), (1,)),
    ],
)
def test_a_model_says_how_its_images_are_normalized(tmp_path, text, mean, std):
    said = load(tmp_path, GOOD + f"    normalize: {text}\n").models[0].normalize
    assert (said.mean, said.std) == (mean, std)
    assert load(tmp_path, GOOD).models[0].normalize is None


WHOLE = "'none' or a mapping of mean and std: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"
SCALE = ", or one for each channel: images are in 0..1 (of 0..255 divide by 255)"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("imagenet", [f"5:16: models[0].normalize: found 'imagenet', expected {WHOLE}"]),
        ("[0.5, 0.5]", [f"5:16: models[0].normalize: found a list, expected {WHOLE}"]),
        ("", [f"5:15: models[0].normalize: found nothing, expected {WHOLE}; leave the key out, or give it a value"]),
        ("{mean: 0.5}", ["5:16: models[0].normalize.std: missing, expected: What is left is divided by it, above 0: a number, or one for each channel. For a network that reads 0..255 it is 0.00392157, which is 1/255."]),
        ("{means: 0, mean: 0, std: 1}", ["5:17: models[0].normalize.means: unknown key, expected one of: mean, std; nearest: mean"]),
        ("{mean: [123.7, 0.4, 0.4], std: 58}", [
            f"5:24: models[0].normalize.mean[0]: found 123.7, expected a number from 0 to 1{SCALE}",
            f"5:47: models[0].normalize.std: found 58, expected a number from 0.000001 to 10{SCALE}",
        ]),
        ("{mean: .nan, std: [1, 0, .inf]}", [
            f"5:23: models[0].normalize.mean: found nan, expected a number from 0 to 1{SCALE}",
            f"5:38: models[0].normalize.std[1]: found 0, expected a number from 0.000001 to 10{SCALE}",
            f"5:41: models[0].normalize.std[2]: found inf, expected a number from 0.000001 to 10{SCALE}",
        ]),
        ("{mean: true, std: []}", [
            f"5:23: models[0].normalize.mean: found true, expected a number from 0 to 1{SCALE}",
            "5:34: models[0].normalize.std: found 0 of them, expected at least 1",
        ]),
        ("{mean: '0.5', std: 1}", [f"5:23: models[0].normalize.mean: found '0.5', expected a number from 0 to 1{SCALE}"]),
    ],
)  # fmt: skip
def test_a_wrong_normalization_is_told_in_one_line_at_its_place(tmp_path, text, lines):
    assert problems(tmp_path, GOOD + f"    normalize: {text}\n") == lines


@pytest.mark.parametrize(
    ("channels", "lines"),
    [
        (3, ["5:23: models[0].normalize.mean: found 2 numbers, expected 1 or 3: one reads 3 channels"]),
        (
            1,
            [
                "5:23: models[0].normalize.mean: found 2 numbers, expected 1: one reads 1 channel",
                "5:40: models[0].normalize.std: found 3 numbers, expected 1: one reads 1 channel",
            ],
        ),
    ],
)
def test_a_normalization_for_another_number_of_channels_is_told(tmp_path, channels, lines):
    spec = load(tmp_path, GOOD + "    normalize: {mean: [0.5, 0.5], std: [1, 1, 0.5]}\n")
    assert [line.removeprefix(f"{tmp_path / 'atlas.yaml'}:") for line in spec.models[0].misfits(channels)] == lines
    assert not list(load(tmp_path, GOOD + "    normalize: {mean: 0.5, std: [0.5]}\n").models[0].misfits(channels))
    assert not list(load(tmp_path, GOOD).models[0].misfits(channels))


def test_the_schema_says_what_a_normalization_may_be():
    found = json_schema()["$defs"]["ModelSpec"]["properties"]["normalize"]
    assert found["anyOf"][0] == {"enum": ["none"]}
    assert found["anyOf"][1]["required"] == ["mean", "std"]
    assert all(each["description"] for each in found["anyOf"][1]["properties"].values())
    assert "default" not in found
    size = json_schema()["$defs"]["FacesSpec"]["properties"]["visualization"]["anyOf"][1]["properties"]["size"]
    assert "no other size than the model's own input" in size["description"]


def test_the_schema_allows_the_short_forms_and_describes_the_long_ones():
    keys = json_schema()["$defs"]["FacesSpec"]["properties"]
    assert keys["visualization"]["anyOf"][0] == {"enum": ["none", "bundled", "make"]}
    for key in ("visualization", "images", "pictures"):
        assert all(each["description"] for each in keys[key]["anyOf"][1]["properties"].values())
    assert keys["order"]["items"]["enum"] == list(FACES) == list(FacesSpec().order)
