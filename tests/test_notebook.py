"""A built atlas in a notebook: what can be had from it, and what is said where it has not what is asked for."""

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import sample_facts as sample

import generator
from generator.errors import AtlasError
from generator.pages.views import face_tiles
from generator.pictures import sprite, tiles_of
from generator.render import render_site
from generator.site import SiteError, write_site

URL = "https://example.org/atlas/"


@pytest.fixture(scope="module")
def facts():
    return sample.sample_atlas()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, facts):
    target = tmp_path_factory.mktemp("notebook") / "site"
    write_site(render_site(facts), target)
    return target


@pytest.fixture(scope="module")
def model(folder):
    return generator.open_atlas(folder)["small"]


def test_an_atlas_is_its_models_their_layers_and_their_neurons(folder, model, facts):
    atlas = generator.open_atlas(str(folder / "index.html"))
    assert list(atlas) == ["small"]
    assert list(model) == [one.layer.address for one in facts.models[0].layers]
    assert [neuron.unit for neuron in model["mixed"]] == facts.models[0].layers[2].chosen.tolist()
    assert len(model["mixed"]) == 8


def test_a_neuron_gives_the_numbers_of_its_page(model, facts):
    layer = facts.models[0].layers[2]
    for unit in (0, 2, 11):
        neuron = model["mixed"][unit]
        assert [table.layer for table in neuron.reads] == ["_stem", "input"]
        for table, pair in zip(
            (*neuron.reads, *neuron.writes),
            (*(one.reads for one in layer.reads), *(one.writes for one in layer.writes)),
            strict=True,
        ):
            np.testing.assert_array_equal(table.other, pair.other[unit])
            for name in ("norm", "excitation", "inhibition", "share"):
                np.testing.assert_allclose(getattr(table, name), getattr(pair, name)[unit], rtol=1e-3)
            assert (table.shown, table.left_out) == (pytest.approx(pair.shown[unit], rel=1e-3), pair.left_out)
        expected = layer.reads[1].weights.cancellation[unit, layer.reads[1].reads.other[unit]]
        np.testing.assert_allclose(neuron.reads[1].cancellation, expected, rtol=1e-3)
        assert neuron.reads[0].cancellation is None
        assert neuron.explained == pytest.approx(layer.faces.factors.explained[unit], rel=1e-3)
        assert neuron.explained <= neuron.bound + 1e-3


def test_faces_are_the_pixels_of_the_pages(model, facts):
    for layer in facts.models[0].layers:
        np.testing.assert_array_equal(model[layer.layer.address].faces, face_tiles(layer))
    np.testing.assert_array_equal(model["mixed"][11].face, facts.models[0].layers[2].faces.pixels[11])


@pytest.mark.parametrize("count", [1, 3, 32, 33, 100])
def test_a_sprite_comes_apart_as_it_was_put_together(count):
    tiles = np.random.default_rng(count).integers(0, 256, (count, 3, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(tiles_of(sprite(tiles)[0], count), tiles)


def test_slices_pass_over_neurons_without_a_page(model):
    assert [neuron.unit for neuron in model["mixed"][2:7]] == [2, 4, 5, 6]
    assert [neuron.unit for neuron in model["mixed"][-1:]] == [11]
    assert model["mixed"][20:] == []


def test_weights_that_are_no_numbers_are_nan(model):
    broken = model["mixed"][sample.BROKEN]
    assert np.isnan(broken.reads[0].norm).any()
    assert np.isnan(broken.explained)
    assert np.isnan(model["head"][0].explained)
    assert broken._repr_html_()


def test_a_class_has_its_name(model):
    assert model["head"][6].label == sample.HOSTILE
    assert model["mixed"][0].label == ""


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda model: model.atlas["large"], "the atlas has no model 'large', it has: small"),
        (lambda model: model["mixd"], "small has no layer 'mixd'; nearest: mixed"),
        (lambda model: model["zzz"], "small has no layer 'zzz', it has: input, _stem, mixed, head"),
        (lambda model: model["mixed._b"], "mixed._b is part of mixed: its neurons are 4 to 11 there"),
        (lambda model: model["mixed"][3], "mixed has no page for 3; nearest: 2, 4"),
        (lambda model: model["mixed"][99], "mixed has no page for 99; nearest: 8, 11"),
        (lambda model: model["mixed"]["3"], "mixed has no page for '3', expected a unit or a slice of units"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(model, ask, words):
    with pytest.raises(KeyError) as caught:
        ask(model)
    assert str(caught.value) == words
    assert isinstance(caught.value, AtlasError)


def test_a_folder_without_an_atlas_is_an_error(tmp_path):
    with pytest.raises(SiteError, match=r"found no atlas-site\.json"):
        generator.open_atlas(tmp_path)


class Card(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.sources, self.links, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.sources += [given["src"]] if "src" in given else []
        self.links += [given["href"]] if "href" in given else []

    def handle_data(self, data):
        self.words.append(data)


def test_a_card_holds_all_that_it_shows(model):
    card = Card(model["mixed"][0]._repr_html_())
    said = "".join(card.words)
    assert "mixed:0" in said
    assert "explain" in said
    assert "reads _stem" in said
    assert "writes to head" in said
    assert card.links == []
    assert len(card.sources) > 8
    assert all(source.startswith("data:image/png;base64,") for source in card.sources)


def test_markup_in_names_is_shown_as_it_stands(model):
    text = model["head"][6]._repr_html_()
    assert sample.HOSTILE not in text
    assert sample.HOSTILE in "".join(Card(text).words)


def test_every_neuron_has_a_card_and_a_line(model):
    for layer in model.values():
        for neuron in layer:
            assert Card(neuron._repr_html_()).words
            assert repr(neuron).startswith(f"Neuron('small/{layer.address}:{neuron.unit}', ")


def test_a_card_says_only_connections_that_there_are(model):
    dead = model["mixed"][sample.DEAD]
    assert [table.layer for table in dead.reads] == ["_stem", "input"]
    said = "".join(Card(dead._repr_html_()).words)
    assert "reads _stem" not in said
    assert "reads input" in said


def test_a_published_atlas_is_read_by_its_address_and_links_there(folder, monkeypatch):
    monkeypatch.setattr("generator.taking.published._fetch", lambda address: (folder / address.removeprefix(URL)).read_bytes())
    neuron = generator.open_atlas(URL)["small"]["_stem"][2]
    assert neuron.page == f"{URL}small/~_stem/2.html"
    assert Card(neuron._repr_html_()).links == [neuron.page]


def test_layers_in_several_folders_are_one(tmp_path, monkeypatch):
    monkeypatch.setattr("generator.addresses.FLAT", 5)
    monkeypatch.setattr("generator.addresses.BLOCK", 4)
    write_site(render_site(sample.sample_atlas()), tmp_path / "site")
    mixed = generator.open_atlas(tmp_path / "site")["small"]["mixed"]
    assert mixed[11].page.endswith("small/mixed~8/11.html")
    assert Path(mixed[11].page).is_file()
    assert mixed.faces.shape[0] == 12


def test_a_layer_without_pictures_has_none(tmp_path):
    model = sample.sample_model()
    blank = replace(model.layers[1].faces, kind="none", pixels=np.zeros((6, 0, 0, 3), np.uint8), factors=None)
    bare = replace(model, layers=(model.layers[0], replace(model.layers[1], faces=blank), *model.layers[2:]))
    write_site(render_site(sample.atlas(bare)), tmp_path / "site")
    neuron = generator.open_atlas(tmp_path / "site")["small"]["_stem"][0]
    assert neuron.face is None
    assert "input" in neuron._repr_html_()


def test_the_package_alone_imports_nothing_heavy():
    script = "import sys, generator; print([name for name in ('numpy', 'torch', 'PIL') if name in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[1], check=True
    )
    assert ran.stdout == "[]\n"


def test_a_notebook_needs_no_torch(folder):
    script = f"import sys, generator; generator.open_atlas({str(folder)!r})['small']['mixed'][0]._repr_html_(); print('torch' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[1], check=True
    )
    assert re.fullmatch("False\n", ran.stdout)
