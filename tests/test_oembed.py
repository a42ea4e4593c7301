"""oEmbed: which neurons have it, and what it tells a host."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import sample_facts as sample

from generator.addresses import FLAT, oembed_file
from generator.authored.prose import LayerPlace
from generator.build import check_oembed
from generator.errors import SpecError
from generator.pages.common import ModelContext
from generator.pages.oembed import has_oembed, oembed_json
from generator.render import count_files, render_site
from generator.spec import load_spec

URL = "https://example.org/atlas/"
SPEC = "title: t\nsite_url: https://example.org/\nmodels: [{name: one, source: bundled}]\n"


def atlas(oembed=("mix*",), site_url=URL):
    return replace(sample.atlas(sample.sample_model(), site_url=site_url), oembed=oembed)


@pytest.fixture(scope="module")
def site():
    return dict(render_site(atlas()))


def test_the_layers_that_ask_for_it_have_a_file_for_every_page(site):
    found = sorted(path for path in site if "/oembed/" in path)
    units = sample.sample_model().layers[2].chosen.tolist()
    assert found == sorted(f"small/mixed/oembed/{unit}.json" for unit in units)
    assert len(site) == count_files(atlas())


def test_the_page_names_its_file_and_the_file_its_page(site):
    (href,) = re.findall(
        r'<link rel="alternate" type="application/json\+oembed" href="([^"]+)"', site["small/mixed/5.html"].decode()
    )
    said = json.loads(site[href.removeprefix(URL)])
    assert (said["version"], said["type"], said["provider_url"]) == ("1.0", "rich", f"{URL}index.html")
    assert said["thumbnail_url"].removeprefix(URL) in site
    assert (said["thumbnail_width"], said["thumbnail_height"]) == (1200, 630)
    frame = Frame(said["html"]).attributes
    assert frame["src"] == f"{URL}small/mixed/5.html#embed"
    assert (frame["width"], frame["height"]) == (str(said["width"]), str(said["height"]))


class Frame(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)
        assert self.tags == ["iframe"]

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes = dict(attributes)


def test_markup_in_names_stays_text(site):
    said = json.loads(site["small/mixed/5.html".replace("5.html", "oembed/5.json")])
    assert Frame(said["html"]).attributes["title"] == f"mixed:5, A sample {sample.HOSTILE}"
    assert said["author_name"] == f"N. {sample.HOSTILE}"


def test_other_layers_and_other_pages_have_none(site):
    assert [path for path in site if b"json+oembed" in site[path] and not re.fullmatch(r"small/mixed/\d+\.html", path)] == []


@pytest.mark.parametrize(("oembed", "url"), [((), URL), (("mixed",), "")])
def test_without_an_address_or_a_layer_there_is_none(oembed, url):
    assert not has_oembed(atlas(oembed, url), "mixed")
    assert not [path for path in dict(render_site(atlas(oembed, url))) if "oembed" in path]


def test_a_layer_without_faces_has_no_thumbnail():
    model = sample.sample_model()
    blank = replace(model.layers[0].faces, kind="none", pixels=np.zeros((3, 0, 0, 3), np.uint8))
    grey = replace(model.layers[0], layer=replace(model.layers[0].layer, kind="Conv2d"), faces=blank)
    facts = replace(atlas(), models=(replace(model, layers=(grey, *model.layers[1:])),))
    said = json.loads(oembed_json(ModelContext(facts, facts.models[0]), grey, 0))
    assert not [key for key in said if key.startswith("thumbnail")]


def test_no_folder_of_a_large_layer_holds_too_many():
    held = [oembed_file("wide", unit, 10 * FLAT).rpartition("/")[0] for unit in range(10 * FLAT)]
    assert max(map(held.count, set(held))) <= 3_000


# -- the spec --------------------------------------------------------------------------------------------------------------


def spec_of(tmp_path, text):
    path = tmp_path / "atlas.yaml"
    path.write_text(text)
    return load_spec(path)


def test_oembed_without_an_address_is_a_mistake_with_its_line(tmp_path):
    with pytest.raises(SpecError) as caught:
        spec_of(tmp_path, SPEC.replace("site_url: https://example.org/", "oembed: [a]"))
    assert caught.value.lines == (
        f"{tmp_path}/atlas.yaml:2:9: oembed: found layers, expected them only with a site_url: oEmbed needs absolute addresses",
    )


@pytest.mark.parametrize(("given", "where"), [("mixd3a", "4:9: oembed"), ("[mixed*, mixd3a]", "4:18: oembed[1]")])
def test_a_layer_that_fits_none_is_a_mistake_with_its_line(tmp_path, given, where):
    spec = spec_of(tmp_path, f"{SPEC}oembed: {given}\n")
    places = {"one": {"mixed3a": LayerPlace(3, frozenset()), "conv0": LayerPlace(3, frozenset())}}
    with pytest.raises(SpecError) as caught:
        check_oembed(spec, places)
    assert caught.value.lines == (
        f"{tmp_path}/atlas.yaml:{where}: found 'mixd3a', expected a layer of the atlas; nearest: mixed3a",
    )
