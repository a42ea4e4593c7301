import json
import re
from dataclasses import replace

import numpy as np
import pytest
import sample_facts as sample

from generator.look import Renderer
from generator.pages.common import ModelContext
from generator.pages.layer import layer_page
from generator.pictures import sprite, sprite_png
from generator.records import AtlasFacts, Faces, Family, Members, ModelFacts, NeuronFactors, Note, Statistics
from generator.render import render_site

NAN = float("nan")
NORM = [0.5, 2.0, 1.23456, 0.25, 0.75, 0.0, NAN, 1.5, 3.0, 12345.678, 1e-5, 0.1]
PLACE = [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
HOSTILE = "</script><b>"


def statistics(norm=NORM, place=PLACE):
    units = len(norm)
    column = np.linspace(0, 1, units, dtype=np.float32)
    alike = np.zeros((units, 2), np.int32)
    return Statistics(
        norm=np.array(norm, np.float32),
        sparsity=column,
        zeros=column,
        positive=column,
        bias=None,
        norm_scale=None,
        alike=alike,
        cosine=alike.astype(np.float32),
        place=np.array(place, np.int32),
    )


def sifted_atlas() -> AtlasFacts:
    """The sample with statistics of 'mixed', two families and a note."""
    model = sample.sample_model()
    layers = tuple(replace(one, statistics=statistics()) if one.layer.address == "mixed" else one for one in model.layers)
    families = (
        Family(f"Curves {HOSTILE}", "curves.html", "", (Members("small", "mixed", (1, 2, 8)),)),
        Family("Elsewhere", "elsewhere.html", "", (Members("small", "head", (0,)),)),
        Family("Lines", "lines.html", "", (Members("small", "mixed", (8, 11)),)),
    )
    notes = (Note("small", "mixed", None, "Here *lines* begin.", "notes/mixed.md"),)
    return replace(sample.atlas(replace(model, layers=layers)), families=families, notes=notes)


def mixed_page(**changed):
    """The page of 'mixed' with some of its facts changed."""
    facts = replace(sifted_atlas().models[0].layers[2], **changed)
    atlas = sample.atlas(replace(sample.sample_model(), layers=(facts,)))
    return layer_page(ModelContext(atlas, atlas.models[0]), 0)


@pytest.fixture(scope="module")
def html():
    return dict(render_site(sifted_atlas()))["small/mixed/index.html"].decode()


@pytest.fixture(scope="module")
def numbers(html):
    return json.loads(re.search(r'id="numbers">(.*?)</script>', html)[1], parse_constant=lambda name: pytest.fail(name))


def test_the_numbers_of_the_page_are_those_of_the_facts_to_three_digits(numbers):
    assert numbers["columns"]["norm"] == [0.5, 2, 1.23, 0.25, 0.75, 0, None, 1.5, 3, 12300, 1e-05, 0.1]
    assert numbers["place"] == PLACE
    explained = next(one for one in sifted_atlas().models[0].layers if one.layer.address == "mixed").faces.factors.explained
    told = numbers["columns"]["explained"]
    assert [value is None for value in told] == np.isnan(explained).tolist()
    assert told[0] == pytest.approx(explained[0], rel=0.005)


def test_families_are_told_by_the_layer_alone_and_cannot_end_the_script(html, numbers):
    assert numbers["families"] == {"curves": [1, 2, 8], "lines": [8, 11]}
    assert HOSTILE not in html
    assert re.search(r'<option value="curves">Curves &lt;/script&gt;&lt;b&gt; \(3\)</option>', html)
    assert "Elsewhere" not in html


def test_the_page_names_its_families_and_shows_its_note(html):
    assert re.search(r'<a href="\.\./\.\./families/lines\.html">Lines</a> 2', html)
    assert "Here <em>lines</em> begin." in html


def test_dead_neurons_and_branches_are_told(html, numbers):
    assert numbers["dead"] == [sample.DEAD]
    assert numbers["branches"] == {"mixed.a": [0, 4], "mixed._b": [4, 12]}
    assert '<option value="yes">dead (1)</option>' in html
    assert '<option value="mixed._b">mixed._b</option>' in html


def test_a_range_says_what_it_runs_over(html):
    assert re.search(r'name="norm"[^>]*placeholder="0"[^>]*aria-label="norm at least"', html)
    assert re.search(r'placeholder="1.23e\+04"[^>]*aria-label="norm at most"', html)
    assert re.search(r'name="explained"[^>]*placeholder="\d\d(\.\d)?"[^>]*data-unit="%"', html)


def test_a_layer_without_statistics_is_not_sorted_by_them():
    page = mixed_page(statistics=None)
    assert [column.key for column in page.sifting.columns] == ["explained"]
    assert not page.sifting.similarity


def test_a_layer_with_nothing_to_choose_by_has_no_controls_and_no_script():
    html = dict(render_site(sample.sample_atlas()))["small/input/index.html"].decode()
    assert 'id="sift"' not in html
    assert "<script src" not in html.replace("<script src=../../atlas.js>", "")


def test_a_column_without_any_number_is_no_column():
    page = mixed_page(statistics=statistics([NAN] * 12))
    assert [column.key for column in page.sifting.columns] == ["explained", "sparsity"]


def test_every_neuron_stands_once_in_the_grid_in_order(html):
    assert re.findall(r'id="u(\d+)"', html) == [str(unit) for unit in range(12)]


def test_a_classifier_names_its_classes_in_the_grid():
    html = dict(render_site(sample.sample_atlas()))["small/head/index.html"].decode()
    assert re.search(r'<a id="u2" [^>]*>\s*2 label 2</a>', html)
    assert "grid every named" in html


def test_neighbours_lead_to_their_layer_and_to_the_page_of_both(html):
    assert '<a href="../~_stem/index.html">_stem</a> <a href="../mixed/from-~_stem.html">' in html
    assert '<a href="../head/index.html">head</a> <a href="../head/from-mixed.html">' in html


def test_the_page_of_a_pair_that_the_atlas_lacks_is_not_led_to():
    pair = sample.pairs([sample.weights("mixed", "beyond", np.ones((3, 12, 1, 1)))])[0]
    assert [(one.address, one.link, one.pair) for one in mixed_page(writes=(pair,)).writes] == [("beyond", None, "")]


def test_how_pictures_and_numbers_were_made_opens_in_place(html):
    assert re.search(r"<details class=how><summary>How was this made</summary>[^<]*Norm is the square root", html)


@pytest.mark.parametrize("size", [1, 7])
def test_a_layer_of_2048_neurons_stays_within_300_kb_with_its_pictures(size):
    units, random = 2_048, np.random.default_rng(0)
    one = sample.facts_of(sample.layer("wide", "Conv2d", units), [])
    pixels = random.integers(0, 256, (units, size, size, 3), dtype=np.uint8)  # nothing compresses worse than noise
    share = random.random(units).astype(np.float32)
    factors = NeuronFactors(pixels, pixels, share, share, 0.3, "semi-nmf", ("",) * units)
    faces = Faces("nmf", pixels, ("input",), "", "", factors, None, None, ("",) * units)
    one = replace(one, faces=faces, statistics=statistics(random.random(units), random.permutation(units)))
    atlas = sample.atlas(ModelFacts("m", sample.provenance(), (3, 8, 8), (one,)))
    html = Renderer(atlas).html("layer.html", page=layer_page(ModelContext(atlas, atlas.models[0]), 0))
    assert html.count(b"<a id=") == units
    assert html.count(b",") > 4 * units
    assert len(html) + len(sprite_png(sprite(pixels)[0])) <= 300_000
