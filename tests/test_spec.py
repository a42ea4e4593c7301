"""What a spec says, and what is said of a wrong one."""

import json
import pickle
import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from generator.errors import SpecError, nearest
from generator.spec import Spec, fits, json_schema, load_spec, lone_model
from generator.starter import starter

REPOSITORY = Path(__file__).parents[1]
GOOD = """\
title: A title
models:
  - name: one
    source: bundled
"""


def write(folder, text):
    path = folder / "atlas.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load(folder, text):
    return load_spec(write(folder, text))


def problems(folder, text):
    """The lines of a wrong spec, from the line number on."""
    path = write(folder, text)
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert all("\n" not in line for line in caught.value.lines)
    return [line.removeprefix(f"{path}:") for line in caught.value.lines]


def model(folder, lines):
    """A spec's only model, of a callable with the given further lines."""
    indented = "".join(f"    {line}\n" for line in lines.splitlines())
    return load(folder, f"title: t\nmodels:\n  - name: one\n    source: nets:make\n{indented}").models[0]


def model_problems(folder, lines):
    return problems(folder, f"title: t\nmodels:\n  - name: one\n    source: nets:make\n    {lines}\n")


def test_a_short_spec_has_every_default(tmp_path):
    spec = load(tmp_path, GOOD)
    assert (spec.title, spec.description, spec.authors, spec.licence, spec.site_url) == ("A title", "", (), "", "")
    assert (spec.nmf.factors, spec.nmf.method, spec.nmf.side, spec.nmf.seed) == (3, "semi-nmf", "positions", 0)
    assert (spec.connections.show, spec.connections.scale_by_source, spec.output.folder) == (20, False, "site")
    only = spec.models[0]
    assert (only.weights, only.arguments, only.layers, only.input_size, only.kind) == ("", {}, ("auto",), (), "bundled")
    assert only.neurons_of("conv1", 3) == (0, 1, 2)


def test_a_full_spec_says_what_it_says(tmp_path):
    spec = load(
        tmp_path,
        """\
title: 'no'
description: |
  Two
  lines
authors: [A. Author, B]
licence: CC-BY-4.0
site_url: https://example.org/atlas
models:
  - name: Goog.le-net_1
    source: torchvision:googlenet
    weights: IMAGENET1K_V1
    layers: [conv1, 'inception*']
    input_size: [192, 256]
  - name: own
    source: nets.small:make
    weights: None
    arguments: {width: 3, deep: true, nothing: null, list: [1, .5], text: "010"}
nmf: {factors: 1, method: posneg, side: inputs, seed: 7}
connections: {show: 200, scale_by_source: true}
output: {folder: public/site}
""",
    )
    assert (spec.title, spec.description, spec.authors) == ("no", "Two\nlines\n", ("A. Author", "B"))
    assert spec.site_url == "https://example.org/atlas/"
    first, second = spec.models
    assert (first.kind, first.weights, first.layers) == ("torchvision", "IMAGENET1K_V1", ("conv1", "inception*"))
    assert first.input_size == (192, 256)
    assert (second.kind, second.weights) == ("callable", "none")
    assert second.arguments == {"width": 3, "deep": True, "nothing": None, "list": [1, 0.5], "text": "010"}
    assert (spec.nmf.factors, spec.nmf.method, spec.nmf.side, spec.nmf.seed) == (1, "posneg", "inputs", 7)
    assert (spec.connections.show, spec.connections.scale_by_source, spec.output.folder) == (200, True, "public/site")


def test_the_folder_is_where_the_file_lies(tmp_path, monkeypatch):
    assert load(tmp_path, GOOD).folder == tmp_path
    monkeypatch.chdir(tmp_path)
    assert load_spec("atlas.yaml").folder == Path()


def test_a_loaded_spec_cannot_be_changed(tmp_path):
    spec = load(tmp_path, GOOD)
    with pytest.raises(ValidationError):
        spec.title = "other"
    with pytest.raises(ValidationError):
        spec.models[0].name = "other"


@pytest.mark.parametrize(("text", "size"), [("28", (28, 28)), ("[192, 256]", (192, 256)), ("[1, 28, 29]", (1, 28, 29))])
def test_input_size_is_a_square_or_a_list(tmp_path, text, size):
    assert model(tmp_path, f"input_size: {text}").input_size == size


def test_every_mistake_is_told_at_once_in_the_order_of_the_file(tmp_path):
    lines = problems(
        tmp_path,
        """\
titel: A title
authors: [Someone, 7]
models:
  - name: bad name
    source: bundeld
    layers: [0, conv1]
  - name: two
    source: torchvision:googlenet
    neurons: {'layer1.*': [3, -1]}
  - name: TWO
    source: bundled
    source: bundled
    arguments: {a: 1}
    input_size: 12:30
nmf: {factors: 5, method: seminmf}
connections: {show: "20"}
output:
""",
    )
    keys = [line.split(": ")[0] + ": " + line.split(": ")[1] for line in lines]
    assert keys == [
        "1:1: title",
        "1:1: titel",
        "2:20: authors[1]",
        "4:11: models[0].name",
        "5:13: models[0].source",
        "6:14: models[0].layers[0]",
        "7:5: models[1].weights",
        "9:31: models[1].neurons['layer1.*'][1]",
        "10:11: models[2].name",
        "12:5: models[2].source",
        "13:16: models[2].arguments",
        "14:17: models[2].input_size",
        "15:16: nmf.factors",
        "15:27: nmf.method",
        "16:21: connections.show",
        "17:8: output",
    ]


def test_one_line_holds_place_key_finding_expectation_and_the_nearest_names(tmp_path):
    text = GOOD + "nmf:\n  method: seminmf\n"
    assert problems(tmp_path, text) == ["6:11: nmf.method: found 'seminmf', expected 'semi-nmf' or 'posneg'; nearest: semi-nmf"]


def test_the_file_is_named_as_the_user_gave_it(tmp_path, monkeypatch):
    write(tmp_path, "title: t\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match=r"^\./atlas\.yaml:1:1: models: missing"):
        load_spec("./atlas.yaml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (GOOD + "nmff: {}\n", "5:1: nmff: unknown key, expected one of: title, description, .*; nearest: nmf"),
        (GOOD + "    layer: auto\n", r"5:5: models\[0\]\.layer: unknown key, .*; nearest: layers"),
        (
            GOOD + "connections:\n  sho: 3\n",
            "6:3: connections.sho: unknown key, expected one of: show, scale_by_source; nearest: show",
        ),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest(tmp_path, text, line):
    (only,) = problems(tmp_path, text)
    assert re.fullmatch(line, only)


def test_a_key_that_stands_twice_is_told_at_its_second_place(tmp_path):
    assert problems(tmp_path, GOOD + "title: B\n") == ["5:1: title: found twice, first in line 1, expected once"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("no", "found no, which YAML reads as false; write false, or 'no' in quotes if it is text"),
        ("Yes", "found Yes, which YAML reads as true; write true, or 'Yes' in quotes if it is text"),
        ("off", "found off, which YAML reads as false; write false, or 'off' in quotes if it is text"),
        ("010", "found 010, which YAML reads as the number 8; write 8, or '010' in quotes if it is text"),
        ("08", "found 08, which YAML reads as text; write 8, or '08' in quotes if it is text"),
        ("0o17", "found 0o17, which YAML reads as text; write 15, or '0o17' in quotes if it is text"),
        ("0x1F", "found 0x1F, which YAML reads as the number 31; write 31, or '0x1F' in quotes if it is text"),
        ("1_000", "found 1_000, which YAML reads as the number 1000; write 1000, or '1_000' in quotes if it is text"),
        ("12:30", "found 12:30, which YAML reads as the number 750; write 750, or '12:30' in quotes if it is text"),
        ("1e3", "found 1e3, which YAML reads as text; write 1000, or '1e3' in quotes if it is text"),
        ("2.5e-3", None),
        ("2.5e3", "found 2.5e3, which YAML reads as text; write 2500, or '2.5e3' in quotes if it is text"),
        ("1e-3", "found 1e-3, which YAML reads as text; write 0.001, or '1e-3' in quotes if it is text"),
        ("2024-01-01", "found 2024-01-01, which YAML reads as a date; write '2024-01-01' in quotes"),
        (
            "!!python/object/apply:os.system [ls]",
            "found the tag !!python/object/apply:os.system, expected a plain value: tags are not read",
        ),
        ("!own x", "found the tag !own, expected a plain value: tags are not read"),
        ("*name", "found *name, expected a plain value: aliases are not read, write the value out"),
        ("9" * 5000, "found a number of 5000 digits, expected at most 40"),
        ("0" + "7" * 9000, "found a number of 9001 digits, expected at most 40"),
        ("true", None),
        ("-5", None),
        (".5", None),
        ("~", None),
        ("one two", None),
    ],
)
def test_what_yaml_reads_otherwise_than_it_looks_is_refused(tmp_path, written, said):
    """Under `arguments` any value goes, so only YAML itself can be at fault."""
    if said is None:
        assert "x" in model(tmp_path, f"arguments: {{x: {written}}}").arguments
    else:
        assert model_problems(tmp_path, f"arguments: {{x: {written}}}") == [f"5:20: models[0].arguments.x: {said}"]


@pytest.mark.parametrize("written", ["no", "010", "1e3", "12:30", "2024-01-01"])
def test_in_quotes_every_text_is_text(tmp_path, written):
    assert load(tmp_path, GOOD.replace("A title", f"'{written}'")).title == written
    assert load(tmp_path, GOOD.replace("A title", f'"{written}"')).title == written


def test_a_merge_key_is_refused_and_its_neighbours_are_still_checked(tmp_path):
    lines = problems(tmp_path, GOOD + "nmf: {<<: {a: 1}, factors: 9}\n")
    assert lines == [
        "5:7: nmf['<<']: found a key that is not plain text; aliases and merge keys are not read: write the keys out",
        "5:28: nmf.factors: found 9, expected 3 or less",
    ]


def test_a_list_as_key_is_refused(tmp_path):
    (only,) = problems(tmp_path, GOOD + "? [a]\n: 1\n")
    assert only.startswith("5:3: ['?']: found a key that is not plain text")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("title: a: b\n", "1:9: not YAML: mapping values are not allowed here; text with a colon in it needs quotes"),
        ("title: a\n\tmodels: b\n", "2:1: not YAML: .*a tab: indent with spaces"),
        ("title: [a\n", "2:1: not YAML: .*"),
        ("title: a\n---\ntitle: b\n", "2:1: not YAML: .*'---' may stand once, at the top"),
        ("title: @a\n", "1:8: not YAML: .*text that begins with it needs quotes"),
        ("", "1:1: found an empty file, expected a mapping .*"),
        ("# only a comment\n", "1:1: found an empty file, expected a mapping .*"),
        ("- a\n", "1:1: found a list, expected a mapping .*"),
        ("words\n", "1:1: found text, expected a mapping .*"),
        (b"title: a\nauthors: [\xff]\n", "2:11: found a byte that is not UTF-8, expected UTF-8 text"),
        (b"title: a\x07\n", "1:9: found the character .*, expected printable text"),
        ("title: a\n".encode("utf-16"), "1:1: found a byte that is not UTF-8, expected UTF-8 text"),
    ],
)
def test_what_is_no_yaml_mapping_is_one_line(tmp_path, text, line):
    (only,) = problems(tmp_path, text)
    assert re.fullmatch(line, only)


def test_a_byte_order_mark_does_not_matter(tmp_path):
    assert load(tmp_path, GOOD.encode("utf-8-sig")).title == "A title"


def test_nesting_without_end_is_one_line(tmp_path):
    (only,) = problems(tmp_path, "title: " + "[" * 20_000)
    assert "nested too deeply" in only


def test_a_missing_file_and_a_folder_are_one_line(tmp_path):
    with pytest.raises(SpecError, match=r"none\.yaml: no such file; `atlas init` writes one"):
        load_spec(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="cannot be read: Is a directory"):
        load_spec(tmp_path)


@pytest.mark.parametrize("name", ["a b", "-a", ".a", "a/b", "..", "a.", "é", "x" * 65, "static", "index.html", ""])
def test_a_name_that_makes_no_folder_is_refused(tmp_path, name):
    (only,) = problems(tmp_path, GOOD.replace("one", f"'{name}'"))
    assert only.startswith("3:11: models[0].name: found '")


def test_names_that_differ_in_case_alone_are_refused(tmp_path):
    (only,) = problems(tmp_path, GOOD + "  - {name: ONE, source: bundled}\n")
    assert only == "5:12: models[1].name: found 'ONE', expected a name unlike that of another model ('one'), also in lower case"


@pytest.mark.parametrize(
    "url",
    ["example.org", "ftp://example.org/", "https://", "/atlas", "https://a b/", "https://a/?q=1", "http://[", "https://a/#b"],
)
def test_an_address_that_is_not_absolute_is_refused(tmp_path, url):
    (only,) = problems(tmp_path, GOOD + f"site_url: '{url}'\n")
    assert only.startswith("5:11: site_url: found ")


@pytest.mark.parametrize(
    "source", ["googlenet", "bundeld", "torchvision:", "torchvision:Google Net", ":make", "nets:", "a..b:c", "a/b.py:c", "1a:b"]
)
def test_a_source_of_no_known_kind_is_refused(tmp_path, source):
    (only,) = problems(tmp_path, GOOD.replace("bundled", f"'{source}'"))
    assert only.startswith(f"4:13: models[0].source: found '{source}', expected 'bundled', 'torchvision:NAME' or")


def test_torchvision_needs_weights_said(tmp_path):
    (only,) = problems(tmp_path, GOOD.replace("bundled", "torchvision:vgg16"))
    assert only.startswith("3:5: models[0].weights: missing, expected 'DEFAULT'")


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ("input_size: 0", "5:17: models[0].input_size: found 0, expected 1 or more"),
        ("input_size: 5000", "5:17: models[0].input_size: found 5000, expected 4096 or less"),
        ("input_size: true", "5:17: models[0].input_size: found true, expected {a size}"),
        ("input_size: [5]", "5:17: models[0].input_size: found 1 of them, expected at least 2"),
        ("input_size: [1, 2, 3, 4]", "5:17: models[0].input_size: found 4 of them, expected at most 3"),
        ("input_size: '32'", "5:17: models[0].input_size: found '32', expected {a size}; write it without quotes"),
        ("layers: []", "5:13: models[0].layers: found 0 of them, expected at least 1"),
        ("layers: 3", "5:13: models[0].layers: found 3, expected text; text that looks like a number needs quotes: '3'"),
        ("neurons: {}", "5:14: models[0].neurons: found 0 of them, expected at least 1"),
        ("neurons: [7-3]", "5:15: models[0].neurons[0]: found '7-3', expected a range that ascends: '3-7'"),
        ("arguments: [1]", "5:16: models[0].arguments: found a list, expected a mapping of keys and values"),
        ("arguments: {a-b: 1}", "5:17: models[0].arguments['a-b']: found 'a-b', expected the name of a keyword argument"),
        ("weights:", "5:13: models[0].weights: found nothing, expected text; leave the key out, or give it a value"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_what_was_expected(tmp_path, lines, key):
    assert model_problems(tmp_path, lines) == [
        key.replace("{a size}", "pixels of a square (224), [rows, cols] or [channels, rows, cols]")
    ]


@pytest.mark.parametrize("unit", ["-1", "1.5", "true", "x", "3-", "-3", "1-2-3", "[1]", "{a: 1}", "''"])
def test_what_is_no_unit_is_refused(tmp_path, unit):
    (only,) = model_problems(tmp_path, f"neurons: {{conv1: [0, {unit}]}}")
    assert only.startswith("5:26: models[0].neurons.conv1[1]: found ")
    assert "expected a unit (12), a range with both ends included ('0-15') or 'all'" in only


@pytest.mark.parametrize(
    ("neurons", "chosen"),
    [
        ("all", tuple(range(10))),
        ("3", (3,)),
        ("2-4", (2, 3, 4)),
        ("[9, '2 - 4', 3]", (2, 3, 4, 9)),
        ("[5-20]", (5, 6, 7, 8, 9)),
        ("{conv1: [1], '**': [2]}", (1,)),
        ("{'*': [2], conv1: [1]}", (2,)),
        ("{'conv?': 0-1}", (0, 1)),
        ("{other: [1]}", tuple(range(10))),
        ("{conv1: all}", tuple(range(10))),
    ],
)
def test_neurons_are_chosen_by_the_first_pattern_that_fits(tmp_path, neurons, chosen):
    assert model(tmp_path, f"neurons: {neurons}").neurons_of("conv1", 10) == chosen


@pytest.mark.parametrize(
    ("neurons", "line"),
    [
        ("[3, 10]", "5:18: models[0].neurons[1]: found 10, but conv1 has 10 neurons: 0 to 9"),
        ("{'**': 10-12}", "5:21: models[0].neurons['**']: found '10-12', but conv1 has 10 neurons: 0 to 9"),
        ("{conv1: [0, 8-10]}", "5:26: models[0].neurons.conv1[1]: found '8-10', but conv1 has 10 neurons: 0 to 9"),
    ],
)
def test_a_unit_outside_its_layer_is_told_at_its_place(tmp_path, neurons, line):
    chosen = model(tmp_path, f"neurons: {neurons}")
    with pytest.raises(SpecError) as caught:
        chosen.neurons_of("conv1", 10)
    assert caught.value.lines == (f"{tmp_path}/atlas.yaml:{line}",)


@pytest.mark.parametrize(
    ("pattern", "fitting"),
    [
        ("layer1.0.conv1", {"layer1.0.conv1"}),
        ("layer*", {"layer1", "layer2"}),
        ("layer*.*", {"layer1.0", "layer2.1"}),
        ("layer1.**", {"layer1.0", "layer1.0.conv1"}),
        ("layer?", {"layer1", "layer2"}),
        ("**", {"layer1", "layer2", "layer1.0", "layer2.1", "layer1.0.conv1"}),
        ("layer1.", set()),
        ("layer1.0.conv.", set()),
        ("[l]ayer1", set()),
    ],
)
def test_a_star_stays_within_a_name_and_two_cross_dots(pattern, fitting):
    addresses = {"layer1", "layer2", "layer1.0", "layer2.1", "layer1.0.conv1"}
    assert {address for address in addresses if fits(address, pattern)} == fitting


def test_patterns_that_fit_no_chosen_layer_are_told_with_every_unit_outside(tmp_path):
    chosen = model(tmp_path, "neurons: {conv9: [0], 'conv*': [3]}")
    with pytest.raises(SpecError) as caught:
        chosen.check_neurons({"conv1": 10, "conv2": 2})
    first, second = caught.value.lines
    assert "models[0].neurons.conv9: found 'conv9', expected one of the chosen layers; nearest: conv" in first
    assert second.endswith("models[0].neurons['conv*'][0]: found 3, but conv2 has 2 neurons: 0 to 1")
    model(tmp_path, "neurons: all").check_neurons({"conv1": 10})


def test_later_stages_report_at_the_nearest_place_in_the_file(tmp_path):
    path = write(tmp_path, GOOD + "    layers:\n      - conv1\n      - conv9\n")
    spec = load_spec(path)
    assert spec.problem(("models", 0, "layers", 1), "no") == f"{path}:7:9: models[0].layers[1]: no"
    assert spec.models[0].problem(("layers", 1), "no") == f"{path}:7:9: models[0].layers[1]: no"
    assert spec.problem(("models", 0, "weights"), "no") == f"{path}:3:5: models[0].weights: no"
    assert spec.problem(("nmf", "factors"), "no") == f"{path}:1:1: nmf: no"
    assert spec.problem((), "no") == f"{path}:1:1: no"


def test_a_spec_keeps_its_places_through_a_pickle(tmp_path):
    spec = pickle.loads(pickle.dumps(load(tmp_path, GOOD)))
    assert spec.models[0].problem(("name",), "no") == f"{tmp_path}/atlas.yaml:3:11: models[0].name: no"


def test_a_model_without_a_file_is_named_after_its_source():
    assert [lone_model(each).name for each in ("torchvision:vgg16", "a.b:_make")] == ["vgg16", "make"]
    assert lone_model("bundled").name == load_spec(REPOSITORY / "atlas.yaml").models[0].name
    with pytest.raises(SpecError, match=r"^source: found 'vgg', expected 'bundled',"):
        lone_model("vgg")


def test_a_source_that_names_a_file_in_place_of_a_module_is_told_what_to_write():
    with pytest.raises(SpecError, match=r"found 'nets\.py:small', expected the name of a module, without \.py: 'nets:small'$"):
        lone_model("nets.py:small")


@pytest.mark.parametrize("page", ["index.html", "INDEX.HTM"])
def test_the_address_of_a_page_is_not_that_of_a_site(tmp_path, page):
    (only,) = problems(tmp_path, GOOD + f"site_url: https://a.org/b/{page}\n")
    assert only.endswith("expected the address of the site's folder, not of a page: 'https://a.org/b/'")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("nueron", "; nearest: neuron"),
        ("curve", "; nearest: curve detectors"),
        ("site", ""),
        ("nets", ""),
        ("", ""),
        ("cu", ""),
    ],
)
def test_only_names_that_are_near_are_offered(wrong, said):
    assert nearest(wrong, ["neuron", "curve detectors", "notes", "families", "title"]) == said


def test_every_key_of_the_schema_is_described():
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    parts = [schema, *schema["$defs"].values()]
    described = [bool(field.get("description") or field.get("$ref")) for part in parts for field in part["properties"].values()]
    assert len(described) == 18 + 9 + 4 + 2 + 1 + 8 + 3 + 4
    assert all(described)
    assert all(part["description"] for part in parts)
    assert all(part["additionalProperties"] is False for part in parts)
    assert set(schema["required"]) == {"title", "models"}
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("name", ["atlas.yaml", "examples/squeezenet.yaml", "examples/vgg16.yaml", "examples/resnet20.yaml"])
def test_the_specs_of_the_repository_load(name):
    spec = load_spec(REPOSITORY / name)
    assert isinstance(spec, Spec)
    assert spec.description


@pytest.mark.parametrize("source", ["bundled", "torchvision:vgg16", "nets:make"])
def test_a_first_spec_loads_and_so_do_its_commented_lines(tmp_path, source):
    addresses = ["0", "on", "layer1.0", "1e3", "a: b", "a #b", '"', "input"]
    text = starter(lone_model(source), "", (3, 20, 30), addresses, "atlas.yaml")
    spec = load(tmp_path, text)
    assert (spec.models[0].source, spec.models[0].layers) == (source, ("auto",))
    assert all(len(line) <= 128 for line in text.splitlines())
    commented = re.sub(r"^    layers: auto.*\n", "", text, flags=re.MULTILINE)
    commented = re.sub(
        r"^    # layers:\n((?:    #   - .*\n)+)",
        lambda found: found[0].replace(
            "# ",
            "",
        ),
        commented,
        flags=re.MULTILINE,
    )
    assert load(tmp_path, commented).models[0].layers == tuple(addresses)
    every = re.sub(r"^(\s*)# (authors|licence|site_url|input_size|neurons):", r"\1\2:", text, flags=re.MULTILINE)
    assert load(tmp_path, every).models[0].input_size == (20, 30)
    assert yaml.safe_load(every)["models"][0]["neurons"] == ["0-15"]
