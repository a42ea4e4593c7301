"""The panel "Use this": what it offers, over file:// and http, and that what is taken away is what was shown."""

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
import sample_facts as sample
from PIL import Image

from browser.sites import write
from generator.render import render_site

NEURON, PAIR = "small/mixed/4.html", "small/mixed/from-_stem.html"
SVG = "{http://www.w3.org/2000/svg}"
WHOLE = replace(
    sample.atlas(sample.sample_model(), site_url="https://example.org/sub/path/"), title="100% of_it & more", licence="CC0 {1}"
)


@pytest.fixture(scope="module")
def named_site(tmp_path_factory):
    """A site with an address, and with names that LaTeX would trip over."""
    return write(WHOLE, tmp_path_factory.mktemp("named"))


@pytest.fixture
def panel(visit):
    def panel(place, **options):
        page = visit(place, **options)
        page.locator("#use > summary").click()
        page.locator(".take").wait_for()
        return page

    return panel


def said(page):
    return page.get_by_role("status").inner_text()


def snippet(page, name):
    return page.locator(".take dl > div", has=page.get_by_text(name, exact=True)).locator("code").inner_text()


def saved(page, name):
    """A file that the panel saves: its name and its content."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name=f"Save: {name}").click()
    return waiting.value.suggested_filename, waiting.value.path().read_bytes()


def test_without_scripts_there_is_no_panel_and_nothing_lost(visit, sample_site):
    page = visit(sample_site / NEURON, java_script_enabled=False)
    assert page.locator("#use").is_hidden()
    assert page.locator("main table").count() >= 2


def test_the_panel_is_fetched_when_it_is_opened_and_filled_once(panel, sample_site):
    page = panel(sample_site / NEURON)
    page.locator("#use > summary").click()
    page.locator("#use > summary").click()
    assert page.locator(".take").count() == 1
    assert page.evaluate("[...document.scripts].filter(one => one.src.endsWith('take.js')).length") == 1


def test_every_snippet_is_copied_as_it_stands(panel, sample_site, at):
    page = panel(at(sample_site, NEURON))
    page.evaluate(
        "() => { window.kept = []; const own = navigator.clipboard; Object.defineProperty(navigator, 'clipboard', {value: own && {writeText: words => { kept.push(words); return Promise.resolve(); }}}); }"
    )
    names = page.locator(".take dt").all_inner_texts()
    assert names == ["Address", "Markdown", "HTML", "LaTeX", "BibTeX", "Frame", "Element"]
    for name in names:
        page.get_by_role("button", name=f"Copy: {name}").click()
        page.get_by_text(f"{name} copied.").wait_for()
        if page.evaluate("kept.length"):
            assert (
                page.evaluate("kept.pop()")
                == page.locator(".take dl > div", has=page.get_by_text(name, exact=True)).locator("code").text_content()
            )


def test_a_browser_without_a_clipboard_still_copies(panel, sample_site):
    page = panel(sample_site / NEURON)
    page.evaluate(
        "() => { Object.defineProperty(navigator, 'clipboard', {value: undefined}); document.addEventListener('copy', () => { window.kept = document.activeElement.value; }); }"
    )
    page.get_by_role("button", name="Copy: Address").click()
    page.get_by_text("Address copied.").wait_for()
    assert page.evaluate("kept") == snippet(page, "Address")


def test_a_refusal_to_copy_is_said(panel, sample_site):
    page = panel(sample_site / NEURON)
    page.evaluate(
        "() => { Object.defineProperty(navigator, 'clipboard', {value: undefined}); document.execCommand = () => false; }"
    )
    page.get_by_role("button", name="Copy: Address").click()
    page.get_by_text("could not be copied").wait_for()


def test_the_address_is_the_permanent_one_where_there_is_one(panel, sample_site, named_site, at):
    page = panel(at(named_site, NEURON))
    assert snippet(page, "Address") == f"https://example.org/sub/path/{NEURON}"
    assert "https://example.org/sub/path/embed.js" in snippet(page, "Frame")
    assert "https://example.org/sub/path/card.js" in snippet(page, "Element")
    local = panel(at(sample_site, NEURON))
    assert snippet(local, "Address") == at(sample_site, NEURON)
    assert "site_url" in local.locator(".take").inner_text()
    assert "site_url" not in page.locator(".take").inner_text()


def test_what_latex_would_trip_over_is_escaped(panel, named_site):
    page = panel(named_site / NEURON)
    entry = snippet(page, "BibTeX")
    assert "note = {100\\% of\\_it \\& more. small. CC0 \\{1\\}}" in entry
    assert "title = {{mixed:4}}" in entry
    assert "year" not in entry
    assert entry.count("{") == entry.count("}")
    assert (
        snippet(page, "LaTeX")
        == f"\\href{{https://example.org/sub/path/{NEURON}}}{{\\includegraphics[width=3cm]{{mixed_4.png}}}}"
    )


def test_authors_and_licence_are_those_of_the_atlas(panel, sample_site):
    page = panel(sample_site / NEURON)
    assert f"author = {{N. {sample.HOSTILE.replace('&', chr(92) + '&')}}}" in snippet(page, "BibTeX")
    assert "CC0" in snippet(page, "BibTeX")


def test_the_html_snippet_is_the_linked_picture(panel, visit, sample_site):
    html = panel(sample_site / NEURON).locator("code", has_text="<img").text_content()
    page = visit("about:blank")
    page.set_content(html)
    assert page.locator("a img").evaluate("one => one.naturalWidth") == 3
    assert page.locator("a").get_attribute("href") == (sample_site / NEURON).as_uri()


def test_the_picture_is_saved_with_its_pixels_enlarged_and_nothing_else_changed(panel, sample_site, at):
    name, held = saved(panel(at(sample_site, NEURON)), "Picture, PNG")
    picture = np.asarray(Image.open(io.BytesIO(held)).convert("RGB"))
    times = picture.shape[0] // 3
    face = sample.sample_model().layers[2].faces.pixels[4]
    assert name == "mixed_4.png"
    assert times > 100
    np.testing.assert_array_equal(picture, face.repeat(times, 0).repeat(times, 1))


def test_the_figure_is_saved_as_svg_that_holds_all_it_shows(panel, sample_site, at):
    page = panel(at(sample_site, NEURON))
    name, held = saved(page, "Figure, SVG")
    root = ElementTree.fromstring(held)
    images = root.findall(f".//{SVG}image")
    over_http = page.url.startswith("http")
    assert name == "mixed_4.svg"
    assert all(image.get("href").startswith("data:image/png;base64,") for image in images)
    assert all("pixelated" in image.get("style") for image in images)
    assert len(images) == (
        1 + 4 + 4 + 4 + 4 if over_http else 1 + 4 + 4
    )  # the picture, kernels, and faces where they may be read
    assert ("left out" in said(page)) == (not over_http)
    words = ["".join(one.itertext()) for one in root.findall(f".//{SVG}text")]
    assert "mixed:4" in words
    assert any("explain" in one for one in words)
    links = {one.get("href") for one in root.findall(f".//{SVG}a")}
    assert at(sample_site, NEURON) in links
    assert all(re.match(r"(file|http)://?.*\.html$", link) for link in links)
    assert root.find(f"{SVG}title").text == "mixed:4 · small"


def test_an_svg_is_drawn_on_light_paper_in_either_theme(panel, sample_site):
    drawings = [saved(panel(sample_site / NEURON, theme=theme), "Figure, SVG")[1] for theme in ("light", "dark")]
    assert drawings[0] == drawings[1]
    assert not panel(sample_site / NEURON).locator(".stage").count()


def test_a_narrow_window_saves_the_same_figure(panel, sample_site):
    wide, narrow = (saved(panel(sample_site / NEURON, width=width), "Figure, SVG")[1] for width in (1280, 390))
    assert wide == narrow


def test_the_figure_is_saved_as_png_of_twice_its_size(panel, sample_site):
    page = panel(sample_site / NEURON)
    root = ElementTree.fromstring(saved(page, "Figure, SVG")[1])
    name, held = saved(page, "Figure, PNG")
    assert name == "mixed_4-figure.png"
    assert Image.open(io.BytesIO(held)).size == (2 * int(root.get("width")), 2 * int(root.get("height")))


def test_the_numbers_are_those_of_the_tables(panel, sample_site, at):
    page = panel(at(sample_site, NEURON))
    name, held = saved(page, "Numbers, JSON")
    told = json.loads(held)
    twin = json.loads((sample_site / "small/mixed/layer.json").read_bytes())
    where = twin["units"].index(4)
    assert name == "mixed_4.json"
    assert (told["address"], told["page"], told["model"]) == ("mixed:4", at(sample_site, NEURON), "small")
    assert told["all"] == at(sample_site, "small/mixed/layer.json")
    tables = [table for table in told["tables"] if "layer" in table]
    assert [table["layer"] for table in tables] == ["_stem", "input", "head"]
    for table, given in zip(tables, (*twin["reads"], *twin["writes"]), strict=True):
        units = given["other"][where]
        assert [row["address"] for row in table["rows"]] == [f"{given['layer']}:{unit}" for unit in units]
        assert [row["norm"] for row in table["rows"]] == pytest.approx(given["norm"][where], rel=0.01, abs=0.001)
        assert [row["share"] for row in table["rows"]] == pytest.approx(given["share"][where], abs=0.001)
        assert {row["sign"] for row in table["rows"]} <= {"excites", "inhibits", "mixed"}
        assert all(row["page"].startswith(at(sample_site, "small/")) for row in table["rows"])


def test_every_kind_of_neuron_can_be_taken_away(panel, sample_site):
    for path in (
        "small/input/0.html",
        "small/~_stem/1.html",
        "small/head/6.html",
        f"small/mixed/{sample.DEAD}.html",
        f"small/mixed/{sample.BROKEN}.html",
    ):
        page = panel(sample_site / path)
        ElementTree.fromstring(saved(page, "Figure, SVG")[1])
        json.loads(saved(page, "Numbers, JSON")[1], parse_constant=lambda name: pytest.fail(name))


def test_a_pair_of_layers_can_be_taken_away(panel, sample_site, host):
    path = next(path for path, _ in render_site(sample.sample_atlas()) if re.fullmatch(r"small/mixed/from-.*stem\.html", path))
    page = panel(host(sample_site) + path)
    name, held = saved(page, "Figure, SVG")
    told = json.loads(saved(page, "Numbers, JSON")[1])
    assert name == "stem_mixed.svg"
    assert len(ElementTree.fromstring(held).findall(f".//{SVG}image")) > 20
    (kernels,) = [table["connections"] for table in told["tables"] if "connections" in table]
    assert {one["reads"].split(":")[0] for one in kernels} == {"_stem"}
    assert Image.open(io.BytesIO(saved(page, "Picture, PNG")[1])).width > 1
