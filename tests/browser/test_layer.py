"""The grid of a layer in a real browser: sorted, filtered, linked by its address, quick."""

import pytest
from test_layer_page import NORM, PLACE, sifted_atlas

from browser.sites import write

SORTED_BY_NORM = [9, 8, 1, 7, 2, 4, 0, 3, 11, 10, 5, 6]  # what has no number comes last


@pytest.fixture(scope="module")
def sifted_site(tmp_path_factory):
    return write(sifted_atlas(), tmp_path_factory.mktemp("sifted"))


@pytest.fixture
def layer(visit, sifted_site):
    return lambda mark="", **given: visit(f"{sifted_site.as_uri()}/small/mixed/index.html{mark}", **given)


@pytest.fixture
def layer_anywhere(visit, at, sifted_site):
    """The same over file:// and over http, where the browser's rules on addresses differ."""
    return lambda mark="": visit(at(sifted_site, "small/mixed/index.html") + mark)


def units(page):
    """The neurons that are shown, in the order of the page."""
    return [
        int(one.removeprefix("u")) for one in page.locator(".grid > *:visible").evaluate_all("all => all.map(one => one.id)")
    ]


def said(page):
    return page.get_by_role("status").inner_text()


def mark(page):
    return page.evaluate("location.hash")


def number(page, label):
    return page.get_by_role("spinbutton", name=label)


def test_the_sample_is_sorted_as_its_numbers_say():
    known = [unit for unit in SORTED_BY_NORM if NORM[unit] == NORM[unit]]
    assert known == sorted(known, key=lambda unit: -NORM[unit])
    assert sorted(SORTED_BY_NORM) == list(range(12))


def test_neurons_stand_in_order_by_branch_at_first(layer):
    page = layer()
    assert units(page) == list(range(12))
    assert said(page) == "12 neurons"
    assert page.get_by_role("heading", name="mixed._b", exact=True).is_visible()
    assert page.get_by_role("button", name="show all").is_hidden()


def test_sorting_makes_one_grid_and_writes_the_address(layer):
    page = layer()
    page.get_by_label("Sort by").select_option("norm")
    assert units(page) == SORTED_BY_NORM
    assert mark(page) == "#sort=norm"
    assert page.get_by_role("heading", name="By norm").is_visible()
    assert page.get_by_role("heading", name="mixed._b", exact=True).is_hidden()
    page.get_by_label("Reversed").check()
    assert units(page) == [*SORTED_BY_NORM[-2::-1], 6]
    assert mark(page) == "#sort=norm&reversed=1"


def test_a_sorted_grid_says_the_numbers_it_is_sorted_by(layer):
    page = layer("#sort=explained")
    first = page.locator(".grid > *:visible").first
    assert first.evaluate("one => getComputedStyle(one, '::after').content").strip('"').endswith("%")


def test_alike_neurons_can_stand_together(layer):
    assert units(layer("#sort=similarity")) == sorted(range(12), key=PLACE.__getitem__)


def test_a_view_can_be_linked(layer_anywhere):
    page = layer_anywhere("#sort=norm&family=curves&norm=1-")
    assert units(page) == [8, 1, 2]
    assert said(page) == "3 of 12 neurons"
    assert page.get_by_label("Sort by").input_value() == "norm"
    assert page.get_by_label("Family").input_value() == "curves"
    assert number(page, "norm at least").input_value() == "1"


def test_filters_add_up_and_can_all_be_taken_back(layer_anywhere):
    page = layer_anywhere()
    page.get_by_label("Family").select_option("lines")
    assert units(page) == [8, 11]
    page.get_by_label("Branch").select_option("mixed.a")
    assert units(page) == []
    assert said(page) == "none of 12 neurons"
    page.get_by_role("button", name="show all").click()
    assert units(page) == list(range(12))
    assert mark(page) == ""
    assert page.get_by_label("Family").input_value() == ""


def test_dead_neurons_can_be_left_out_or_shown_alone(layer):
    page = layer()
    page.get_by_role("combobox", name="Neurons").select_option("no")
    assert units(page) == [unit for unit in range(12) if unit != 5]
    page.get_by_role("combobox", name="Neurons").select_option("yes")
    assert units(page) == [5]


def test_a_range_is_typed_in_per_cent_and_linked_as_a_share(layer):
    page = layer()
    number(page, "explained at least").fill("50")
    number(page, "explained at most").fill("99.5")
    assert mark(page) == "#explained=0.5-0.995"
    assert 6 not in units(page)  # it has no number
    page.reload()
    assert number(page, "explained at least").input_value() == "50"
    assert number(page, "explained at most").input_value() == "99.5"


def test_back_and_forward_lead_through_the_views(layer_anywhere):
    page = layer_anywhere()
    page.get_by_label("Sort by").select_option("norm")
    page.get_by_label("Family").select_option("curves")
    assert units(page) == [8, 1, 2]
    page.go_back()
    assert units(page) == SORTED_BY_NORM
    assert page.get_by_label("Family").input_value() == ""
    page.go_back()
    assert units(page) == list(range(12))
    page.go_forward()
    assert units(page) == SORTED_BY_NORM


def test_what_is_typed_in_one_field_is_one_step_back(layer):
    page = layer()
    number(page, "norm at least").press_sequentially("0.75")
    assert mark(page) == "#norm=0.75-"
    assert units(page) == [1, 2, 4, 7, 8, 9]
    page.go_back()
    assert mark(page) == ""
    assert number(page, "norm at least").input_value() == ""


def test_coming_back_from_a_neuron_the_view_is_as_it_was(layer_anywhere):
    page = layer_anywhere("#sort=norm")
    page.locator("#u8").click()
    page.wait_for_url("**/mixed/8.html")
    page.go_back()
    assert units(page) == SORTED_BY_NORM


def test_a_place_in_the_grid_can_still_be_linked(layer):
    page = layer("#u11", width=390)
    assert units(page) == list(range(12))
    assert page.locator("#u11").evaluate("one => one.matches(':target')")
    page.evaluate("location.hash = 'sort=norm'")
    page.wait_for_function("document.querySelector('#sorted').hidden === false")
    page.go_back()
    page.wait_for_function("document.querySelector('#sorted').hidden")
    assert page.locator("#u11").is_visible()


@pytest.mark.parametrize(
    "mark", ["#sort=nonsense", "#family=gone", "#norm=x-y", "#norm=-", "#sort=norm&dead=maybe", "#%E0%A4%A"]
)
def test_an_address_that_means_nothing_shows_every_neuron(layer, mark):
    assert len(units(layer(mark))) == 12


def test_without_scripts_there_are_no_controls_and_every_neuron(visit, sifted_site):
    page = visit(sifted_site / "small/mixed/index.html", java_script_enabled=False)
    assert page.locator("#sift").is_hidden()
    assert page.locator(".grid > *").count() == 12


def test_controls_are_worked_by_keyboard_alone(layer):
    page = layer()
    page.get_by_label("Sort by").focus()
    page.keyboard.press("n")  # of norm; no key of the page
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert units(page) == [*SORTED_BY_NORM[-2::-1], 6]
