"""Every kind of page in a real browser: clean, accessible, usable by keyboard, on paper and without scripts, and light."""

import re
from functools import cache
from importlib import resources

import pytest
import sample_facts as sample

from browser.conftest import told
from browser.kinds import KINDS, examples, pages_by_kind

WIDTHS, THEMES = (1280, 390), ("light", "dark")
REQUESTS, BYTES = 8, 100_000  # of a neuron's page with its styles, scripts and pictures
PAGES = [kind for kind in KINDS if kind != "alias"]  # an alias is left at once
RULES = {"target-size": {"enabled": True}}  # of WCAG 2.2, which axe leaves off; Lighthouse asks for it
OPTIONS = {"resultTypes": ["violations"], "preload": False, "rules": RULES}


@cache
def axe():
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")


def violations(page, themes=()):
    """What axe-core holds against a page, with everything that can be unfolded unfolded: a line for each element."""
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    if page.locator("#use").filter(visible=True).count():
        page.locator("#use .take").wait_for()  # its script comes when it is opened
    page.evaluate(axe())
    return [f"{theme} {line}" for theme in themes or [""] for line in told_by_axe(page, theme)]


def told_by_axe(page, theme):
    """The same of a page as it is now, in a theme; without a theme in the one that it has."""
    if theme:
        page.emulate_media(color_scheme=theme)
    found = page.evaluate("async options => (await axe.run(document, options)).violations", OPTIONS)
    return [f"{one['id']}: {node['target'][0]}: {node['failureSummary']}" for one in found for node in one["nodes"]]


def assert_none(lines, where):
    assert not lines, f"{where}:\n" + "\n".join(lines)


def test_every_page_of_the_demo_is_of_a_kind_that_is_looked_at(demo_site):
    assert set(pages_by_kind(demo_site)) == set(KINDS)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", PAGES)
def test_axe_finds_nothing_in_either_theme(visit, demo_site, kind, width):
    pages = examples(demo_site, kind)
    assert pages
    page = visit(pages[0], width=width)
    found = []
    for path in pages:
        page.goto(path.as_uri())
        found += [f"{path.relative_to(demo_site)}: {line}" for line in violations(page, THEMES) + told(page)]
    assert_none(found, f"{kind}, {width} px")


@pytest.mark.parametrize("kind", PAGES)
def test_every_kind_of_page_is_clean_under_a_sub_path(visit, host, demo_site, kind):
    page = visit(host(demo_site) + "index.html")
    for path in examples(demo_site, kind):
        page.goto(host(demo_site) + path.relative_to(demo_site).as_posix())
        assert_none(told(page), path)


def test_every_page_of_the_sample_is_clean_on_a_telephone(visit, sample_site):
    page = visit(sample_site / "index.html", width=390)
    for kind, paths in pages_by_kind(sample_site).items():
        for path in paths if kind != "alias" else ():
            page.goto(path.as_uri())
            assert_none(told(page), path)


@pytest.mark.parametrize("unit", [sample.DEAD, sample.BROKEN])
def test_axe_finds_nothing_on_odd_neurons(visit, sample_site, unit):
    assert_none(violations(visit(sample_site / f"small/mixed/{unit}.html")), unit)


def test_an_alias_leads_to_its_page(visit, demo_site, at):
    alias = examples(demo_site, "alias")[0]
    page = visit(at(demo_site, alias.relative_to(demo_site).as_posix()))
    (target,) = re.findall(r'content="0; url=([^"]+)"', alias.read_text("utf-8"))
    page.wait_for_url(f"**/{target.lstrip('./')}")


def test_an_alias_is_accessible_while_it_shows(visit, host, demo_site):
    alias = examples(demo_site, "alias")[0]
    still = alias.read_text("utf-8").replace('http-equiv="refresh"', 'name="refresh"')
    page = visit(host(demo_site) + "index.html")
    address = host(demo_site) + alias.relative_to(demo_site).as_posix()
    page.route(address, lambda route: route.fulfill(body=still, content_type="text/html; charset=utf-8"))
    page.goto(address)
    assert_none(violations(page), alias)


def test_a_missing_address_deep_in_the_site_finds_the_way_home(visit, host, published_site):
    page = visit(host(published_site) + "small/no/such/9.html")
    assert len(page.problems) == 2, page.problems  # the answer 404 itself, and the console's line on it
    page.problems.clear()
    assert_none(violations(page), "404")
    page.get_by_role("link", name="first page").click()
    assert page.url == host(published_site) + "index.html"


# -- reading -------------------------------------------------------------------------------------------------------------


def background(page):
    return page.evaluate("getComputedStyle(document.documentElement).backgroundColor")


def test_the_choice_of_a_theme_holds_on_the_next_page(visit, sample_site, at):
    page = visit(at(sample_site, "small/mixed/0.html"))
    light = background(page)
    page.get_by_role("button", name=re.compile("dark", re.I)).click()
    dark = background(page)
    assert dark != light
    page.goto(at(sample_site, "small/mixed/index.html"))
    assert background(page) == dark
    page.get_by_role("button", name=re.compile("light", re.I)).click()
    page.goto(at(sample_site, "index.html"))
    assert background(page) == light


FOCUS = """() => {
  const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
  return {
    name: at.tagName + " " + (at.textContent || at.ariaLabel || "").trim().slice(0, 40),
    ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none",
    seen: box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth,
    body: at === document.body,
  };
}"""


@pytest.mark.parametrize("kind", ["index", "model", "layer", "neuron"])
def test_what_has_the_keyboards_focus_can_be_seen(visit, sample_site, kind):
    page = visit(examples(sample_site, kind)[-1])
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUS)
        if at["body"]:
            break
        seen.append(at)
    assert "Skip to the page" in seen[0]["name"]
    assert [one["name"] for one in seen if not (one["ring"] and one["seen"])] == []


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_says_what_it_is_about_without_scripts(visit, demo_site, kind):
    page = visit(examples(demo_site, kind)[-1], java_script_enabled=False)
    assert page.get_by_role("heading", level=1).is_visible()
    assert page.locator("main").inner_text().strip()


def full_neuron(site):
    """The longest page of a neuron with just two tables, of 20 rows each."""
    return next(page for page in reversed(examples(site, "neuron")) if page.read_text("utf-8").count("<tr") == 2 * 21)


@pytest.mark.parametrize("which", ["demo_site", "wide_site"])
def test_a_neuron_prints_on_one_sheet(visit, request, which):
    page = visit(full_neuron(request.getfixturevalue(which)))
    paper = page.pdf(format="A4", print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1


# -- weight ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("squeeze", [True, False], ids=["gzip", "plain"])
@pytest.mark.parametrize("which", ["demo_site", "wide_site"])
def test_a_neuron_is_light_to_load(visit, host, request, which, squeeze):
    site = request.getfixturevalue(which)
    address = host(site, squeeze=squeeze) + examples(site, "neuron")[-1].relative_to(site).as_posix()
    page = visit("about:blank")
    asked = []
    page.on("request", lambda one: asked.append(one))
    page.goto(address)
    page.wait_for_load_state("networkidle")
    sizes = {one.url: one.sizes() for one in asked if not one.url.startswith("data:")}
    counted = {address: size["responseBodySize"] + size["responseHeadersSize"] for address, size in sizes.items()}
    listed = "\n".join(f"{size} {address}" for address, size in counted.items())
    assert len(counted) <= REQUESTS, listed
    assert sum(counted.values()) <= BYTES, listed
