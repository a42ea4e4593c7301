"""Moving about in a real browser: the jump box and what it understands, keys, the theme."""

from dataclasses import replace

import numpy as np
import pytest
import sample_facts as sample
from test_layer_page import sifted_atlas

from browser.sites import write
from browser.test_pages import violations
from generator.records import ModelFacts

WIDE = 3_000  # neurons of a layer whose pages lie in folders of a thousand


@pytest.fixture(scope="module")
def two_models(tmp_path_factory):
    """The sample with families, and a second model with a layer of the same name and one of very many neurons."""
    atlas = sifted_atlas()
    wide = sample.facts_of(sample.layer("wide", "Conv2d", WIDE), [], chosen=np.array([5, 2_147], np.int32))
    plain = sample.facts_of(sample.layer("mixed", "Conv2d", 3), [])
    other = ModelFacts("other net", sample.provenance(), (3, 8, 8), (plain, wide))
    return write(replace(atlas, models=(*atlas.models, other)), tmp_path_factory.mktemp("two"))


@pytest.fixture
def opened(visit, two_models):
    def opened(path="small/mixed/0.html", **given):
        page = visit(two_models / path, **given)
        page.keyboard.press("/")
        page.get_by_role("combobox", name="Jump to").wait_for()
        return page

    return opened


def places(page):
    return page.get_by_role("dialog").get_by_role("option")


def shown(page):
    return places(page).evaluate_all("all => all.map(one => one.firstChild.textContent.trim())")


def asked(page, words):
    """What the box suggests for some words."""
    page.get_by_role("combobox", name="Jump to").fill(words)
    return shown(page)


def said(page):
    return page.get_by_role("dialog").get_by_role("status").inner_text()


def path(page):
    """Where a page lies in its site, with its mark."""
    return "/".join(page.url.split("/")[-3:])


UNDERSTOOD = {
    "mixed 4": "small/mixed/4.html",
    "mixed:4": "small/mixed/4.html",
    "mixed_4": "small/mixed/4.html",
    "mixed/4": "small/mixed/4.html",
    " MIXED  4 ": "small/mixed/4.html",
    "small/mixed:4": "small/mixed/4.html",
    "small.mixed_4": "small/mixed/4.html",
    "other net/mixed:2": "other~20~net/mixed/2.html",
    "11": "small/mixed/11.html",
    "mixed": "small/mixed/index.html",
    "mix": "small/mixed/index.html",
    "hea 3": "small/head/3.html",
    "_stem:1": "small/~_stem/1.html",
    "stem.relu 1": "small/~_stem/1.html",
    "mixed._b:1": "small/mixed/5.html",
    "mixed._b": "small/mixed/index.html#u4",
    "mixed:3": "small/mixed/index.html#u3",
    "wide 2147": "other~20~net/wide~2000/2147.html",
    "wide": "other~20~net/wide/index.html",
    "label 4": "small/head/4.html",
    "curv": "families/curves.html",
    "lines": "families/lines.html",
    "other n": "other~20~net/index.html",
    "how to": "how-to-read.html",
}


def test_names_lead_to_what_was_meant_and_that_is_there(opened, two_models):
    page = opened()
    first = {words: page.evaluate("words => atlas.box.meant(words).options[0].path", words) for words in UNDERSTOOD}
    assert first == UNDERSTOOD
    assert all((two_models / to.partition("#")[0]).is_file() for to in first.values())


@pytest.mark.parametrize("words", ["mixed._b:1", "wide 2147", "curv"])
def test_enter_leads_to_the_first_suggestion(opened, two_models, words):
    page = opened()
    assert asked(page, words)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{two_models.as_uri()}/{UNDERSTOOD[words]}")


def test_the_jump_box_works_from_every_depth_and_under_a_sub_path(visit, at, sample_site):
    for start in ("index.html", "small/index.html", "small/mixed/index.html", "small/mixed/0.html"):
        page = visit(at(sample_site, start))
        page.get_by_role("button", name="jump").click()
        page.get_by_role("combobox", name="Jump to").fill("head 2")
        page.keyboard.press("Enter")
        page.wait_for_url("**/small/head/2.html")
        assert page.get_by_role("heading", level=1).inner_text().startswith("head:2")


def test_nothing_more_is_loaded_before_the_box_is_opened(visit, sample_site):
    page = visit(sample_site / "small/mixed/0.html")
    assert page.locator("script[src]").evaluate_all("all => all.map(one => one.src.split('/').pop())") == ["atlas.js"]


def test_what_is_nearest_is_said_and_enter_does_not_guess(opened):
    page = opened()
    start = page.url
    assert asked(page, "mixde 4")[0] == "mixed:4"
    assert said(page) == "Nothing here is called mixde 4; nearest:"
    page.keyboard.press("Enter")
    assert page.url == start
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/small/mixed/4.html")


def test_a_number_beyond_the_layer_says_which_there_are(opened):
    page = opened()
    assert asked(page, "small/mixed:12") == ["mixed:11", "mixed"]
    assert said(page) == "mixed has neurons 0 to 11, no 12; nearest:"


def test_what_is_like_nothing_has_no_suggestions(opened):
    page = opened()
    assert asked(page, "qqqqqqqqqq") == []
    assert said(page) == "Nothing here is called qqqqqqqqqq."
    assert page.get_by_role("combobox", name="Jump to").get_attribute("aria-expanded") == "false"


def test_of_two_models_the_one_that_is_open_comes_first(opened):
    page = opened("small/head/index.html")
    assert asked(page, "mixed")[0] == "mixed"
    page.keyboard.press("Enter")
    page.wait_for_url("**/small/mixed/index.html")
    page.keyboard.press("/")
    asked(page, "mixed:1")
    models = [words.rpartition("· ")[2].split()[-1] for words in places(page).all_inner_texts()]
    assert models[0] == "small"
    assert "net" in models


def test_suggestions_are_walked_by_arrows_and_told_to_assistive_technology(opened):
    page = opened()
    box = page.get_by_role("combobox", name="Jump to")
    assert len(asked(page, "mixed")) > 2
    first = box.get_attribute("aria-activedescendant")
    assert page.locator(f"#{first}").get_attribute("aria-selected") == "true"
    page.keyboard.press("ArrowDown")
    second = box.get_attribute("aria-activedescendant")
    assert second != first
    assert page.locator("[aria-selected=true]").get_attribute("id") == second
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert box.get_attribute("aria-activedescendant") == places(page).last.get_attribute("id")


def test_a_suggestion_can_be_clicked(opened):
    page = opened()
    asked(page, "head")
    places(page).first.click()
    page.wait_for_url("**/small/head/index.html")


def test_markup_in_names_is_shown_as_it_stands(opened):
    page = opened()
    assert sample.HOSTILE in asked(page, "<b>")
    assert page.locator("#jump-to b").count() == 0


def test_escape_closes_and_opens_empty_again(opened):
    page = opened()
    asked(page, "mixed")
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    page.keyboard.press("/")
    assert page.get_by_role("combobox", name="Jump to").input_value() == ""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("key", ["/", "?"])
def test_axe_finds_nothing_in_an_open_box(visit, sample_site, key, theme):
    page = visit(sample_site / "small/mixed/index.html", theme=theme)
    page.keyboard.press(key)
    page.get_by_role("dialog").wait_for()
    if key == "/":
        asked(page, "mixed")
    assert violations(page) == []


# Keys


@pytest.mark.parametrize(("key", "to"), [("j", "5"), ("ArrowRight", "5"), ("k", "2"), ("ArrowLeft", "2"), ("u", "index")])
def test_keys_lead_to_the_neighbours_and_up(visit, at, sample_site, key, to):
    page = visit(at(sample_site, "small/mixed/4.html"))
    page.keyboard.press(key)
    page.wait_for_url(f"**/small/mixed/{to}.html*")
    assert page.url.endswith("#u4") == (key == "u")


def test_up_leads_all_the_way_to_the_atlas(visit, sample_site):
    page = visit(sample_site / "small/mixed/4.html")
    for to in ("small/mixed/index.html#u4", "small/index.html", "index.html"):
        page.keyboard.press("u")
        page.wait_for_url(f"**/{to}")
    page.keyboard.press("u")
    assert page.url.endswith("/index.html")


@pytest.mark.parametrize("keys", ["Control+j", "Alt+ArrowLeft", "Meta+k", "Shift+ArrowRight", "x"])
def test_keys_with_modifiers_are_the_browsers(visit, sample_site, keys):
    page = visit(sample_site / "small/mixed/4.html")
    page.keyboard.press(keys)
    page.wait_for_timeout(100)
    assert page.url.endswith("/small/mixed/4.html")


def test_keys_do_nothing_while_one_types(opened):
    page = opened("small/mixed/4.html")
    page.keyboard.type("juk?/")
    assert page.get_by_role("combobox", name="Jump to").input_value() == "juk?/"
    assert path(page) == "small/mixed/4.html"


def test_the_list_of_keys_opens_and_can_turn_letters_off(visit, sample_site):
    page = visit(sample_site / "small/mixed/4.html")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    assert "jump to a name" in page.get_by_role("dialog").inner_text()
    page.get_by_role("checkbox").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.wait_for_timeout(100)
    assert page.url.endswith("/4.html")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/5.html")


# The theme


def test_the_theme_is_changed_and_kept_for_the_next_page(visit, at, sample_site):
    page = visit(at(sample_site, "small/mixed/4.html"), theme="light")
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(paper)
    page.get_by_role("button", name="Change to the dark theme").click()
    dark = page.evaluate(paper)
    assert dark != light
    page.keyboard.press("j")
    page.wait_for_url("**/5.html")
    assert page.evaluate(paper) == dark
    page.get_by_role("button", name="Change to the light theme").click()
    assert page.evaluate(paper) == light


def test_the_systems_theme_holds_until_another_is_chosen(visit, sample_site):
    page = visit(sample_site / "index.html", theme="dark")
    assert page.get_by_role("button", name="Change to the light theme").is_visible()
