"""All neurons of a layer on one page, in a real browser: clean, quick to open, with keys, deep links, frames and the panel."""

from dataclasses import replace

import numpy as np
import pytest
import sample_facts as sample

from browser.conftest import told
from browser.sites import wide_facts, write
from browser.test_pages import THEMES, WIDTHS, assert_none, violations


@pytest.fixture(scope="session")
def joined_site(tmp_path_factory):
    return write(replace(sample.sample_atlas(), per_layer=True), tmp_path_factory.mktemp("joined"))


def in_sight(page):
    """The neuron at the top of the window."""
    return page.evaluate(
        "[...document.querySelectorAll('.neuron')].filter(one => one.getBoundingClientRect().top <= innerHeight / 3).pop()?.id"
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("layer", ["mixed", "head"])
def test_axe_finds_nothing(visit, joined_site, layer, width):
    page = visit(joined_site / f"small/{layer}/neurons.html", width=width)
    page.add_style_tag(content=".neuron { content-visibility: visible !important; }")  # or axe would see but the first
    assert_none(violations(page, THEMES) + told(page), layer)


def test_a_link_from_a_row_leads_to_the_neuron(visit, joined_site):
    page = visit(joined_site / "small/head/neurons.html")
    page.locator("#n2-r0 a").first.click()
    page.wait_for_url("**/mixed/neurons.html#n*")
    assert in_sight(page) == page.url.partition("#")[2]


def test_keys_go_from_neuron_to_neuron_and_up_to_the_grid(visit, joined_site):
    page = visit(joined_site / "small/mixed/neurons.html")
    page.goto(page.url + "#n4")
    page.keyboard.press("j")
    page.wait_for_url("**#n5")
    page.wait_for_function("document.querySelector('#n5').getBoundingClientRect().top < innerHeight / 3")
    page.keyboard.press("k")
    page.wait_for_url("**#n4")
    page.wait_for_function("document.querySelector('#n4').getBoundingClientRect().top >= -1")
    page.keyboard.press("u")
    page.wait_for_url("**/mixed/index.html#u4")


def test_the_jump_box_leads_to_the_place(visit, joined_site):
    page = visit(joined_site / "index.html")
    page.keyboard.press("/")
    page.locator("#jump").fill("mixed 8")
    page.keyboard.press("Enter")
    page.wait_for_url("**/small/mixed/neurons.html#n8")


def test_a_branch_leads_on_to_the_neuron_that_was_asked_for(visit, joined_site):
    page = visit((joined_site / "small/mixed._b/neurons.html").as_uri() + "#n1")
    page.wait_for_url("**/small/mixed/neurons.html#n5")


def test_kernels_are_drawn_from_their_own_neurons_picture(visit, joined_site):
    page = visit(joined_site / "small/mixed/neurons.html")
    sheets = page.evaluate(
        """['n0', 'n1'].map(id => getComputedStyle(document.querySelector(`#${id}-r0 th > *`), '::after').backgroundImage)"""
    )
    assert len(set(sheets)) == 2 and all(one.startswith('url("data:image/png') for one in sheets)


def test_the_panel_and_the_frame_are_of_the_neuron(visit, joined_site):
    page = visit(joined_site / "small/mixed/neurons.html")
    page.locator("#n4 .use > summary").click()
    page.locator("#n4 .take").wait_for()
    assert page.locator("#n4 .take code").first.text_content().endswith("/small/mixed/neurons.html#n4")
    page.locator("#n8 .use > summary").click()
    page.locator("#n8 .take").wait_for()
    frame = page.locator("#n8 .take code", has_text="#embed&amp;at=n8")
    assert frame.count() == 1
    page.goto(page.url.partition("#")[0] + "#embed&at=n8")
    page.reload()
    page.locator(".taken").wait_for()
    assert page.locator(".taken .name").inner_text().startswith("mixed:8")
    drawn = page.evaluate("getComputedStyle(document.querySelector('.taken .k th > *'), '::after').backgroundImage")
    assert drawn.startswith('url("data:image/png')


def test_a_page_of_hundreds_of_neurons_opens_at_once(visit, tmp_path):
    facts = wide_facts()
    layers = tuple(replace(one, chosen=one.chosen[:1]) for one in facts.models[0].layers)
    whole = replace(facts.models[0].layers[1], chosen=np.arange(512, dtype=np.int32))
    model = replace(facts.models[0], layers=(layers[0], whole, layers[2]))
    page = visit(write(replace(facts, models=(model,), per_layer=True), tmp_path) / "wide/here/neurons.html")
    assert page.locator(".neuron").count() == 512
    shown = page.evaluate(
        "[...document.querySelectorAll('.neuron > h2')].filter(one => one.checkVisibility({contentVisibilityAuto: true})).length"
    )
    assert 1 <= shown < 30  # the rest is not laid out
    page.evaluate("location.hash = 'n500'")
    page.wait_for_function("Math.abs(document.querySelector('#n500').getBoundingClientRect().top) < innerHeight / 2")
