"""All neurons of a layer on one page: every link leads to its place, and there are no more files than layers ask for."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import sample_facts as sample
from test_pages import Page, said

from generator.addresses import neuron_page
from generator.authored.prose import Places, render
from generator.pages.common import places_of
from generator.publishing.sitecheck import check_site
from generator.records import Family, Looks, Members, ModelFacts, Note
from generator.render import count_files, render_site
from generator.taking.figures import link_figure
from generator.taking.notebook import open_atlas
from generator.taking.published import published

FAMILIES = (Family("mixed ones", "mixed-ones.html", "", (Members("small", "mixed", (0, 1, 3)),)),)
NOTES = (Note("small", "mixed", 1, "Beside [[mixed:4]] and [[mixed:3]].", "notes.md"),)


def facts(**more):
    return replace(sample.sample_atlas(), per_layer=True, families=FAMILIES, notes=NOTES, **more)


def written(folder, atlas):
    """The site of an atlas in a folder, with the list of its files."""
    files = dict(render_site(atlas))
    listed = {}
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
        listed.setdefault(path.rpartition("/")[0] or ".", []).append(path.rpartition("/")[2])
    (folder / "atlas-site.json").write_text(json.dumps({"made_by": "weight-atlas", "files": listed}))
    return files


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    return folder, written(folder, facts(site_url="https://example.org/atlas/"))


def test_every_link_of_the_site_leads_to_a_place_that_is_there(site):
    folder, files = site
    report = check_site(folder)
    assert not report.problems
    assert len(files) == count_files(facts(site_url="https://example.org/atlas/"))
    rows = int(re.search(r"([\d,]+) rows", report.summary)[1].replace(",", ""))
    assert rows > 100  # the tables of every neuron were held against the numbers


def test_a_link_to_a_place_that_is_not_there_is_found(site, tmp_path):
    written(tmp_path, facts(site_url="https://example.org/atlas/"))
    page = tmp_path / "small/mixed/neurons.html"
    page.write_text(page.read_text().replace("<section class=neuron id=n4>", "<section class=neuron id=n44>"))
    assert any("n4" in line and "no such place" in line for line in check_site(tmp_path).problems)
    assert any("lists neuron 4" in line for line in check_site(tmp_path).problems)


def test_files_do_not_grow_with_the_neurons():
    counts = []
    for neurons in (4, 40):
        every = sample.pairs([sample.weights("input", "a", np.ones((neurons, 3, 3, 3)))])
        looks = Looks(np.zeros((neurons, 8, 8, 3), np.uint8), np.ones(neurons, np.float32), np.ones(neurons, np.float32), 9)
        layers = (
            sample.facts_of(sample.layer("input", "input", 3), every),
            sample.facts_of(sample.layer("a", "Conv2d", neurons), every, looks=looks),
        )
        model = ModelFacts("m", sample.provenance(), (3, 8, 8), layers)
        atlas = replace(sample.atlas(model, site_url="https://example.org/"), per_layer=True, oembed=("*",))
        files = dict(render_site(atlas))
        assert len(files) == count_files(atlas)
        counts.append(len(files))
    assert counts[0] == counts[1]


def test_a_neuron_says_there_what_its_own_page_says(site):
    _, files = site
    alone = dict(render_site(replace(facts(site_url="https://example.org/atlas/"), per_layer=False)))
    own = Page(alone["small/mixed/4.html"].decode())
    text = files["small/mixed/neurons.html"].decode()
    section = text[text.index("<section class=neuron id=n4>") : text.index("<section class=neuron id=n5>")]
    there = Page(section)
    assert there.tables == {f"n4-{name}": rows for name, rows in own.tables.items()}
    words, told = ("".join(said(page).partition("also ")[2].partition("Use this")[0].split()) for page in (own, there))
    assert words == told and "Writesto" in told


def test_ids_stand_once_and_headings_have_their_order(site):
    _, files = site
    page = Page(files["small/mixed/neurons.html"].decode())
    assert len(page.ids) == len(set(page.ids))
    assert page.headings["h1"] == 1 and page.headings["h2"] == 8 and page.headings["h3"] >= 16
    assert page.headings["style"] == 0 and page.headings["nav"] == 2 + 8


def test_neurons_of_a_layer_follow_each_other_and_layers_do(site):
    _, files = site
    text = files["small/mixed/neurons.html"].decode()
    assert re.findall(r'rel=prev href="([^"]+)"', text) == [
        "../~_stem/neurons.html",
        *(f"neurons.html#n{unit}" for unit in (0, 1, 2, 4, 5, 6, 8)),
    ]
    assert 'href="index.html#u4"' in text


def test_a_branch_leads_on_to_its_neurons(site):
    _, files = site
    page = files["small/mixed._b/neurons.html"].decode()
    assert "<li><a id=n0 href=../mixed/neurons.html#n4>mixed._b:0</a>" in page
    assert "alias.js" in page and "http-equiv" not in page  # or it would leave before it has looked where to
    assert b"location.hash" in files["alias.js"]


def test_words_and_the_jump_box_know_the_places(site):
    _, files = site
    assert b'"joined":1' in files["jump.js"]
    places = places_of(facts())
    assert places.path("mixed:4", "small") == "small/mixed/neurons.html#n4"
    assert 'href="../../small/mixed/neurons.html#n4"' in render("[[mixed:4]]", places, "../../", "small")
    assert not Places({}, {}).per_layer


def test_addresses_of_both_kinds():
    assert neuron_page("mixed3a", 47, 128) == "mixed3a/47.html"
    assert neuron_page("mixed3a", 47, 128, True) == "mixed3a/neurons.html#n47"
    assert neuron_page("classifier.0", 3147, 4096, True) == "classifier.0/neurons.html#n3147"


def test_a_figure_and_a_notebook_lead_to_the_places(site, tmp_path):
    folder, _ = site
    figure = b'<svg xmlns="http://www.w3.org/2000/svg"><g id="mixed_4"/></svg>'
    linked = link_figure(tmp_path / "f.svg", figure, published(folder), folder / "f.svg")
    assert b'href="small/mixed/neurons.html#n4"' in linked.content
    layer = open_atlas(folder)["small"]["mixed"]
    assert layer.units == (0, 1, 2, 4, 5, 6, 8, 11)
    assert layer[4].page.endswith("small/mixed/neurons.html#n4")


def test_a_host_is_told_nothing_of_neurons_that_have_no_address_of_their_own():
    files = dict(render_site(facts(site_url="https://example.org/", oembed=("*",))))
    assert not [path for path in files if "oembed" in path]
    assert not [path for path, content in files.items() if b"json+oembed" in content]
