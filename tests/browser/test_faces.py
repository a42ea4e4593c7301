"""The faces of neurons in a real browser: their order, the switch that stays on, what is fetched, on paper and on a telephone."""

import io
import re
from dataclasses import replace

import pytest
import sample_faces as faces
from PIL import Image

from browser.sites import write
from browser.test_pages import THEMES, assert_none, violations
from generator.render import render_site

KINDS = ("pixels", "visualization", "examples", "picture", "pushes")
NEURON, GRID = "small/mixed/0.html", "small/mixed/index.html"
TILE = "(one, which) => getComputedStyle(one, which).backgroundImage"


@pytest.fixture(scope="module")
def faces_site(tmp_path_factory):
    return write(faces.atlas_of(*KINDS), tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def signed_site(tmp_path_factory):
    atlas = faces.atlas_of(pixels=faces.pixels(kind="signed"), order=("pixels", "weights"))
    return write(atlas, tmp_path_factory.mktemp("signed"))


def shown(page, selector=".grid > a"):
    """The sprite from which the first face is cut."""
    image = page.locator(selector).first.evaluate(TILE, "::before")
    return re.search(r"([\w-]+\.\w+)\"?\)$", image)[1]


def choose(page, name):
    page.get_by_role("radio", name=name).check()


def test_the_first_face_stands_until_another_is_asked_for(visit, at, faces_site):
    page = visit(at(faces_site, GRID))
    assert shown(page) == "faces.png"
    choose(page, "feature visualizations")
    assert shown(page) == "visualization-large.webp"
    choose(page, "examples")
    assert shown(page) == "examples.webp"
    choose(page, "weights on the pixels")
    assert shown(page) == "pixels.webp"


def test_the_choice_holds_on_every_page_of_the_atlas(visit, at, faces_site):
    page = visit(at(faces_site, GRID))
    choose(page, "examples")
    for path in ("small/mixed/1.html", "small/index.html", "index.html", "small/head/0.html", "small/mixed/from-~_stem.html"):
        page.goto(at(faces_site, path))
        assert page.get_by_role("radio", name="examples").is_checked()
    page.goto(at(faces_site, "small/head/0.html"))
    page.locator("#r0").scroll_into_view_if_needed()
    page.locator("#r0.near").wait_for()
    assert shown(page, "#r0 th > a") == "examples.webp"
    choose(page, "given pictures")
    assert shown(page, "#r0 th > a") == "picture.webp"
    page.reload()
    assert page.get_by_role("radio", name="given pictures").is_checked()


def test_another_atlas_keeps_its_own_choice(visit, host, faces_site, signed_site):
    page = visit(host(faces_site) + GRID)
    choose(page, "examples")
    other = visit(host(signed_site) + GRID)
    assert other.get_by_role("radio", name="weights on the pixels").is_checked()
    assert shown(other) == "pixels.webp"


def test_the_switch_works_from_the_keyboard(visit, faces_site):
    page = visit(faces_site / GRID)
    page.get_by_role("radio", name="weights", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("radio", name="weights on the pixels").is_checked()
    assert shown(page) == "pixels.webp"


def test_without_a_script_the_first_face_stands(visit, faces_site):
    page = visit(faces_site / GRID, java_script_enabled=False)
    assert page.locator("#switch").is_hidden()
    page = visit(faces_site / NEURON, java_script_enabled=False)
    assert page.locator(".faces figure").count() == 5
    part = page.locator(".visualization .part")
    assert "faces/0.webp" in part.evaluate("one => getComputedStyle(one).backgroundImage")


def test_a_sorted_grid_keeps_the_face_that_was_asked_for(visit, faces_site):
    page = visit(faces_site / GRID)
    choose(page, "examples")
    page.get_by_label("Sort by").select_option("norm")
    assert shown(page, "#sorted .grid > a") == "examples.webp"


def test_photographs_are_fetched_when_they_are_nearly_in_sight(visit, host, faces_site):
    page = visit("about:blank", width=390)
    asked = []
    page.on("request", lambda one: asked.append(one.url))
    page.set_viewport_size({"width": 390, "height": 300})
    page.goto(host(faces_site) + "small/mixed/1.html")
    page.wait_for_load_state("networkidle")
    assert not [url for url in asked if "/faces/" in url]
    page.locator(".visualization").scroll_into_view_if_needed()
    page.locator(".visualization.near").wait_for()
    page.wait_for_load_state("networkidle")
    assert len([url for url in asked if "/faces/1.webp" in url]) == 1


def test_nothing_moves_when_photographs_come(visit, faces_site):
    page = visit(faces_site / NEURON)
    page.wait_for_load_state("networkidle")
    before = page.evaluate("document.documentElement.scrollHeight")
    page.locator(".faces > figure").evaluate_all("all => all.forEach(one => one.classList.add('near'))")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollHeight") == before


def colour(page, selector):
    """The colour in the middle of an element, as the browser paints it."""
    element = page.locator(selector).first
    element.scroll_into_view_if_needed()
    taken = Image.open(io.BytesIO(element.screenshot())).convert("RGB")
    return taken.getpixel((taken.width // 2, taken.height // 2))


@pytest.mark.parametrize("unit", [1, 8])  # of a grey of 20, below zero, and of 160, above it
def test_what_excites_and_what_inhibits_are_told_apart(visit, faces_site, unit):
    page = visit(faces_site / f"small/mixed/{unit}.html")
    page.wait_for_load_state("networkidle")
    grey = int(faces.shade(unit))
    assert max(abs(one - grey) for one in colour(page, ".field > i")) <= 2
    assert max(abs(one - max(0, 2 * grey - 255)) for one in colour(page, ".field .up")) <= 3
    assert max(abs(one - max(0, 255 - 2 * grey)) for one in colour(page, ".field .down")) <= 3


def test_each_photograph_is_cut_from_its_place(visit, faces_site):
    page = visit(faces_site / "small/mixed/8.html")
    page.wait_for_load_state("networkidle")
    grey = int(faces.shade(8))
    for selector in (".visualization .part", ".tiles i", ".tiles p:last-child i:last-child", ".picture .part"):
        assert max(abs(one - grey) for one in colour(page, selector)) <= 6, selector


def test_the_field_lies_in_the_frame_where_it_is_in_the_picture(visit, faces_site):
    page = visit(faces_site / "small/mixed/1.html")
    boxes = [page.locator(selector).first.bounding_box() for selector in (".field b", ".field b i")]
    step = boxes[0]["width"] / 32
    assert (boxes[1]["x"] - boxes[0]["x"]) / step == pytest.approx(12, abs=0.2)
    assert (boxes[1]["y"] - boxes[0]["y"]) / step == pytest.approx(11, abs=0.2)
    assert boxes[1]["width"] / step == pytest.approx(9, abs=0.2)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", [NEURON, "small/mixed/6.html", "small/mixed/8.html", GRID, "index.html", "how-to-read.html"])
def test_axe_finds_nothing_on_pages_with_faces(visit, faces_site, path, width):
    assert_none(violations(visit(faces_site / path, width=width), THEMES), f"{path}, {width} px")


def test_axe_finds_nothing_where_a_layer_stands_on_one_page(visit, tmp_path):
    site = write(replace(faces.atlas_of(*KINDS), per_layer=True), tmp_path)
    page = visit(site / "small/mixed/neurons.html")
    assert page.locator("#switch").count() == 1
    assert_none([line for line in violations(page) if "target-size" not in line], "neurons.html")


def test_a_frame_shows_all_faces_in_their_order_and_says_what_activations_are(visit, at, signed_site, faces_site):
    page = visit(at(signed_site, f"{NEURON}#embed"))
    assert page.locator(".stands > div").all_inner_texts() == ["on the pixels", "weights"]
    page = visit(at(faces_site, f"{NEURON}#embed"))
    assert page.locator(".stands > div").all_inner_texts() == [
        "weights",
        "on the pixels",
        "visualization",
        "examples",
        "given picture",
    ]
    for part in (".px", ".field > i", ".part", ".tiles i"):
        assert page.locator(f".stands {part}").first.bounding_box()["width"] <= 113
    told = page.locator(".top > :last-child p").all_inner_texts()
    assert [words for words in told if "activations are what" in words]
    assert not [words for words in told if "inhibits" in words]  # that is said of a picture


def test_the_faces_of_rows_are_there_in_a_frame_that_nobody_scrolls(visit, at, faces_site):
    page = visit(at(faces_site, f"{NEURON}#embed"), width=390)
    page.set_viewport_size({"width": 390, "height": 100})
    page.locator(".taken tbody").first.wait_for()
    images = page.locator(".taken tbody th > *").evaluate_all("(all) => all.map(one => (" + TILE + ")(one, '::before'))")
    assert images
    assert all(image.startswith("url(") for image in images)


def test_a_figure_is_saved_with_its_faces(visit, host, faces_site):
    page = visit(host(faces_site) + NEURON)
    page.locator("#use > summary").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save: Figure, SVG").click()
    drawing = waiting.value.path().read_text()
    sizes = [int(side) for side in re.findall(r'<image [^>]*?width="(\d+)[."]', drawing)]
    assert "left out" not in page.get_by_role("status").inner_text()
    assert sum(side > 48 for side in sizes) == 4 + faces.TOP  # rows have smaller ones
    assert max(sizes) <= 113  # what only hands its picture on is not drawn
    assert ">visualization</text>" in drawing


def test_the_pictures_are_on_paper_too(visit, faces_site):
    page = visit(faces_site / NEURON)
    page.emulate_media(media="print")
    assert page.locator("#switch").is_hidden()
    assert "url(" in page.locator(".visualization .part").evaluate("one => getComputedStyle(one).backgroundImage")
    paper = page.pdf(format="A4", print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1


def test_sites_are_of_the_same_bytes_again(faces_site):
    site = dict(render_site(faces.atlas_of(*KINDS)))
    assert all((faces_site / path).read_bytes() == content for path, content in site.items())
