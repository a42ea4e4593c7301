"""Whole atlases, from spec to site: the demo and the three examples, and what a build promises."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from real_models import REAL, ROOT, missing

from generator.build import build, check, gather
from generator.errors import AtlasError, RefusedError, SpecError
from generator.progress import Progress
from generator.publishing.sitecheck import check_site
from generator.spec import load_spec

SPECS = {"bundled": ROOT / "atlas.yaml"} | {name: ROOT / "examples" / f"{name}.yaml" for name in REAL if name != "bundled"}


@pytest.fixture(scope="session", params=list(SPECS))
def real_site(request, tmp_path_factory) -> Path:
    """The site of one spec, built once."""
    if missing(request.param):
        pytest.skip(missing(request.param))
    target = tmp_path_factory.mktemp("sites") / request.param
    build(load_spec(SPECS[request.param]), target, Progress(quiet=True))
    return target


def test_a_real_site_is_whole(real_site):
    """Its links, anchors and pictures lead somewhere, no request leaves it, its rows agree with its numbers and these with
    their mirror.
    """
    report = check_site(real_site)
    assert report.problems == ()
    assert int(re.search(r"([\d,]+) rows", report.summary)[1].replace(",", "")) > 500


def test_both_ends_of_every_connection_agree(real_site):
    """Where a connection stands in the tables of both its neurons, it has one norm."""
    compared = 0
    twins = {path.parent: json.loads(path.read_text("utf-8")) for path in real_site.rglob("layer.json")}
    by_layer = {(folder.parent, twin["layer"]): twin for folder, twin in twins.items()}
    for (model, address), twin in by_layer.items():
        for table in twin["reads"]:
            other = by_layer[model, table["layer"]]
            back = [t for t in other["writes"] if t["layer"] == address and t["through"] == table["through"]]
            assert len(back) == 1, (address, table["layer"])
            mirror = {
                (there, here): norm
                for here, row, norms in zip(other["units"], back[0]["other"], back[0]["norm"], strict=True)
                for there, norm in zip(row, norms, strict=True)
            }
            for unit, row, norms in zip(twin["units"], table["other"], table["norm"], strict=True):
                for source, norm in zip(row, norms, strict=True):
                    if (unit, source) in mirror:
                        assert norm == mirror[unit, source]
                        compared += 1
    assert compared > 500


def test_names_suit_every_host(real_site):
    names = [part for path in real_site.rglob("*") for part in path.relative_to(real_site).parts]
    assert [name for name in names if name.startswith((".", "_"))] == [".nojekyll"]  # which GitHub Pages itself asks for


TINY = """
title: Tiny
models:
  - name: tiny
    source: tiny_net:make
    input_size: 16
    layers: {layers}
    neurons: {neurons}
"""
NET = """
from torch import nn
import torch

class Attention(nn.Module):
    def forward(self, x):
        return x @ x.transpose(2, 3)

def make(attention=False):
    torch.manual_seed(0)
    middle = Attention() if attention else nn.ReLU()
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), middle, nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 5, 1))
"""


@pytest.fixture
def tiny(tmp_path):
    """Writes a spec of a tiny network and loads it."""
    (tmp_path / "tiny_net.py").write_text(NET)

    def load(layers="auto", neurons="all", **more: str):
        text = TINY.format(layers=layers, neurons=neurons) + "".join(f"{key}: {value}\n" for key, value in more.items())
        (tmp_path / "atlas.yaml").write_text(text)
        return load_spec(tmp_path / "atlas.yaml")

    return load


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_two_builds_of_the_same_inputs_are_the_same_bytes(tiny, tmp_path):
    for name in ("one", "two"):
        build(tiny(), tmp_path / name, Progress(quiet=True))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_only_the_chosen_neurons_have_pages(tiny, tmp_path):
    build(tiny(neurons="[0, '2-3']"), tmp_path / "site", Progress(quiet=True))
    pages = sorted(path.name for path in (tmp_path / "site" / "tiny" / "2").glob("[0-9]*.html"))
    assert pages == ["0.html", "2.html", "3.html"]
    assert check_site(tmp_path / "site").problems == ()


def test_a_layer_that_is_not_there_is_told_with_its_place(tiny):
    with pytest.raises(SpecError, match=r"atlas\.yaml:7:\d+: models\[0\]\.layers\[?0?\]?: tiny: the model has no layer 'nine'"):
        check(tiny(layers="nine"))


def test_check_counts_layers_and_neurons_without_computing(tiny, monkeypatch):
    monkeypatch.setattr("generator.reading.weights_into", lambda *_: pytest.fail("computed weights"))
    assert check(tiny()) == ["tiny: 4 layers, 18 neurons with a page"]


def test_a_path_that_cannot_be_read_is_a_note_under_auto_and_an_error_where_layers_are_named(tiny):
    spec = tiny()
    model = spec.models[0].model_copy(update={"arguments": {"attention": True}})
    facts = gather(spec.model_copy(update={"models": (model,)}), Progress(quiet=True))
    layer = next(one for one in facts.models[0].layers if one.layer.address == "2")
    assert "multiplies two activations" in layer.refused[0]
    named = model.model_copy(update={"layers": ("0", "2")})
    with pytest.raises(RefusedError, match="multiplies two activations"):
        gather(spec.model_copy(update={"models": (named,)}), Progress(quiet=True))


def test_a_failed_build_leaves_the_old_site_whole(tiny, tmp_path, monkeypatch):
    target = tmp_path / "site"
    build(tiny(), target, Progress(quiet=True))
    before = contents(target)
    monkeypatch.setattr("generator.render.layer_json", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build(tiny(neurons="[1]"), target, Progress(quiet=True))
    assert contents(target) == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir() and "cache" not in path.name) == ["site"]


def test_a_folder_that_is_not_ours_is_refused_before_anything_is_computed(tiny, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("...")
    monkeypatch.setattr("generator.build.planned", lambda *_: pytest.fail("computed"))
    with pytest.raises(AtlasError, match="mine"):
        build(tiny(), tmp_path / "mine", Progress(quiet=True))


def test_layers_of_one_position_are_pictured_by_expanded_weights(tiny):
    facts = gather(tiny(), Progress(quiet=True)).models[0]
    last = facts.layers[-1]
    assert last.layer.kernel == (1, 1)
    assert last.faces.kind == "nmf"
    assert last.faces.sources == ("0",)
    assert "2" in last.faces.expanded
    np.testing.assert_array_equal(last.reads[0].weights.kernel.shape, (5, 6, 1, 1))


def test_scaling_by_the_source_changes_the_norms_it_says_it_changes(tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\nimport torch\n"
        "def make():\n"
        "    torch.manual_seed(0)\n"
        "    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))\n"
        "    net[1].weight.data = torch.tensor([1.0, 2.0, 3.0, 0.5])\n"
        "    return net\n"
    )
    tables = {}
    for scaled in ("true", "false"):
        text = f"title: T\nmodels:\n  - name: n\n    source: net:make\n    input_size: 16\nconnections:\n  scale_by_source: {scaled}\n"
        (tmp_path / "atlas.yaml").write_text(text)
        facts = gather(load_spec(tmp_path / "atlas.yaml"), Progress(quiet=True))
        reads = facts.models[0].layers[-1].reads[0].reads
        tables[scaled] = {(u, o): n for u in range(2) for o, n in zip(reads.other[u], reads.norm[u], strict=True)}
    gains = {0: 1.0, 1: 2.0, 2: 3.0, 3: 0.5}
    for (unit, other), norm in tables["false"].items():
        assert tables["true"][unit, other] == pytest.approx(norm * gains[other], rel=1e-5)
