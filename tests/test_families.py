"""What the file of families says, and what is said of a wrong one."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from generator.addresses import family_file
from generator.authored.families import FamilySpec, json_schema, load_families
from generator.authored.notes import load_notes
from generator.authored.prose import LayerPlace, Places
from generator.errors import SpecError
from generator.records import Family, Members
from generator.spec import load_spec

EXAMPLES = Path(__file__).parents[1] / "examples"

ONE = {"net": {"conv0": 8, "mixed1.a": 12, "mixed1.b": 6, "head": 10}}
TWO = {**ONE, "other": {"conv0": 4}}


def places(models=ONE):
    return {model: {at: LayerPlace(n, frozenset(range(n))) for at, n in layers.items()} for model, layers in models.items()}


def load(folder, text, models=ONE):
    path = folder / "families.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_families(path, places(models))


def problems(folder, text, models=ONE):
    with pytest.raises(SpecError) as caught:
        load(folder, text, models)
    assert all("\n" not in line for line in caught.value.lines)
    return [line.removeprefix(f"{folder / 'families.yaml'}:") for line in caught.value.lines]


def test_a_family_is_its_name_its_note_and_its_neurons_in_the_order_in_which_they_are_named(tmp_path):
    text = """\
Edges:
  note: |
    These *edges*.
  neurons:
    mixed1.a: ['8-10', 2, 9]
    conv0: 3
Curve detectors:
  neurons: {conv0: all}
"""
    assert load(tmp_path, text) == (
        Family(
            "Edges",
            "edges.html",
            "These *edges*.\n",
            (Members("net", "conv0", (3,)), Members("net", "mixed1.a", (8, 9, 10, 2))),
        ),
        Family("Curve detectors", "curve-detectors.html", "", (Members("net", "conv0", tuple(range(8))),)),
    )


def test_a_glob_names_neurons_of_every_layer_that_fits_and_ranges_end_with_the_layer(tmp_path):
    (family,) = load(tmp_path, "All:\n  neurons: {'mixed1.*': [0, '4-11']}\n")
    assert family.members == (
        Members("net", "mixed1.a", (0, *range(4, 12))),
        Members("net", "mixed1.b", (0, 4, 5)),
    )


def test_a_neuron_may_be_in_several_families_and_be_named_twice_in_one(tmp_path):
    first, second = load(tmp_path, "A:\n  neurons: {conv0: [1, 1], 'conv*': '0-2'}\nB:\n  neurons: {conv0: [1]}\n")
    assert first.members == (Members("net", "conv0", (1, 0, 2)),)
    assert second.members == (Members("net", "conv0", (1,)),)


def test_with_several_models_layers_stand_below_their_model(tmp_path):
    (family,) = load(tmp_path, "A:\n  neurons: {other: {conv0: [3]}, net: {head: [0], 'conv*': '1-2'}}\n", TWO)
    assert family.members == (
        Members("net", "conv0", (1, 2)),
        Members("net", "head", (0,)),
        Members("other", "conv0", (3,)),
    )
    assert load(tmp_path, "A:\n  neurons: {net: {conv0: [3]}}\n") == load(tmp_path, "A:\n  neurons: {conv0: [3]}\n")


def test_a_layer_without_its_model_is_refused_where_there_are_several(tmp_path):
    assert problems(tmp_path, "A:\n  neurons:\n    conv0: [3]\n", TWO) == [
        "3:5: A.neurons.conv0: found 'conv0', expected a model (net, other) with its layers below it"
    ]


@pytest.mark.parametrize(
    ("neurons", "said"),
    [
        ("{conv1: 0}", "2:13: A.neurons.conv1: found 'conv1', expected a layer of the atlas; nearest: conv0"),
        ("{'mixed2.*': 0}", "2:13: A.neurons['mixed2.*']: found 'mixed2.*', expected a layer of the atlas; nearest: mixed1.b, mixed1.a"),
        ("{conv0: [1, 8]}", "2:24: A.neurons.conv0[1]: found 8, but conv0 has 8 neurons: 0 to 7"),
        ("{conv0: '5-8'}", "2:20: A.neurons.conv0: found '5-8', but conv0 has 8 neurons: 0 to 7"),
        ("{'mixed1.*': [7]}", "2:26: A.neurons['mixed1.*'][0]: found 7, but mixed1.b has 6 neurons: 0 to 5"),
        ("{conv0: '3-1'}", "2:20: A.neurons.conv0: found '3-1', expected a range that ascends: '1-3'"),
        ("{conv0: [-1]}", "2:21: A.neurons.conv0[0]: found -1, expected a unit (12), a range with both ends included ('0-15') or 'all'"),
        ("{conv0: []}", "2:20: A.neurons.conv0: found 0 of them, expected at least 1"),
        ("{}", "2:12: A.neurons: found 0 of them, expected at least 1"),
        ("[3]", "2:12: A.neurons: found a list, expected a mapping of keys and values"),
        ("{nett: {conv0: 1}}", "2:13: A.neurons.nett: found 'nett', expected a model of the atlas; nearest: net"),
        ("{net: {conv9: 1}}", "2:19: A.neurons.net.conv9: found 'conv9', expected a layer of the atlas; nearest: conv0"),
        ("{net: {conv0: [99]}}", "2:27: A.neurons.net.conv0[0]: found 99, but conv0 has 8 neurons: 0 to 7"),
        ("{net: {conv0: x}}", "2:26: A.neurons.net.conv0: found 'x', expected a unit (12), a range with both ends included ('0-15') or 'all'"),
    ],
)  # fmt: skip
def test_wrong_neurons_are_told_with_their_place_and_what_is_nearest(tmp_path, neurons, said):
    assert problems(tmp_path, f"A:\n  neurons: {neurons}\n") == [said]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: found an empty file, expected families by name"),
        ("- name: A\n", "1:1: found a list, expected families by name"),
        ("{}\n", "1:1: found no family, expected families by name"),
        ("A:\n  note: x\n", "2:3: A.neurons: missing, expected: its neurons by layer or glob"),
        ("A:\n  neurons: {conv0: 1}\n  nots: x\n", "3:3: A.nots: unknown key, expected one of: note, neurons; nearest: note"),
        ("A:\n  neurons: {conv0: 1}\n  note: 3\n", "3:9: A.note: found 3, expected text"),
        ("A: [1]\n", "1:4: A: found a list, expected a mapping of keys and values"),
        ("A:\n  neurons: {conv0: 1}\nA:\n  neurons: {conv0: 2}\n", "3:1: A: found twice, first in line 1, expected once"),
        ("A: {neurons: {conv0: 1}}\na: {neurons: {conv0: 2}}\n", "2:1: a: found 'a', expected a name whose page (a.html) is not that of 'A'"),
        ("A b: {neurons: {conv0: 1}}\nA/b: {neurons: {conv0: 2}}\n", "2:1: ['A/b']: found 'A/b', expected a name whose page (a-b.html) is not that of 'A b'"),
        ("'A [b]': {neurons: {conv0: 1}}\n", "1:1: ['A [b]']: found 'A [b]', expected a name of one line, 80 characters at most"),
        ("Index: {neurons: {conv0: 1}}\n", "1:1: Index: found 'Index', expected another name: the list of families has this page"),
        ("Conv0: {neurons: {conv0: 1}}\n", "1:1: Conv0: found 'Conv0', expected another name: a layer has this one"),
        ("' ': {neurons: {conv0: 1}}\n", "1:1: [' ']: found ' ', expected a name of one line"),
        ("A: {neurons: {conv0: [012]}}\n", "1:23: A.neurons.conv0[0]: found 012, which YAML reads as the number 10; write 10"),
        (b"A: \xff\n", "1:4: found a byte that is not UTF-8"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_with_its_place(tmp_path, text, said):
    (line,) = problems(tmp_path, text)
    assert line.startswith(said)


def test_every_mistake_of_a_file_is_told_at_once_in_its_order(tmp_path):
    text = """\
A:
  neurons: {conv0: 99, conv7: 1}
B:
  note: See [[conv0:77]].
  neurons: 12
a:
  neurons: {head: 1}
"""
    lines = problems(tmp_path, text)
    assert [line.split(": ")[0] for line in lines] == ["2:20", "2:24", "4:13", "5:12", "6:1"]


@pytest.mark.parametrize(
    ("note", "where"),
    [
        ("  note: |\n    Good: [[conv0:1]].\n\n    Wrong: *[[conv0:8]]*\n", "5:13"),
        ("  note: See [[conv0:8]]\n", "2:13"),
        ("  note: 'It is [[conv0:8]]'\n", "2:16"),
        ("  note: >\n    Folded\n    [[conv0:8]]\n", "2:9"),
        ("  note: |\n    `[[conv0:9]]` and [[B]], [[net/conv0]]\n    - and [[conv0:8]]\n", "4:11"),
    ],
)
def test_a_link_of_a_note_that_leads_nowhere_is_told_with_its_place(tmp_path, note, where):
    text = f"A:\n{note}  neurons: {{conv0: 1}}\nB: {{neurons: {{conv0: 2}}}}\n"
    assert problems(tmp_path, text) == [f"{where}: A.note: [[conv0:8]]: found unit '8', but conv0 has 8 neurons: 0 to 7"]


@pytest.mark.parametrize("name", ["曲線", "<b>&\"'</b>", "x" * 80, "...", "Überraschung"])
def test_any_name_of_one_line_has_a_file_fit_for_every_host(name):
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*\.html", family_file(name.replace("/", "")))


def test_the_file_that_a_spec_names_is_looked_for_beside_it(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "familes.yaml").write_text("A: {neurons: {conv0: 1}}\n")
    text = "title: t\nfamilies: families.yaml\nnotes: notes\nmodels:\n  - {name: a, source: bundled}\n"
    (tmp_path / "atlas.yaml").write_text(text)
    spec = load_spec(tmp_path / "atlas.yaml")
    assert spec.beside("notes") == tmp_path / "notes"
    with pytest.raises(SpecError) as caught:
        spec.beside("families")
    assert caught.value.lines == (
        f"{tmp_path}/atlas.yaml:2:11: families: found 'families.yaml', expected a file that is there; nearest: familes.yaml, atlas.yaml",
    )


def test_a_build_holds_families_and_notes_against_its_models(tmp_path):
    from generator.build import named_and_noted, places_in

    (tmp_path / "notes" / "net").mkdir(parents=True)
    (tmp_path / "notes" / "net" / "conv0.md").write_text("See [[Edges]] and [[conv0:5]].")
    (tmp_path / "families.yaml").write_text("Edges: {neurons: {conv0: [7, 2]}}\n")
    (tmp_path / "atlas.yaml").write_text(
        "title: t\nfamilies: families.yaml\nnotes: notes\nmodels:\n  - {name: net, source: bundled}\n"
    )
    spec = load_spec(tmp_path / "atlas.yaml")
    layer = SimpleNamespace(layer=SimpleNamespace(address="conv0", neurons=8))
    planned = SimpleNamespace(plan=SimpleNamespace(name="net", layers=(layer,)), chosen=(np.arange(3),))
    families, notes = named_and_noted(spec, places_in([planned]))
    assert families[0].members == (Members("net", "conv0", (7, 2)),)  # also neurons without a page
    assert [(note.layer, note.unit) for note in notes] == [("conv0", None)]
    (tmp_path / "families.yaml").write_text("Edges: {neurons: {not chosen: 1}}\n")
    with pytest.raises(SpecError, match="found 'not chosen', expected a layer of the atlas"):
        named_and_noted(spec, places_in([planned]))


def test_the_schema_knows_every_key_and_both_forms_of_neurons():
    schema = json_schema()
    family = schema["additionalProperties"]
    assert set(family["properties"]) == set(FamilySpec.model_fields)
    assert family["required"] == ["neurons"]
    units, layers = family["properties"]["neurons"]["additionalProperties"]["anyOf"][-2:]
    assert (units["type"], layers["type"]) == ("array", "object")
    assert json.dumps(schema)


def test_the_families_and_notes_of_the_demo_are_right():
    """Held against the layers of the demo as they are in its facts: those that the texts name."""
    layers = {"conv0": 32, "conv1": 64, "mixed3a": 128, "mixed3b": 192}
    demo = places({"tiny-inception": layers})
    families = load_families(EXAMPLES / "families.yaml", demo)
    notes = load_notes(EXAMPLES / "notes", Places(demo, {one.name.lower(): one.file for one in families}))
    assert len(families) >= 6
    assert len(notes) >= 5


def test_a_large_file_says_what_it_says(tmp_path):
    """113 families of 1,349 neurons, as many as the article on early vision has."""
    sizes = [12 - (family >= 106) for family in range(113)]
    sizes[0] += 1349 - sum(sizes)
    note = "A sentence with a [[conv0:5]] and another.\n\nA second paragraph on what these have in common.\n"
    said = {
        f"Family {at}": {"note": note, "neurons": {f"layer{at % 7}": [(at + 3 * one) % 500 for one in range(size)]}}
        for at, size in enumerate(sizes)
    }
    models = {"net": {"conv0": 8, **{f"layer{at}": 500 for at in range(7)}}}
    families = load(tmp_path, yaml.safe_dump(said, sort_keys=False), models)
    assert [family.name for family in families] == list(said)
    assert sum(len(members.units) for family in families for members in family.members) == 1349
