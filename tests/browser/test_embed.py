"""Pages in frames of others: the figure alone, and a frame that is as high as its figure, over file:// and http."""

import pytest
from playwright.sync_api import expect

NEURON = "small/mixed/4.html"
HEIGHT = "() => document.querySelector('.taken').getBoundingClientRect().height"
FRAME = '<iframe src="{src}" title="a neuron" width="100%" height="50" style="border:0"></iframe>'


@pytest.fixture
def article(visit, tmp_path):
    """Opens a page of an author's, beside the atlas on the disk, with this in it."""

    def article(body, **options):
        path = tmp_path / "article.html"
        path.write_text(
            f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>An article</title><body>{body}', encoding="utf-8"
        )
        page = visit(path, **options)
        page.wait_for_load_state("networkidle")
        return page

    return article


def frame_of(page):
    """The frame of a page, once its figure is there."""
    for _ in range(400):
        if len(page.frames) > 1:
            break
        page.wait_for_timeout(50)
    frame = page.frames[1]
    frame.wait_for_selector(".taken")
    return frame


def settled(page, frame, element="document.querySelector('iframe')"):
    """The height of a frame once it is that of the figure in it."""
    for _ in range(400):
        high, shown = page.evaluate(f"parseFloat(getComputedStyle({element}).height)"), frame.evaluate(HEIGHT)
        if 0 <= high - shown <= 2:
            return high
        page.wait_for_timeout(50)
    pytest.fail(f"a figure of {shown} in a frame of {high}")


def test_a_frame_shows_the_figure_alone(visit, sample_site, at):
    page = visit(at(sample_site, f"{NEURON}#embed"))
    page.locator(".taken").wait_for()
    assert page.locator("header, footer, .skip, #use").locator("visible=true").count() == 0
    assert page.get_by_role("link", name="mixed:4").get_attribute("target") == "_blank"
    assert page.get_by_role("link", name="mixed:4").get_attribute("href") == at(sample_site, NEURON)
    assert page.locator(".taken img").is_visible()
    assert page.locator(".taken tbody tr").count() == 4 + 4
    assert page.get_by_role("heading", level=1).inner_text() == "mixed:4"


def test_the_links_of_a_frame_lead_to_the_published_pages(visit, published_site):
    page = visit(published_site / f"{NEURON}")
    page.goto(page.url + "#embed")
    page.locator(".taken").wait_for()
    links = page.locator(".taken a").evaluate_all("all => all.map(one => one.href)")
    assert links
    assert all(link.startswith("https://example.org/sub/path/") for link in links)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_frame_is_as_high_as_its_figure_and_stays_so(article, sample_site, at, width):
    script = at(sample_site, "embed.js")
    page = article(
        FRAME.format(src=at(sample_site, f"{NEURON}#embed")) + f'<script src="{script}" async></script>', width=width
    )
    frame = frame_of(page)
    before = settled(page, frame)
    page.evaluate("document.querySelector('iframe').style.width = '260px'")
    assert settled(page, frame) > before - 1
    assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_script_that_comes_late_asks_for_the_height(article, sample_site):
    page = article(FRAME.format(src=(sample_site / NEURON).as_uri() + "#embed"))
    frame = frame_of(page)
    assert page.evaluate("document.querySelector('iframe').clientHeight") == 50
    page.add_script_tag(url=(sample_site / "embed.js").as_uri())
    assert settled(page, frame) > 60


def test_a_frame_of_another_site_is_left_alone(article, sample_site):
    page = article('<iframe srcdoc="other" title="another" height="50"></iframe>')
    page.add_script_tag(url=(sample_site / "embed.js").as_uri())
    page.evaluate("postMessage({type: 'weight-atlas:height', height: 500}, '*')")
    page.evaluate(
        "document.querySelector('iframe').contentWindow.eval(\"parent.postMessage({type: 'another', height: 500}, '*')\")"
    )
    page.wait_for_timeout(100)
    assert page.evaluate("document.querySelector('iframe').clientHeight") == 50


def test_the_height_is_told_in_three_forms(article, sample_site):
    listen = "<script>window.heard = []; addEventListener('message', event => heard.push(event.data))</script>"
    address = (sample_site / NEURON).as_uri()
    page = article(listen + FRAME.format(src=f"{address}?initialWidth=600&childId=fig-1&parentUrl=x#embed"))
    frame = frame_of(page)
    page.wait_for_function("heard.length >= 3")
    heard = page.evaluate("heard")
    height = heard[-3]["height"]
    assert 0 <= height - frame.evaluate(HEIGHT) <= 2
    assert heard[-3] == {
        "type": "weight-atlas:height",
        "address": f"{address}?initialWidth=600&childId=fig-1&parentUrl=x",
        "height": height,
    }
    assert heard[-2] == {"sentinel": "amp", "type": "embed-size", "height": height}
    assert heard[-1] == f"pymxPYMxfig-1xPYMxheightxPYMx{height}"


def test_the_script_for_hosts_is_under_a_kilobyte(sample_site):
    assert len((sample_site / "embed.js").read_bytes()) < 1_000


def test_a_card_is_a_figure_in_any_page(article, sample_site, at):
    script, page_of = at(sample_site, "card.js"), at(sample_site, NEURON)
    page = article(
        f'<atlas-card href="{page_of}" rows="2" theme="dark"><a href="{page_of}">mixed:4</a></atlas-card><script src="{script}"></script>'
    )
    frame = frame_of(page)
    assert settled(page, frame, "document.querySelector('atlas-card').shadowRoot.querySelector('iframe')") > 60
    assert frame.locator("tbody tr").count() == 2 + 2
    assert frame.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.locator("atlas-card iframe").get_attribute("title") == "mixed:4"
    page.evaluate("document.querySelector('atlas-card').setAttribute('rows', '0')")
    expect(page.frame_locator("atlas-card iframe").locator("tbody tr")).to_have_count(0, timeout=20_000)
    page.frame_locator("atlas-card iframe").locator(".taken").wait_for()
    assert page.frame_locator("atlas-card iframe").locator("tbody tr").count() == 0


def test_a_card_without_scripts_is_what_stands_in_it(article):
    page = article('<atlas-card href="x"><a href="https://example.org/">mixed:4</a></atlas-card>', java_script_enabled=False)
    assert page.get_by_role("link", name="mixed:4").is_visible()


def test_a_card_leads_to_pages_only(article, sample_site):
    page = article(f'<script src="{(sample_site / "card.js").as_uri()}"></script>', clean=False)
    page.evaluate("document.body.innerHTML = '<atlas-card href=\"javascript:alert(1)\">x</atlas-card>'")
    assert page.locator("atlas-card iframe").count() == 0


@pytest.mark.parametrize(
    "path", ["small/mixed/from-~_stem.html", "small/head/6.html", "small/input/0.html", "small/mixed/5.html"]
)
@pytest.mark.parametrize("width", [640, 320])
def test_every_kind_of_figure_fits_its_frame(visit, sample_site, path, width):
    page = visit((sample_site / path).as_uri() + "#embed", width=width)
    page.locator(".taken").wait_for()
    assert page.evaluate("[...document.querySelectorAll('.wide')].every(one => one.scrollWidth <= one.clientWidth + 1)")
    assert page.locator("main").inner_text().strip()
