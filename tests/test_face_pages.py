"""The faces of neurons on pages: which a layer has, in which order, their files, what is said of them; any may be missing."""

import io
import json
import re
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import sample_faces as faces
import sample_facts as sample
from PIL import Image
from test_pages import Page, said

from generator.context.looks import read_looks
from generator.pages.facefiles import LIGHT, TALL, count_face_files, sheet_plan, with_sheet
from generator.pages.faces import layer_faces, switch_of
from generator.pages.views import face_grid
from generator.photos import sprite_of
from generator.pictures import tiles_of
from generator.publishing.sitecheck import check_site
from generator.render import count_files, render_site

KINDS = ("pixels", "visualization", "examples", "picture", "pushes")
SETS = [kinds for count in range(len(KINDS) + 1) for kinds in combinations(KINDS, count)]


def layer(*kinds, **more):
    return faces.atlas_of(*kinds, **more).models[0].layers[faces.LAYER]


def site_of(atlas):
    return dict(render_site(atlas))


def has(facts):
    return [face.kind for face in layer_faces(facts, face_grid(facts))]


def picture(content):
    return np.array(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def figures(site, unit):
    """The kinds of the figures on a neuron's page, in their order."""
    return re.findall(r"<figure class=(\w+)>", site[f"small/mixed/{unit}.html"].decode())


@pytest.fixture(scope="module")
def whole():
    return site_of(faces.atlas_of(*KINDS))


# -- every combination ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", SETS, ids="+".join)
def test_a_site_is_whole_and_counted_whatever_faces_there_are(kinds, tmp_path):
    atlas = faces.atlas_of(*kinds)
    for per_layer in (False, True):
        made = replace(atlas, per_layer=per_layer)
        site = site_of(made)
        assert count_files(made) == len(site)
        if per_layer or len(kinds) in (2, 3, 4):
            continue
        for path, content in site.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content)
        assert [line for line in check_site(tmp_path).problems if "faces" in line or "webp" in line] == []


@pytest.mark.parametrize("kinds", SETS, ids="+".join)
def test_a_layer_has_the_faces_it_has_in_the_declared_order(kinds):
    order = ("picture", "examples", "weights", "visualization", "pixels")
    assert has(layer(*kinds, order=order)) == [kind for kind in order if kind in kinds or kind == "weights"]


def test_the_bytes_are_the_same_again():
    atlas = faces.atlas_of(*KINDS)
    assert site_of(atlas) == site_of(atlas)


def test_without_faces_nothing_is_said_of_them():
    site = site_of(sample.sample_atlas())
    assert not [path for path in site if path.endswith(".webp")]
    assert "No image has passed through the network" in site["how-to-read.html"].decode()
    for path, content in site.items():
        if path.endswith(".html"):
            assert (
                b"<fieldset id=switch>" not in content
                and b"<figure" not in content
                and b"activations are what" not in content[9000:]
            )


def test_faces_that_are_not_in_the_order_are_not_shown():
    site = site_of(faces.atlas_of("pixels", "visualization", order=("weights", "visualization")))
    assert figures(site, 0) == ["weights", "visualization"]
    assert not [path for path in site if "pixels" in path]


def test_a_layer_may_have_no_face_at_all():
    atlas = faces.atlas_of("pixels", order=())
    site = site_of(atlas)
    page = site["small/mixed/0.html"].decode()
    assert count_files(atlas) == len(site)
    assert figures(site, 0) == []
    assert "img class=px" not in page
    assert not [path for path in site if path.startswith("small/mixed/") and path.endswith(("faces.png", ".webp"))]


@pytest.mark.parametrize(
    ("order", "told"), [((), "No picture is shown"), (("pixels",), "The pictures of its weights are not shown")]
)
def test_pictures_that_are_left_out_are_told_and_nothing_is_said_of_what_they_show(order, told):
    line = f"{told}: the makers of this atlas have left them out for this layer."
    site, usual = site_of(faces.atlas_of("pixels", order=order)), site_of(faces.atlas_of("pixels"))
    bare = "small/mixed/0.html" if not order else f"small/mixed/{faces.BARE}.html"  # a neuron without any picture
    for path in (bare, "small/mixed/index.html"):
        shown, before = said(Page(site[path].decode())), said(Page(usual[path].decode()))
        assert line in shown and line not in before
        assert re.search("factors? explains?", before) and not re.search("factors? explains?", shown)
    assert "class=factor" in usual[bare].decode() and "class=factor" not in site[bare].decode()
    assert line not in said(Page(site["small/head/0.html"].decode()))


# -- the page of a neuron -------------------------------------------------------------------------------------------------


def test_a_neuron_shows_its_faces_in_their_order(whole):
    assert figures(whole, 0) == ["weights", "pixels", "visualization", "examples", "picture"]
    order = ("examples", "weights", "picture", "pixels", "visualization")
    assert figures(site_of(faces.atlas_of(*KINDS, order=order)), 1) == list(order)


def test_a_neuron_that_lacks_a_face_shows_the_others(whole):
    assert figures(whole, faces.BARE) == ["weights", "visualization", "examples"]
    page = Page(whole[f"small/mixed/{faces.SILENT}.html"].decode())
    assert "It is active on none of 1,000 pictures." in said(page)
    only = site_of(faces.atlas_of("picture"))
    assert figures(only, 2) == []
    assert "small/mixed/faces/2.webp" not in only and "small/mixed/faces/1.webp" in only


def test_what_is_shown_is_told_with_how_it_was_made_and_whose_it_is(whole):
    told = said(Page(whole["small/mixed/1.html"].decode()))
    assert "Its weights on the pixels, 9 × 9 of the picture’s 32 × 32 pixels: mid-grey is zero" in told
    assert "91% of what its paths carry cancels" in told
    assert "MaxPool2d 3x3 taken as average pool 3x3." in told
    assert "the next one 2 pixels farther on." in told
    assert "Mean activation 1.00; of 1,000 photographs 1.00 at most." in told
    assert "The 4 pictures of 1,000 that excite it most (5.00 to 9.00)" in told
    assert "2 files could not be read: gone<b>.png is no picture; and 1 more." in told
    assert f"Pictures: Somebody {sample.HOSTILE}, CC BY 4.0." in told
    assert f"Artist {sample.HOSTILE}, CC0." in told
    marks = re.findall(r"how-to-read.html#(\w+)>More", whole["small/mixed/1.html"].decode())
    assert marks[:5] == ["pictures", "pixels", "visualization", "examples", "alike"]
    ids = Page(whole["how-to-read.html"].decode()).ids
    assert {*marks, "given"} <= set(ids)


def test_cancelling_is_told_where_it_is_known(whole):
    assert "carry cancels" not in said(Page(whole["small/mixed/0.html"].decode()))  # NaN
    assert "None of it cancels." in said(Page(whole["small/mixed/11.html"].decode()))


def test_pages_with_activations_say_what_these_are(whole):
    for path in ("small/mixed/0.html", "small/mixed/index.html", "small/index.html", "index.html"):
        assert "Weights are how, activations are what, attributions are why" in whole[path].decode()
    only = site_of(faces.atlas_of("pixels", "picture"))
    assert "activations are what" not in only["small/mixed/0.html"].decode()


def test_classes_are_links_with_their_weights(whole):
    page = whole["small/mixed/0.html"].decode()
    assert (
        "pushes up</span> <a href=../head/6.html>&lt;b&gt;&amp;&#34;&#39;&lt;/b&gt;</a>\u00a02.50, <a href=../head/1.html>label 1</a>"
        in page
    )
    assert "pushes down</span> <a href=../head/2.html>label 2</a>\u00a0\u22122.50" in page
    assert "0.50 is kept" not in page and "is kept; the rest cancels" in page
    assert "pushes up" not in whole["small/mixed/11.html"].decode()  # none


def test_classes_without_pages_are_named():
    site = site_of(faces.atlas_of(pushes=replace(faces.pushes(), classes="elsewhere")))
    assert "pushes up</span> class 6\u00a02.50" in site["small/mixed/0.html"].decode()


@pytest.mark.parametrize("kind", ["rgb", "signed"])
def test_the_field_stands_in_the_page_as_it_is(kind):
    site = site_of(faces.atlas_of(pixels=faces.pixels(kind=kind)))
    page = site["small/mixed/5.html"].decode()
    (held,) = re.findall(r"data:image/webp;base64,([\w+/=]+)", page)
    import base64

    drawn = picture(base64.b64decode(held))
    assert drawn.shape == ((9 if kind == "rgb" else 27), 9, 3)
    assert (drawn[:9] == faces.shade(5)).all()


def test_a_field_over_the_whole_picture_has_no_frame():
    full = replace(faces.pixels(side=32), size=faces.INPUT, shown=faces.INPUT, place=(0, 0))
    page = site_of(faces.atlas_of(pixels=full))["small/mixed/0.html"].decode()
    assert "in the picture</span>" not in page and "all of the picture" in page


def test_visualizations_held_against_no_photographs_say_so_by_saying_nothing():
    alone = replace(faces.looks(), count=0, photographs=np.full(12, np.nan, np.float32), notes=("it never fires",) + ("",) * 11)
    told = said(Page(site_of(faces.atlas_of(looks=alone))["small/mixed/0.html"].decode()))
    assert "Mean activation 0.00. It never fires." in told
    assert "photographs" not in told


@pytest.mark.parametrize(
    ("objective", "map_size", "grew", "measured"),
    [
        ("channel", (4, 4), "the neuron’s mean activation over its map grows", "Mean activation 1"),
        ("centre", (4, 4), "the neuron’s activation in the middle of its map grows", "Mean activation 1"),
        ("channel", None, "the neuron’s activation grows", "drive it. Activation 1"),
    ],
)
def test_what_was_made_large_of_a_visualization_is_told(objective, map_size, grew, measured):
    atlas = faces.atlas_of(looks=replace(faces.looks(), objective=objective))
    (model,) = atlas.models
    layers = [
        replace(facts, layer=replace(facts.layer, map_size=map_size)) if place == faces.LAYER else facts
        for place, facts in enumerate(model.layers)
    ]
    told = said(Page(site_of(replace(atlas, models=(replace(model, layers=tuple(layers)),)))["small/mixed/1.html"].decode()))
    assert grew in told and measured in told


def test_further_visualizations_stand_below_the_first():
    more = np.repeat(faces.looks().images[:, None], 3, 1) // 2
    atlas = faces.atlas_of(looks=replace(faces.looks(), more=more))
    site, plan = site_of(atlas), sheet_plan(atlas.models[0].layers[faces.LAYER])
    drawn = picture(site["small/mixed/faces/8.webp"])
    for rank in range(3):
        x = plan.more.x + rank * (plan.more.cols + 1)
        cut = drawn[plan.more.y : plan.more.y + plan.more.rows, x : x + plan.more.cols]
        assert np.abs(cut - faces.shade(8) // 2).max() <= 8
    page = site["small/mixed/8.html"].decode()
    assert page.count("<i style=--n:") == 3 and "Below, 3 further ones, unlike the first." in page


@pytest.mark.parametrize(
    ("count", "negative", "line", "labels"),
    [
        (3, 0, "Below, 3 further ones, unlike the first.", {"3 further visualizations of mixed:8": 3}),
        (1, 0, "Below, a further one, unlike the first.", {"1 further visualization of mixed:8": 1}),
        (1, 1, "Below, one that drives it down.", {"1 visualization of what drives mixed:8 down": 1}),
        (
            5,
            3,
            "Below, 2 further ones, unlike the first, and 3 that drive it down.",
            {"2 further visualizations of mixed:8": 2, "3 visualizations of what drives mixed:8 down": 3},
        ),
    ],
)
def test_visualizations_of_what_drives_a_neuron_down_are_told_from_the_others(count, negative, line, labels):
    more = np.repeat(faces.looks().images[:, None], count, 1)
    site = site_of(faces.atlas_of(looks=replace(faces.looks(), more=more, negative=negative)))
    page = site["small/mixed/8.html"].decode()
    assert line in said(Page(page))
    groups = re.findall(r'<p role=img aria-label="([^"]*)"[^>]*>((?:<i style=--n:\d+></i>)+)</p>', page)
    assert {told: tiles.count("<i ") for told, tiles in groups} == labels
    assert re.findall(r"<i style=--n:(\d+)", page) == [str(rank) for rank in range(count)]


def test_a_layer_that_reads_the_pixels_itself_shows_them_once():
    model = sample.sample_model()
    stem = replace(model.layers[1], pixels=faces.pixels(6, side=5), looks=faces.looks(6))
    atlas = sample.atlas(replace(model, layers=(model.layers[0], stem, *model.layers[2:])))
    site = site_of(atlas)
    page = site["small/~_stem/0.html"].decode()
    assert has(stem) == ["weights", "visualization"]
    assert re.findall(r"<figure class=(\w+)>", page) == ["weights", "visualization"]
    assert "excites</span>" in page and not [path for path in site if "pixels" in path]


# -- files ----------------------------------------------------------------------------------------------------------------


def test_a_sheet_holds_each_face_in_its_place(whole):
    plan = sheet_plan(layer(*KINDS))
    for unit in (0, 1, 8):
        drawn = picture(whole[f"small/mixed/faces/{unit}.webp"])
        assert drawn.shape[:2] == (plan.height, plan.width)
        for part in (plan.visualization, plan.examples):
            cut = drawn[part.y : part.y + part.rows, part.x : part.x + part.cols]
            assert np.abs(cut - faces.shade(unit)).max() <= 8
        page = whole[f"small/mixed/{unit}.html"].decode()
        (x, y, rows, cols) = map(int, re.findall(r'label="Picture given[^>]*--x:(\d+);--y:(\d+);--r:(\d+);--c:(\d+)', page)[0])
        assert (rows > cols, cols > rows) == ((unit == 0), (unit == 1))
        inside = drawn[y + 3 : y + rows - 3, x + 3 : x + cols - 3]  # of what surrounds it a little is left at its edges
        assert np.abs(inside - faces.shade(unit)).max() <= 8


def test_every_neuron_with_a_page_has_a_sheet(whole):
    chosen = layer().chosen.tolist()
    assert sorted(int(path.rpartition("/")[2][:-5]) for path in whole if "/mixed/faces/" in path) == chosen


def test_a_sprite_holds_the_neurons_in_their_order(whole):
    for name in ("visualization.webp", "examples.webp", "pixels.webp"):
        units = [unit for unit in range(12) if unit not in (faces.BARE, faces.SILENT)]
        tiles = tiles_of(picture(whole[f"small/mixed/{name}"]).astype(np.uint8), 12)
        assert np.abs(tiles[units].mean((1, 2, 3)) - faces.shade(np.array(units))).max() < 6, name


def test_a_neuron_without_a_face_has_the_first_it_has_in_the_sprite(whole):
    tiles = tiles_of(picture(whole["small/mixed/examples.webp"]).astype(np.uint8), 12)
    weights = layer().faces.pixels[faces.SILENT]
    assert abs(tiles[faces.SILENT].mean() - weights.mean()) < 12
    other = site_of(faces.atlas_of(*KINDS, order=("examples", "visualization", "weights")))
    tiles = tiles_of(picture(other["small/mixed/examples.webp"]).astype(np.uint8), 12)
    assert np.abs(tiles[faces.SILENT].astype(int) - faces.shade(faces.SILENT)).max() < 8


def test_tiny_pictures_lose_nothing():
    site = site_of(faces.atlas_of(pixels=faces.pixels(side=9)))
    tiles = tiles_of(picture(site["small/mixed/pixels.webp"]).astype(np.uint8), 12)
    assert (tiles[5] == faces.shade(5)).all()


def test_a_sprite_for_rows_is_light_where_that_can_be():
    random = np.random.default_rng(0)
    images = np.repeat(np.repeat(random.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8), 8, 1), 8, 2)
    site = site_of(faces.atlas_of(looks=replace(faces.looks(), images=images)))
    assert len(site["small/mixed/visualization.webp"]) <= LIGHT


def test_on_a_page_of_many_neurons_sheets_are_stacked_in_few_files():
    facts = layer("visualization", "examples")
    plan = sheet_plan(facts, joined=True)
    assert count_face_files(facts, per_layer=True) < count_face_files(facts)
    assert plan.stacked * (plan.height + 4) <= TALL
    site = site_of(replace(faces.atlas_of("visualization", "examples"), per_layer=True))
    drawn = picture(site["small/mixed/faces/0.webp"])
    for position, unit in enumerate(facts.chosen.tolist()):
        _, row = plan.place(unit, position)
        assert np.abs(drawn[row : row + 64, :64] - faces.shade(unit)).max() <= 8
    places = re.findall(
        r'label="Feature visualization of mixed:(\d+)" style="--x:0;--y:(\d+);', site["small/mixed/neurons.html"].decode()
    )
    assert [(int(unit), int(row)) for unit, row in places] == [
        (unit, plan.place(unit, position)[1]) for position, unit in enumerate(facts.chosen.tolist())
    ]


def test_a_layer_without_chosen_neurons_has_sprites_alone():
    facts = layer(*KINDS, chosen=np.zeros(0, np.int32))
    assert len(with_sheet(facts)) == 0
    atlas = faces.atlas_of(*KINDS, chosen=np.zeros(0, np.int32))
    assert count_files(atlas) == len(site_of(atlas))


# -- rows, grids and the switch -------------------------------------------------------------------------------------------


PAGES = (
    "index.html",
    "small/index.html",
    "small/mixed/index.html",
    "small/mixed/0.html",
    "small/head/0.html",
    "small/mixed/from-~_stem.html",
)


@pytest.mark.parametrize("path", PAGES)
def test_one_may_choose_among_the_faces_that_a_page_can_show(whole, path):
    asked = re.findall(r"type=radio name=face value=(\w+)( checked)?", whole[path].decode())
    assert asked == [("weights", " checked"), ("pixels", ""), ("visualization", ""), ("examples", ""), ("picture", "")]


def test_a_page_without_a_choice_has_no_switch(whole):
    assert "name=face" not in whole["small/~_stem/from-input.html"].decode()


def test_the_first_face_stands_and_the_others_wait_to_be_asked_for():
    order = ("visualization", "weights", "examples")
    site = site_of(faces.atlas_of(*KINDS, order=order))
    for path, sprite in (
        ("small/faces.css", "mixed/visualization.webp"),
        ("small/mixed/index.html", "visualization-large.webp"),
    ):
        rules = re.findall(r'([^{}]*)\{background-image:url\("([^"]*)"\)', site[path].decode())
        first = [place for selector, place in rules if "data-face" not in selector and not re.match(r"\s*\.f\d", selector)]
        assert sprite in first and not [place for place in first if "examples" in place]
        assert [
            selector for selector, place in rules if place.endswith("examples.webp") and "[data-face=examples] ." in selector
        ]
    assert "image-rendering:pixelated" in site["small/faces.css"].decode()  # weights again, after a smooth face


@pytest.mark.parametrize("path", ["index.html", "small/index.html"])
@pytest.mark.parametrize("order", [("weights", "pixels", "examples"), ("examples", "weights", "pixels")])
def test_first_pages_show_neurons_by_their_weights_and_by_what_they_respond_to(path, order):
    page = site_of(faces.atlas_of(*KINDS, order=order))[path].decode()
    rules = dict(re.findall(r'([^{}]*)>\[style\]::after\{[^}]*url\("[^"]*?mixed/([^"]*)"', page))
    css = next(selector for selector in rules if "data-face" not in selector).strip()
    beside = {selector.partition(" .")[0].strip() if "data-face" in selector else "": file for selector, file in rules.items()}
    seen = {"weights": "examples.webp", "pixels": "examples.webp", "examples": "faces.png"}
    assert beside == {"" if kind == order[0] else f"[data-face={kind}]": seen[kind] for kind in order}
    assert f'class="strip {css[1:]} paired"' in page
    assert "shown twice, by their weights and by their examples." in page


def test_first_pages_show_neurons_once_where_all_their_faces_are_of_weights():
    for page in ("index.html", "small/index.html"):
        html = site_of(faces.atlas_of("pixels"))[page].decode()
        assert "strip" in html and not re.search("paired|::after|shown twice", html)


def test_the_colours_of_factors_are_cut_from_the_weights_whichever_face_is_first():
    site = site_of(faces.atlas_of("visualization", order=("visualization", "weights")))
    (css,) = re.findall(r"<span class=(f\d+)><i class=red", site["small/mixed/0.html"].decode())[:1]
    assert re.search(rf'\.{css} ::before\{{background-image:url\("mixed/faces.png"\)', site["small/faces.css"].decode())


def test_orders_are_merged_as_they_stand():
    def of(*kinds):
        return tuple(face for kind in kinds for face in layer_faces(layer(*KINDS, order=(kind,)), face_grid(layer())))

    asked = switch_of([of("weights", "examples"), of("weights", "pixels", "visualization"), of("visualization", "examples")])
    assert [one.kind for one in asked.faces] == ["weights", "pixels", "visualization", "examples"]
    assert switch_of([of("weights"), of("weights")]).faces == ()
    assert switch_of([()]).faces == ()


def test_the_twin_tells_which_faces_there_are(whole):
    told = json.loads(whole["small/mixed/layer.json"])
    assert list(told["faces"]) == list(faces.ALL)
    assert told["faces"]["pixels"]["missing"] == [faces.BARE]
    assert told["faces"]["visualization"]["activation"] == [0, 1, 2, 4, 5, 6, 8, 11]
    assert told["faces"]["examples"]["image"][0] == list(range(7))
    assert told["faces"]["examples"]["activation"][told["units"].index(faces.SILENT)] == [None] * 7
    assert told["pushes"]["up"][0] == [6, 1, -1]
    assert list(json.loads(whole["small/head/layer.json"])["faces"]) == ["weights"]


# -- odd numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"examples": faces.examples(size=(1, 1))}, id="one pixel"),
        pytest.param({"examples": faces.examples(size=(3, 32))}, id="flat"),
        pytest.param({"examples": faces.examples(top=1, spread=0)}, id="one example"),
        pytest.param({"examples": faces.examples(top=50, spread=50)}, id="many examples"),
        pytest.param({"examples": replace(faces.examples(), images=np.full((12, 7), -1, np.int32))}, id="no example"),
        pytest.param(
            {
                "examples": replace(
                    faces.examples(), activations=np.full((12, 7), np.nan, np.float32), width=np.zeros(12, np.float32)
                )
            },
            id="no activation",
        ),
        pytest.param(
            {"examples": replace(faces.examples(), first=np.full(12, np.inf, np.float32), credit="", licence="")},
            id="no histogram",
        ),
        pytest.param({"looks": faces.looks(side=1)}, id="one pixel seen"),
        pytest.param({"looks": faces.looks(side=400)}, id="large"),
        pytest.param(
            {
                "looks": replace(
                    faces.looks(), activations=np.full(12, np.nan, np.float32), photographs=np.full(12, np.nan, np.float32)
                )
            },
            id="not measured",
        ),
        pytest.param({"pixels": replace(faces.pixels(), there=np.zeros(12, bool))}, id="no field"),
        pytest.param({"pixels": faces.pixels(side=1)}, id="one pixel read"),
        pytest.param(
            {"pixels": replace(faces.pixels(), shrunk=4, shown=(32, 36), limit=np.full(12, np.nan, np.float32))},
            id="drawn smaller",
        ),
        pytest.param(
            {"given": replace(faces.given(), there=np.zeros(12, bool), sizes=np.zeros((12, 2), np.int32))}, id="none given"
        ),
        pytest.param({"given": faces.given(chosen=(11,))}, id="one given"),
        pytest.param(
            {"pushes": replace(faces.pushes(), up=np.full((12, 3), -1, np.int32), down=np.full((12, 3), -1, np.int32))},
            id="no class",
        ),
        pytest.param({"pushes": replace(faces.pushes(), up_kept=None, down_kept=None, through=())}, id="own weights"),
    ],
)
def test_odd_numbers_make_a_site_all_the_same(odd):
    atlas = faces.atlas_of(**odd)
    site = site_of(atlas)
    assert count_files(atlas) == len(site)
    for path, content in site.items():
        if path.endswith(".html"):
            shown = re.findall(
                r"<figure class=(?!weights).*?</figure>|<section class=pushes>.*?</section>", content.decode(), re.DOTALL
            )
            assert not re.search(r"(?<![\w+/])(?:nan|inf)(?![\w+/])", "".join(shown))
        if path.endswith("layer.json"):
            json.loads(content)


def test_pictures_that_none_has_are_no_face():
    assert has(layer(examples=replace(faces.examples(), images=np.full((12, 7), -1, np.int32)))) == ["weights"]
    assert has(layer(pixels=replace(faces.pixels(), there=np.zeros(12, bool)))) == ["weights"]


# -- feature visualizations that come with a model ------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    measured = {"activations": [1.0] * 40, "photographs": [0.5] * 40}
    (tmp_path / "index.json").write_text(json.dumps({"weights": "abc", "photographs": 7, "layers": {"a.b": measured}}))
    (tmp_path / "a.b.webp").write_bytes(sprite_of(faces.looks(40).images))
    return tmp_path


def test_a_folder_of_them_is_read_layer_by_layer(folder):
    found = read_looks(folder, "abc", "a.b", 40)
    assert found.images.shape == (40, 64, 64, 3)
    assert np.abs(found.images.mean((1, 2, 3)) - faces.shade(np.arange(40))).max() < 6
    assert (found.count, found.activations[3], found.photographs[3]) == (7, 1.0, 0.5)


@pytest.mark.parametrize(("weights", "name"), [("abd", "a.b"), ("abc", "a.c")])
def test_those_of_other_weights_or_layers_are_not_shown(folder, weights, name):
    assert read_looks(folder, weights, name, 40) is None


def test_a_model_without_a_folder_has_none(tmp_path):
    assert read_looks(None, "abc", "a.b", 40) is None
    assert read_looks(tmp_path, "abc", "a.b", 40) is None
