"""The bytes of faces: what counts, how they are kept within the budget of the spec, who is told where they are not."""

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sample_faces as faces
import sample_facts as sample
from PIL import Image
from test_incremental import NETS, Project, assert_as_if_clean, contents

from generator.__main__ import main
from generator.build import Report, Want, build, pictured_bytes
from generator.errors import PAST_BUDGET
from generator.forecasting.forecast import forecast
from generator.keeping.history import history_file, read_history
from generator.pages.common import ModelContext
from generator.pages.facebudget import FaceMaker, fitted_faces
from generator.pages.facefiles import LEVELS, sheet, sheet_plan
from generator.pages.faces import there
from generator.photos import QUICK, webp
from generator.progress import Progress
from generator.render import count_files, render_site
from generator.spec import load_spec
from generator.workers import ALONE, workers_of

KINDS = ("pixels", "visualization", "examples", "picture")
HOME = "small/mixed/"


def noisy(*kinds, units=12, **more):
    """The sample's atlas with pictures that take many bytes."""
    random = np.random.default_rng(0)

    def blots(*shape):
        rough = random.integers(0, 256, (*shape[:-3], -(-shape[-3] // 4), -(-shape[-2] // 4), 3), dtype=np.uint8)
        return np.repeat(np.repeat(rough, 4, -3), 4, -2)[..., : shape[-3], : shape[-2], :]

    def clouds(*shape):
        rough = random.integers(0, 256, (shape[0], 6, 6, 3), dtype=np.uint8)
        return np.stack([np.array(Image.fromarray(one).resize(shape[1:3], Image.Resampling.BICUBIC)) for one in rough])

    found = {
        "pixels": lambda: {"pixels": replace(faces.pixels(units, side=33), pixels=clouds(units, 33, 33))},
        "visualization": lambda: {"looks": replace(faces.looks(units), images=blots(units, 64, 64, 3))},
        "examples": lambda: {"examples": replace(faces.examples(units), crops=blots(units, 7, 32, 32, 3))},
        "picture": lambda: {"given": replace(faces.given(units), images=blots(units, 40, 40, 3))},
    }
    fields = {name: value for kind in kinds for name, value in found[kind]().items()}
    return faces.atlas_of(**{**fields, **more})


def of_layer(atlas):
    """The layer with faces, and how others see it."""
    model = atlas.models[0]
    facts = model.layers[faces.LAYER]
    return facts, ModelContext(atlas, model).views[facts.layer.address]


def at_each_level(atlas):
    """Bytes of a neuron."""
    maker = FaceMaker(*of_layer(atlas))
    return [maker.made(level).taken.each for level in LEVELS]


def counted(atlas):
    """Bytes of a neuron, from the site: the files, and the data URIs that stand in pages of neurons but those of kernels."""
    facts, _ = of_layer(atlas)
    site = dict(render_site(atlas))
    own = {path[len(HOME) :]: content for path, content in site.items() if path.startswith(HOME)}
    sprites = sum(len(content) for name, content in own.items() if "/" not in name and name.endswith((".webp", "faces.png")))
    sheets = sum(len(content) for name, content in own.items() if name.startswith("faces/"))
    pages = b"".join(content for name, content in own.items() if re.fullmatch(r"(\d+|neurons)\.html", name))
    standing = re.findall(rb'class=px src="(data:[^"]*)"|url\((data:image/webp[^)]*)\)', pages)
    inside = sum(len(one) + len(other) for one, other in standing)
    return sprites / facts.layer.neurons + (sheets + inside) / len(facts.chosen)


# -- what counts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_layer", [False, True])
@pytest.mark.parametrize("kinds", [(), ("pixels",), ("picture",), ("visualization", "examples"), KINDS], ids="+".join)
def test_every_picture_of_a_neuron_counts_and_nothing_else(kinds, per_layer):
    for budget in (12 * 1024, 1):
        atlas = replace(noisy(*kinds, face_budget=budget), per_layer=per_layer)
        taken = fitted_faces(*of_layer(atlas)).taken
        assert 0 <= taken.each - counted(atlas) < 1
        assert taken.all == pytest.approx(counted(atlas) * taken.pages, abs=1)


def test_of_sprites_a_neuron_takes_its_share_however_few_have_pages():
    atlas = noisy("visualization", chosen=np.array([3], np.int32))
    taken = fitted_faces(*of_layer(atlas)).taken
    assert taken.pages == 1
    assert taken.each == pytest.approx(taken.sprites / 12 + taken.sheets + taken.pictures, abs=1)


def test_a_layer_that_reads_the_pixels_itself_counts_what_its_pages_show():
    model = sample.sample_model()
    for more in ({}, {"given": faces.given(6, (0, 2))}, {"examples": faces.examples(6)}):
        stem = replace(model.layers[1], pixels=faces.pixels(6, side=5), **more)
        atlas = sample.atlas(replace(model, layers=(model.layers[0], stem, *model.layers[2:])))
        facts, view = stem, ModelContext(atlas, atlas.models[0]).views["_stem"]
        pages = b"".join(content for path, content in render_site(atlas) if re.fullmatch(r"small/~_stem/\d+\.html", path))
        shown = re.findall(rb"url\((data:image/webp[^)]*)\)", pages)
        assert fitted_faces(facts, view).taken.fields == sum(map(len, shown))


# -- keeping to it --------------------------------------------------------------------------------------------------------


def test_with_the_budget_of_a_spec_that_says_nothing_the_bytes_are_those_of_the_best_level():
    atlas = noisy("visualization", "picture")
    facts, view = of_layer(atlas)
    made, plan = fitted_faces(facts, view), sheet_plan(facts)
    files = dict(made.files)
    assert (made.least, made.below) == (made.taken.each, None)
    for unit in facts.chosen.tolist():
        assert files[f"mixed/faces/{unit}.webp"] == webp(sheet(facts, plan, unit), QUICK, quality=60)
    assert max(picture.size for picture in map(opened, files.values())) >= (64, 64)


def opened(content):
    return Image.open(io.BytesIO(content))


def test_a_layer_past_its_budget_has_the_first_level_that_fits():
    atlas = noisy(*KINDS)
    each = at_each_level(atlas)
    assert each == sorted(each, reverse=True) and len(set(each)) == len(LEVELS)
    for place, most in enumerate(each):
        facts, view = of_layer(noisy(*KINDS, face_budget=most))
        made = fitted_faces(facts, view)
        assert made.taken.each == most
        assert dict(made.files) == dict(FaceMaker(facts, view).made(LEVELS[place]).files)


def test_what_is_told_of_budgets_with_which_it_is_the_same_holds():
    each = at_each_level(noisy(*KINDS))
    for budget in (each[0] + 1, each[1], each[3] + 5, each[-1] - 1):
        facts, view = of_layer(noisy(*KINDS, face_budget=budget))
        made = fitted_faces(facts, view)
        assert made.least <= budget and (made.below is None or budget < made.below)
        ends = [made.least, *([made.below - 1] if made.below else [10**9])]
        for other in ends:
            again = fitted_faces(replace(facts, face_budget=other), view)
            assert (again.files, again.fields) == (made.files, made.fields)
        beyond = [made.least - 1] * (made.least > 0) + [made.below] * (made.below is not None)
        for other in beyond:
            again = fitted_faces(replace(facts, face_budget=other), view)
            assert (again.files, again.fields) != (made.files, made.fields)


def test_a_guess_is_near_what_it_guesses():
    facts, view = of_layer(noisy(*KINDS))
    maker = FaceMaker(facts, view)
    best = maker.made(LEVELS[0]).taken
    for level in LEVELS:
        assert maker.guess(level, best) == pytest.approx(maker.made(level).taken.each, rel=0.02)


def test_pages_show_what_smaller_sheets_hold():
    atlas = faces.atlas_of(*KINDS, face_budget=1)
    facts, view = of_layer(atlas)
    made, site = fitted_faces(facts, view), dict(render_site(atlas))
    best = sheet_plan(facts)
    assert made.plan.visualization.rows == best.visualization.rows // 2 and made.plan.height < best.height
    for unit in (0, 1, 8):
        drawn = np.array(opened(site[f"{HOME}faces/{unit}.webp"]).convert("RGB")).astype(int)
        assert drawn.shape[:2] == (made.plan.height, made.plan.width)
        page = site[f"{HOME}{unit}.html"].decode()
        places = re.findall(r"--x:(\d+);--y:(\d+);--r:(\d+);--c:(\d+);--w:(\d+)", page)
        assert len(places) == 3
        for x, y, rows, cols, width in (map(int, place) for place in places):
            inside = drawn[y + 3 : y + rows - 3, x + 3 : x + cols - 3]
            assert width == drawn.shape[1] and inside.size and np.abs(inside - faces.shade(unit)).max() <= 12


def test_fields_stay_exact_as_long_as_other_pictures_can_be_less():
    exact, lossy = (noisy(*KINDS, face_budget=at_each_level(noisy(*KINDS))[place]) for place in (1, 2))
    pixels = of_layer(exact)[0].pixels.pixels
    for atlas, same in ((exact, True), (lossy, False)):
        fields = fitted_faces(*of_layer(atlas)).fields
        for unit, uri in fields.items():
            drawn = np.array(opened(base64.b64decode(uri.partition(",")[2])).convert("RGB"))
            assert (drawn == pixels[unit]).all() == same


def test_tiny_fields_stay_exact_at_any_level():
    facts, view = of_layer(faces.atlas_of("pixels", face_budget=1))
    for unit, uri in fitted_faces(facts, view).fields.items():
        drawn = np.array(opened(base64.b64decode(uri.partition(",")[2])).convert("RGB"))
        assert (drawn == facts.pixels.pixels[unit]).all()


@pytest.mark.parametrize("per_layer", [False, True])
def test_there_are_as_many_files_at_any_level(per_layer):
    for budget in (12 * 1024, 1):
        atlas = replace(faces.atlas_of(*KINDS, face_budget=budget), per_layer=per_layer)
        assert count_files(atlas) == len(dict(render_site(atlas)))


@pytest.mark.parametrize("more", [{"chosen": np.zeros(0, np.int32)}, {"looks": faces.looks(side=1)}, {"order": ()}])
def test_odd_layers_have_faces_at_any_budget(more):
    atlas = faces.atlas_of("pixels", "visualization", "examples", **{"order": faces.ALL, **more, "face_budget": 0})
    facts, view = of_layer(atlas)
    made = fitted_faces(facts, view)
    assert made.least == 0
    assert count_files(atlas) == len(dict(render_site(atlas)))
    assert len(made.pictures) in (0, len(facts.chosen))


def test_a_layer_without_any_face_takes_nothing():
    model = sample.sample_model()
    head = replace(model.layers[3], order=())
    atlas = sample.atlas(replace(model, layers=(*model.layers[:3], head)))
    taken = fitted_faces(head, ModelContext(atlas, atlas.models[0]).views["head"]).taken
    assert (taken.sheets, taken.fields, taken.pictures) == (0, 0, 0)
    assert not there(head, "visualization").any()


# -- builds ---------------------------------------------------------------------------------------------------------------

SPEC = """
title: Five layers
models:
  - {name: net, source: "nets:make", weights: w.pt, input_size: 16}
connections: {show: 3}
faces:
  pictures: icons/{layer}/{unit}.png
  bytes: BYTES
"""
UNITS = {"0": 4, "2": 5, "4": 6, "6": 4, "8": 3}


@pytest.fixture
def project(tmp_path):
    """A network whose neurons have pictures: of some layers large ones, of the last none."""
    made = Project(tmp_path / "project")
    made.write("nets.py", NETS)
    made.weights()
    random = np.random.default_rng(1)
    for layer, units in UNITS.items():
        for unit in range(units if layer != "8" else 0):
            side = 24 if layer in ("0", "2") else 140
            rough = random.integers(0, 256, (side // 4, side // 4, 3), dtype=np.uint8)
            path = made.folder / "icons" / layer / f"{unit}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rough).resize((side, side), Image.Resampling.NEAREST).save(path)
    return made


def built(project: Project, budget: str, target: str = "site", **want) -> tuple[Report, list[str]]:
    """What a build with a budget did, and what it said of faces."""
    project.write("atlas.yaml", SPEC.replace("BYTES", budget))
    report, said = Report(), io.StringIO()
    build(load_spec(project.folder / "atlas.yaml"), project.folder / target, Progress(stream=said), Want(**want), report)
    return report, [line for line in said.getvalue().splitlines() if "faces.bytes" in line]


def planned_past(project: Project, capsys) -> tuple[int, list[str]]:
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(project.folder / "atlas.yaml"), "-j", "1", "-q"])
    return ended.value.code, [line for line in capsys.readouterr().err.splitlines() if "faces.bytes" in line]


def test_only_what_differs_is_rendered_with_another_budget(project):
    first, said = built(project, "40 KiB")
    assert {"net/0", "net/8"} < set(first.rendered) and said == []
    wider, _ = built(project, "41 KiB")
    assert (wider.rendered, wider.written, dict(wider.made)) == ([], [], {})
    tighter, said = built(project, "5 KiB")
    assert tighter.rendered == ["net/4", "net/6"] and said == []
    assert {path.rpartition("/")[0] for path in tighter.written} <= {
        f"net/{at}{end}" for at in (4, 6) for end in ("", "/faces")
    }
    assert_as_if_clean(project)
    back, _ = built(project, "40 KiB")
    assert back.rendered == ["net/4", "net/6"]
    assert_as_if_clean(project)


def test_two_workers_make_the_same_bytes_as_one(project):
    built(project, "5 KiB", "one")
    built(project, "5 KiB", "two", fresh=True, workers=workers_of(2, ""))
    assert contents(project.folder / "one") == contents(project.folder / "two")


def test_a_budget_that_cannot_be_kept_is_told_in_a_line_each_time_and_is_no_failure(project):
    report, said = built(project, "300 bytes")
    (line,) = said
    place = re.escape(str(project.folder / "atlas.yaml"))
    assert re.fullmatch(
        rf"{place}:8:10: faces\.bytes: found ([\d,]+) bytes a neuron in net at the lowest quality, expected at most 300; "
        r"ask for fewer examples \(.*\), or fewer or smaller visualizations \(.*\)",
        line,
    )
    assert report.written
    again, told = built(project, "300 bytes")
    assert (again.written, told) == ([], said)
    assert built(project, "40 KiB")[1] == []


def test_the_line_names_the_bytes_that_there_are(project):
    _, (line,) = built(project, "300 bytes")
    site, neurons = project.folder / "site" / "net", 3 + sum(UNITS.values())
    found = sum(sum(map(size, (site / at).rglob("*.webp"))) + size(site / at / "faces.png") for at in ("input", *UNITS))
    for page in (path for at in ("input", *UNITS) for path in (site / at).glob("*.html") if path.stem.isdigit()):
        standing = re.findall(r'class=px src="(data:[^"]*)"|url\((data:image/webp[^)]*)\)', page.read_text())
        found += sum(len(one) + len(other) for one, other in standing)
    assert f"found {-(-found // neurons):,} bytes" in line


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_a_model_is_told_by_its_own_key(project):
    text = SPEC.replace("BYTES", "40 KiB").replace("input_size: 16}", "input_size: 16, faces: {bytes: 200 bytes}}")
    project.write("atlas.yaml", text)
    said = io.StringIO()
    build(load_spec(project.folder / "atlas.yaml"), project.folder / "site", Progress(stream=said))
    (line,) = (line for line in said.getvalue().splitlines() if "faces.bytes" in line)
    assert ":4:" in line and "expected at most 200;" in line


def test_the_plan_tells_what_the_build_will_tell(project, capsys):
    project.write("atlas.yaml", SPEC.replace("BYTES", "300 bytes"))
    code, told = planned_past(project, capsys)
    _, said = built(project, "300 bytes")
    assert code == PAST_BUDGET
    assert told == [said[0].replace("found ", "found about ")]
    project.write("atlas.yaml", SPEC.replace("BYTES", "5 KiB"))
    assert planned_past(project, capsys) == (0, [])


@pytest.mark.parametrize("budget", ["40 KiB", "5 KiB", "300 bytes"])
def test_the_plan_knows_the_bytes_of_faces_within_the_budget_and_past_it(project, budget):
    built(project, budget)
    spec = load_spec(project.folder / "atlas.yaml")
    history = read_history(history_file(project.folder / spec.cache.folder, project.folder / "site"))
    site, (net,) = forecast(spec, ALONE, Progress(quiet=True))
    assert {"net": net.faces} == pictured_bytes(spec, history)
    assert (site.faces, net.face_budget) == (net.faces, spec.faces.bytes)


def test_the_plan_shows_the_bytes_of_faces_beside_what_they_may_be(project, capsys):
    project.write("atlas.yaml", SPEC.replace("BYTES", "5 KiB"))
    for more in (["--json"], ["-q"]):
        with pytest.raises(SystemExit):
            main(["plan", str(project.folder / "atlas.yaml"), "-j", "1", *more])
    told, _, columns = capsys.readouterr().out.partition("\n}\n")
    said = json.loads(f"{told}}}")
    assert 0 < said["models"][0]["faces"] <= said["models"][0]["faces_at_most"] == 5 * 1024
    assert said["site"]["faces"] == said["models"][0]["faces"] and "faces_at_most" not in said["site"]
    head, net, site = (line.split("\t") for line in columns.splitlines()[:3])
    assert head[-2:] == ["faces", "faces at most"]
    assert net[-2:] == [str(said["models"][0]["faces"]), "5120"] and site[-2:] == [net[-2], ""]


def test_the_plan_of_a_layer_that_is_sampled_is_near(project):
    """Of 40 neurons 32 are looked at: their level is that of all."""
    project.write("nets.py", NETS.replace("6, 4, 3", "6, 40, 3").replace("4, 3, 3)", "40, 3, 3)").replace(", 1)", ", 1)"))
    random = np.random.default_rng(2)
    for unit in range(40):
        side = random.integers(60, 140)
        rough = random.integers(0, 256, (side // 4, side // 4, 3), dtype=np.uint8)
        Image.fromarray(rough).resize((side, side), Image.Resampling.NEAREST).save(project.folder / f"icons/6/{unit}.png")
    project.write("atlas.yaml", SPEC.replace("BYTES", "4 KiB").replace(" weights: w.pt,", ""))
    spec = load_spec(project.folder / "atlas.yaml")
    _, (net,) = forecast(spec, ALONE, Progress(quiet=True))
    build(spec, project.folder / "site", Progress(quiet=True))
    history = read_history(history_file(project.folder / spec.cache.folder, project.folder / "site"))
    assert net.faces == pytest.approx(pictured_bytes(spec, history)["net"], rel=0.1)


# -- the order of faces, in the same keys ---------------------------------------------------------------------------------


def test_another_order_of_faces_is_rendered(project):
    built(project, "40 KiB")
    project.write("atlas.yaml", SPEC.replace("BYTES", "40 KiB\n  order: [picture, weights, pixels]"))
    project.build()
    assert_as_if_clean(project)
    assert "picture.webp" in (project.folder / "site/net/faces.css").read_text().partition("[data-face")[0]
