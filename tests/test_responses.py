"""Feature visualizations that a model brings: read beside its weights, shown on its pages, told apart from weights."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sample_facts as sample
from PIL import Image

from generator.context.looks import read_looks
from generator.pages.responses import THUMBNAIL
from generator.photos import sprite_of
from generator.pictures import tiles_of
from generator.publishing.sitecheck import check_site
from generator.records import Looks
from generator.render import count_files, render_site

UNITS, LAYER = 12, 2  # of the sample's layer 'mixed'


def looks(units=UNITS):
    """Tiles of one colour each, so that a tile in the wrong place shows."""
    images = np.zeros((units, 64, 64, 3), np.uint8)
    images[...] = (np.arange(units) * 20 % 256)[:, None, None, None]
    return Looks(images, np.arange(units, dtype=np.float32), np.ones(units, np.float32), 1000)


def atlas(**changed):
    """The sample, its layer 'mixed' with feature visualizations."""
    model = sample.sample_model()
    mixed = replace(model.layers[LAYER], looks=looks(), **changed)
    return sample.atlas(replace(model, layers=(*model.layers[:LAYER], mixed, *model.layers[LAYER + 1 :])))


@pytest.fixture(scope="module")
def site():
    return dict(render_site(atlas()))


def pixels(content):
    return np.array(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_every_neuron_with_a_page_has_a_picture_of_its_own(site):
    chosen = atlas().models[0].layers[LAYER].chosen.tolist()
    pictures = {int(Path(path).stem): content for path, content in site.items() if path.startswith("small/mixed/responses/")}
    assert sorted(pictures) == chosen
    for unit, content in pictures.items():
        assert np.abs(pixels(content) - unit * 20 % 256).max() < 6
        assert f'src="responses/{unit}.webp"' in site[f"small/mixed/{unit}.html"].decode()


def test_the_sprite_holds_the_neurons_in_their_order(site):
    tiles = tiles_of(pixels(site["small/mixed/responses.webp"]).astype(np.uint8), UNITS)
    assert tiles.shape == (UNITS, THUMBNAIL, THUMBNAIL, 3)
    assert np.abs(tiles.mean((1, 2, 3)) - np.arange(UNITS) * 20 % 256).max() < 6


def test_a_page_says_what_was_measured_and_that_it_is_an_activation(site):
    unit = atlas().models[0].layers[LAYER].chosen[-1]
    page = site[f"small/mixed/{unit}.html"].decode()
    assert f"Mean activation {unit}; of 1,000 photographs 1 at most." in page
    assert "how-to-read.html#responses" in page
    assert 'id="responses"' in site["how-to-read.html"].decode()


@pytest.mark.parametrize("page", ["index.html", "small/index.html", "small/mixed/index.html"])
def test_strips_and_grids_show_them_when_asked_and_load_nothing_before(site, page):
    text = site[page].decode()
    assert text.count('type="checkbox" id="responses"') == 1
    rules = re.findall(r"([^{}]*)\{background-image:url\(\"[^\"]*responses.webp\"\)", text)
    assert rules
    assert all(rule.startswith("main:has(#responses:checked) .") for rule in rules)


def test_without_any_nothing_of_them_is_said():
    site = dict(render_site(sample.sample_atlas()))
    assert not [path for path in site if "responses" in path]
    assert "No image has passed through the network" in site["how-to-read.html"].decode()
    assert all(b"responses" not in content for path, content in site.items() if path.endswith(".html"))


def test_the_site_with_them_is_whole(site, tmp_path):
    for path, content in site.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    assert [problem for problem in check_site(tmp_path).problems if "responses" in problem] == []
    assert count_files(atlas()) == len(site)


@pytest.fixture
def folder(tmp_path):
    measured = {"activations": [1.0] * 40, "photographs": [0.5] * 40}
    (tmp_path / "index.json").write_text(json.dumps({"weights": "abc", "photographs": 7, "layers": {"a.b": measured}}))
    (tmp_path / "a.b.webp").write_bytes(sprite_of(looks(40).images))
    return tmp_path


def test_a_folder_of_them_is_read_layer_by_layer(folder):
    found = read_looks(folder, "abc", "a.b", 40)
    assert found.images.shape == (40, 64, 64, 3)
    assert np.abs(found.images.mean((1, 2, 3)) - np.arange(40) * 20 % 256).max() < 6
    assert (found.count, found.activations[3], found.photographs[3]) == (7, 1.0, 0.5)


@pytest.mark.parametrize(("weights", "layer"), [("abd", "a.b"), ("abc", "a.c")])
def test_those_of_other_weights_or_layers_are_not_shown(folder, weights, layer):
    assert read_looks(folder, weights, layer, 40) is None


def test_a_model_without_a_folder_has_none(tmp_path):
    assert read_looks(None, "abc", "a.b", 40) is None
    assert read_looks(tmp_path, "abc", "a.b", 40) is None
