"""The digest of what a layer's weights depend on: it changes with everything that changes them, and with nothing else."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from test_expand import named, seeded
from torch import nn
from torch.nn import functional

from generator.affine import own_bias_and_scale, own_weights
from generator.cancellation import with_cancellation
from generator.dependence import path_digest, tensor_digest
from generator.errors import AtlasError
from generator.expand import neighbours, weights_into
from generator.graph import Graph, choose, trace


class Mingled(nn.Module):
    """Most of what lies between two layers: norms, a gate, a sum, a concat, functions, a parametrized weight, constants."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.PReLU(6))
        self.wide = nn.Conv2d(6, 6, 1)
        self.deep = nn.utils.parametrizations.weight_norm(nn.Conv2d(6, 6, 3, padding=1, groups=2))
        self.norm = nn.BatchNorm2d(6)
        self.squeeze = nn.Conv2d(6, 6, 1)
        self.kernel = nn.Parameter(torch.zeros(4, 6, 1, 1))
        self.shift = nn.Parameter(torch.zeros(4))
        self.scale = nn.Parameter(torch.zeros(1, 6, 1, 1))
        self.last = nn.Linear(10, 5)

    def forward(self, x):
        x = self.first(x)
        gate = torch.sigmoid(self.squeeze(x.mean((2, 3), keepdim=True)))
        y = self.norm(self.deep(functional.relu(self.wide(x)))) * gate + x * self.scale
        y = functional.max_pool2d(y, 2)
        z = functional.conv2d(y, self.kernel, self.shift)
        return self.last(torch.cat([y, z], 1).mean((2, 3)))


class Residual(nn.Module):
    """Two convolutions and a sum, read by a third."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.Conv2d(4, 2, 1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(4)])

    def forward(self, x):
        x = functional.relu(self.norms[0](self.one(x)))
        return self.three(x + self.norms[1](self.two(x)))


def outcome(graph: Graph, target: str, sources, blocked) -> str:
    """A digest of all that the path digest stands for, worked out."""
    try:
        found = with_cancellation(graph, weights_into(graph, target, sources, blocked), blocked) if sources else []
    except AtlasError as error:
        return str(error)
    whole = found, own_bias_and_scale(graph, target), own_weights(graph, target)
    return hashlib.sha256(pickle.dumps(whole)).hexdigest()


def of_all(model: nn.Module, patterns=("auto",), side: int = 16, worked_out: bool = True) -> dict[tuple, tuple[str, str]]:
    """(path digest, digest of the outcome) of every pair of a layer and the layers outside or inside of it that it reads."""
    graph = trace(model, (3, side, side))
    feeds = neighbours(graph, choose(graph, patterns))
    asked = [(target, *both) for target, (out, into) in feeds.items() for both in ((out, ()), (into, out))]
    return {
        (target, sources): (
            path_digest(graph, target, sources, blocked),
            outcome(graph, target, sources, blocked) if worked_out else "",
        )
        for target, sources, blocked in asked
    }


def perturbed(model: nn.Module):
    """The name of every tensor of a model in turn, while one of its numbers is another."""
    for name, tensor in model.state_dict().items():
        before = tensor.clone()
        tensor.view(-1)[tensor.numel() // 3] += 1
        yield name
        tensor.copy_(before)


@pytest.mark.parametrize(
    ("make", "patterns"),
    [
        (Mingled, ("auto",)),
        (Mingled, ("input", "first", "last")),
        (Mingled, ("input", "wide", "deep", "conv")),
        (Residual, ("auto",)),
        (Residual, ("one", "three")),
    ],
)
def test_a_digest_changes_just_where_the_outcome_does(make, patterns):
    model = seeded(make()).requires_grad_(False)
    before, changed = of_all(model, patterns), 0
    for name in perturbed(model):
        after = of_all(model, patterns)
        for key, (digest, whole) in before.items():
            assert (after[key][0] == digest) or name in UNREAD or after[key][1] != whole, f"{name} is told but not read: {key}"
            assert (after[key][0] != digest) or after[key][1] == whole, f"{name} is read but not told: {key}"
            changed += after[key][1] != whole
    assert changed


# Weight norm divides by the length of these, so that another number of them is a weight that is the same but for its rounding.
UNREAD = ("deep.parametrizations.weight.original1",)


def test_numbers_beside_the_paths_of_a_resnet_are_not_told():
    import torchvision  # takes a while: the processes that are begun below do without

    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None).eval().requires_grad_(False)
    blocks = ("layer1.1", "layer2.?", "layer3.0")
    before = of_all(model, blocks, 64, worked_out=False)
    moved = {}
    for name in ("layer2.1.conv1.weight", "layer2.1.bn2.running_var", "layer2.1.bn2.bias", "layer4.0.conv1.weight", "fc.bias"):
        with torch.no_grad():
            model.get_parameter(name).add_(1) if name in dict(model.named_parameters()) else model.get_buffer(name).add_(1)
        after = of_all(model, blocks, 64, worked_out=False)
        moved[name] = {target for target, sources in before if after[target, sources] != before[target, sources]}
        before = after
    told = {"layer2.1.conv1.weight": {"layer2.1"}, "layer2.1.bn2.running_var": {"layer2.1"}}
    assert moved == told | {name: set() for name in ("layer2.1.bn2.bias", "layer4.0.conv1.weight", "fc.bias")}


def change(model: nn.Module, what: str) -> None:
    """Change one thing of a chain of two convolutions and a norm that is no number of a tensor."""
    layer, setting, value = {
        "stride": (model.l2, "stride", (2, 2)),
        "padding": (model.l2, "padding", (1, 1)),
        "dilation": (model.l2, "dilation", (2, 2)),
        "eps": (model.l1, "eps", 0.1),
        "kind": (model, "l3", nn.MaxPool2d(2)),
        "name": (model, "l3", nn.Sequential(nn.ReLU())),
    }[what]
    setattr(layer, setting, value)


@pytest.mark.parametrize("what", ["stride", "padding", "dilation", "eps", "kind", "name"])
def test_settings_and_operations_on_the_way_are_told(what):
    def made() -> nn.Module:
        return named(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))

    model = made()
    before = path_digest(trace(model, (3, 24, 24)), "last", ["input"])
    assert path_digest(trace(made(), (3, 24, 24)), "last", ["input"]) == before
    change(model, what)
    assert path_digest(trace(model, (3, 24, 24)), "last", ["input"]) != before


def test_sources_and_what_is_blocked_are_told():
    graph = trace(seeded(Residual()), (3, 16, 16))
    asked = [("three", ["input"], []), ("three", ["one"], []), ("three", ["one", "two"], []), ("three", ["one"], ["two"])]
    asked += [("three", [], []), ("two", ["one"], []), ("two", ["input"], [])]
    assert len({path_digest(graph, *each) for each in asked}) == len(asked)
    assert path_digest(graph, "two", ["one"], ["three"]) == path_digest(graph, "two", ["one"])


def test_a_digest_is_the_same_in_every_process():
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_dependence import *\n"
        "print(sorted(digest for digest, _ in of_all(seeded(Mingled()), worked_out=False).values()))"
    )
    roots = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    said = {
        subprocess.run(
            [sys.executable, "-c", code, *roots], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    here = sorted(digest for digest, _ in of_all(seeded(Mingled()), worked_out=False).values())
    assert said == {f"{here}\n"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.complex64])
def test_tensors_of_every_type_have_digests_of_their_numbers_and_shape(dtype):
    numbers = torch.tensor([[0, 1, 1], [1, 0, 0]]).to(dtype)
    digests = [tensor_digest(each) for each in (numbers, numbers.T, numbers.reshape(3, 2), numbers[:1], numbers[0, 0])]
    assert len(set(digests)) == 5
    assert tensor_digest(numbers.T.contiguous().T) == digests[0]
    assert tensor_digest(torch.tensor(float("nan"))) == tensor_digest(torch.from_numpy(np.array(np.nan, np.float32)))
