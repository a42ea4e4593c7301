import json
import re
from dataclasses import replace

import numpy as np
import pytest
import sample_facts as sample

from generator.pages.jump import jump_script
from generator.records import Branch, Family, Members, ModelFacts
from generator.render import render_site


def parsed(script):
    text = script.decode()
    assert text.startswith("window.__atlas = ") and text.endswith(";\n")
    return json.loads(text.removeprefix("window.__atlas = ").removesuffix(";\n"))


def layers(data):
    """Every layer as the jump box reads it: model's folder, address, folder, neurons, pages, aliases, branches, labels."""
    for name, folder, listed in data["models"]:
        for entry in listed:
            address, where, neurons, pages, aliases, branches, labels = (*entry, *[0, [], [], 0][len(entry) - 3 :])
            yield folder or name, address, where or address, neurons, pages, aliases, branches, labels


def has_page(pages, unit):
    return not pages or any(first <= unit <= last for first, last in zip(pages[::2], pages[1::2], strict=True))


def neuron_pages(data):
    """The address of every neuron's page, as the jump box works it out."""
    for model, _, folder, neurons, pages, *_ in layers(data):
        for unit in range(neurons):
            block = f"~{unit // data['block'] * data['block']}" if neurons > data["flat"] else ""
            if has_page(pages, unit):
                yield f"{model}/{folder}{block}/{unit}.html"


def atlas_with_families():
    members = (Members("small", "mixed", (1, 2, 5)),)
    return replace(sample.sample_atlas(), families=(Family("Curves & lines", "curves-lines.html", "", members),))


@pytest.fixture(scope="module")
def site():
    return dict(render_site(sample.sample_atlas()))


@pytest.fixture(scope="module")
def data(site):
    return parsed(site["jump.js"])


def test_every_address_that_the_jump_box_can_make_is_in_the_site(site, data):
    made = list(neuron_pages(data))
    assert len(made) == 3 + 6 + 8 + 7
    assert [path for path in made if path not in site] == []
    assert [path for _, path in data["others"] if path not in site] == []
    assert [
        f"{model}/{folder}/index.html" for model, _, folder, *_ in layers(data) if f"{model}/{folder}/index.html" not in site
    ] == []


def test_no_page_of_a_neuron_is_beyond_the_jump_box(site, data):
    pages = {path for path in site if re.fullmatch(r"[^/]+/[^/]+/\d+\.html", path)}
    aliases = {path for path in pages if b"The same as" in site[path]}
    assert aliases
    assert set(neuron_pages(data)) == pages - aliases


def test_neurons_without_a_page_are_in_the_grid_of_their_layer(site, data):
    lacking = 0
    for model, _, folder, neurons, pages, *_ in layers(data):
        for unit in range(neurons):
            if not has_page(pages, unit):
                lacking += 1
                assert f'id="u{unit}"' in site[f"{model}/{folder}/index.html"].decode()
    assert lacking == 4


@pytest.mark.parametrize("chosen", [[], [0], [2_899, 2_900, 2_901], [0, 1, 2, 7, 2_999]])
def test_pages_are_told_in_runs_also_beside_folders_of_a_thousand(chosen):
    one = sample.facts_of(sample.layer("only", "Conv2d", 3_000), [], chosen=np.array(chosen, np.int32))
    facts = sample.atlas(ModelFacts("one", sample.provenance(), (3, 8, 8), (one,)))
    site = dict(render_site(facts))
    made = list(neuron_pages(parsed(site["jump.js"])))
    if chosen:
        assert len(made) == len(chosen)
        assert all(path in site for path in made)
        assert f"one/only~{chosen[-1] // 1_000 * 1_000}/{chosen[-1]}.html" in made
    else:
        assert parsed(site["jump.js"])["models"][0][2] == [["only", 0, 3_000, [0, -1], [".relu"]]]


def test_a_folder_that_is_not_the_name_itself_is_told(data):
    folders = {address: folder for _, address, folder, *_ in layers(data)}
    assert folders["_stem"] == "~_stem"
    assert folders["mixed"] == "mixed"


def test_aliases_and_branches_are_told_by_their_ends():
    one = replace(
        sample.layer("block.a", "concat", 6, branches=(Branch("block.a.b", 0, 2), Branch("other", 2, 6))),
        aliases=("block.a.relu", "block"),
    )
    facts = sample.atlas(ModelFacts("one", sample.provenance(), (3, 8, 8), (sample.facts_of(one, []),)))
    _, _, _, _, _, aliases, branches, _ = next(layers(parsed(jump_script(facts))))
    assert aliases == [".relu", "block"]
    assert branches == [[".b", 0, 2], ["other", 2, 6]]


def test_class_names_stand_once_for_all_layers_that_have_them():
    facts = sample.atlas(sample.sample_model("a"), sample.sample_model("b"))
    data = parsed(jump_script(facts))
    assert len(data["labels"]) == 1
    assert data["labels"][0][2] == "label 2"
    assert [labels for *_, labels in layers(data)] == [0, 0, 0, 1] * 2


def test_families_are_told_with_their_pages():
    data = parsed(jump_script(atlas_with_families()))
    assert data["families"] == [["Curves & lines", "families/curves-lines.html"]]
    assert ["Families", "families/index.html"] in data["others"]


def test_an_atlas_without_models_has_its_jump_box():
    assert parsed(jump_script(sample.atlas()))["models"] == []


def test_the_list_of_a_large_network_is_small():
    names = [f"layer{stage}.{block}.conv{conv}" for stage in range(1, 5) for block in range(9) for conv in range(1, 4)]
    every = tuple(sample.facts_of(sample.layer(name, "Conv2d", 64), []) for name in names)
    facts = sample.atlas(ModelFacts("deep", sample.provenance(), (3, 8, 8), every))
    assert len(jump_script(facts)) < 5_000
