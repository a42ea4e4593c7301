"""Layers and their names: which tensors are the same neurons, what 'auto' chooses, what feeds what."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from test_expand import named, seeded
from torch import nn

from generator.errors import LayerError, ModelError, RefusedError
from generator.expand import neighbours, stop_nodes, weights_between, weights_into
from generator.graph import choose, trace
from generator.models.bundled.network import TinyInception

NAMES = torchvision.models.list_models(module=torchvision.models)
TRANSFORMERS = ("vit_", "swin_", "maxvit_")


@pytest.fixture(scope="module")
def bundled():
    return trace(TinyInception().eval(), (3, 64, 64))


def test_a_convolution_its_norm_and_its_activation_are_one_layer(bundled):
    layer = bundled.layers["conv0"]
    assert (layer.kind, layer.neurons, layer.kernel, layer.stride) == ("Conv2d", 32, (7, 7), (2, 2))
    assert layer.aliases == ("conv0.conv", "conv0.norm", "conv0.relu", "pool0")
    assert layer.map_size == (32, 32)
    assert layer.parameters == 32 * 3 * 49 + 2 * 32
    assert bundled.site("conv0.norm") is bundled.site("conv0")


def test_units_of_a_concat_are_those_of_its_branches(bundled):
    branches = bundled.layers["mixed3a"].branches
    assert [(b.address, b.start, b.stop) for b in branches] == [
        ("mixed3a.b1", 0, 32),
        ("mixed3a.b3", 32, 80),
        ("mixed3a.b5", 80, 112),
        ("mixed3a.bp", 112, 128),
    ]
    whole = weights_between(bundled, "conv1", "mixed3a")
    branch = weights_between(bundled, "conv1", "mixed3a.b3")
    np.testing.assert_allclose(whole.kernel[32:80, :, 1:4, 1:4], branch.kernel, atol=1e-7)
    assert not whole.kernel[32:80, :, 0].any()


def test_choosing_a_concat_and_its_branch_gives_one_layer(bundled):
    assert choose(bundled, ("mixed3a", "mixed3a.b5")) == ("mixed3a",)
    assert choose(bundled, ("mixed3a.b5",)) == ("mixed3a.b5",)


def test_auto_takes_the_input_what_has_weights_and_the_concats(bundled):
    assert choose(bundled, ("auto",)) == (
        *("input", "conv0", "conv1", "mixed3a.b3r", "mixed3a.b5r", "mixed3a", "mixed3b.b3r", "mixed3b.b5r", "mixed3b"),
        *("mixed4a.b3r", "mixed4a.b5r", "mixed4a", "mixed4b.b3r", "mixed4b.b5r", "mixed4b", "classifier"),
    )


def test_a_layer_inside_a_block_does_not_hide_what_the_block_reads(bundled):
    feeds = neighbours(bundled, choose(bundled, ("auto",)))
    assert feeds["mixed3b"] == (("mixed3a",), ("mixed3b.b3r", "mixed3b.b5r"))
    assert feeds["mixed3b.b3r"] == (("mixed3a",), ())
    expanded = weights_between(bundled, "mixed3a", "mixed3b")
    assert expanded.through == ("mixed3b.b3r.conv", "mixed3b.b5r.conv")
    assert not expanded.direct
    inner = weights_into(bundled, "mixed3b", ["mixed3b.b3r"], ["mixed3a"])[0]
    assert inner.direct
    assert inner.replaced == ()


def test_a_pool_behind_a_source_is_read_at_its_output(bundled):
    weights = weights_between(bundled, "conv0", "conv1")
    assert (weights.read_at, weights.kernel.shape, weights.replaced) == ("pool0", (64, 32, 5, 5), ())


def test_a_pool_on_one_of_two_paths_is_taken_as_average(bundled):
    weights = weights_between(bundled, "conv1", "mixed3a")
    assert weights.read_at == "conv1"
    assert ("mixed3a.pool", "MaxPool2d 3x3", "average pool 3x3") in [(r.module, r.operation, r.by) for r in weights.replaced]
    pooled = weights.kernel[112:128, :, 1:4, 1:4]
    np.testing.assert_allclose(pooled, np.broadcast_to(pooled.mean((2, 3), keepdims=True), pooled.shape), atol=1e-6)


def test_source_scale_is_the_gain_of_the_sources_own_norm():
    model = seeded(TinyInception())
    graph = trace(model, (3, 64, 64))
    scale = weights_between(graph, "mixed3a", "mixed3b").source_scale
    gains = [getattr(model.mixed3a, branch).norm.weight.detach().abs() for branch in ("b1", "b3", "b5", "bp")]
    np.testing.assert_allclose(scale, torch.cat(gains))
    assert weights_between(graph, "input", "conv0").source_scale is None


def test_two_sums_in_one_module_have_names_of_their_own():
    class Sums(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (nn.Conv2d(3, 3, 1) for _ in range(3))

        def forward(self, x):
            y = self.a(x) + self.b(x)
            return self.c(y) + y

    graph = trace(Sums().eval(), (3, 8, 8))
    assert list(graph.layers) == ["input", "a", "b", "add", "c", "add_2"]
    assert set(graph.layers["add_2"].reads) == {"c", "add"}


def test_a_concat_whose_branches_go_elsewhere_too_keeps_no_branches():
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(8, 4, 1)

        def forward(self, x):
            y = self.a(x)
            return self.c(torch.cat([y, self.b(y)], 1))

    graph = trace(Dense().eval(), (3, 8, 8))
    assert graph.layers["concat"].branches == ()
    assert choose(graph, ("auto",)) == ("input", "a", "b", "c")


class Branching(nn.Module):
    """A forward whose path depends on the image."""

    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


class NeedsMore(nn.Module):
    """A forward of two arguments."""

    def forward(self, x, mask):
        return x * mask


class Optional(nn.Module):
    """A forward with arguments that have defaults."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, x, scale=2.0, mask=None, flag: bool = True):
        y = self.conv(x) * scale
        return y if mask is None and flag else y * mask


def test_what_cannot_be_traced_is_told_in_one_line():
    with pytest.raises(ModelError, match=r"inner: cannot be traced by torch\.fx"):
        trace(nn.Sequential(nn.Conv2d(3, 3, 1), Named(Branching())), (3, 8, 8))
    with pytest.raises(ModelError, match="needs mask beside the image"):
        trace(NeedsMore(), (3, 8, 8))
    with pytest.raises(ModelError, match="does not run on an image of 5x8x8"):
        trace(named(nn.Conv2d(3, 3, 1)), (5, 8, 8))


class Named(nn.Module):
    """Gives a module the name 'inner'."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


def test_arguments_with_defaults_are_taken_as_they_are():
    model = seeded(Optional())
    weights = weights_between(trace(model, (3, 8, 8)), "input", "conv")
    np.testing.assert_allclose(weights.kernel, model.conv.weight.detach())


def test_a_forward_hook_is_refused():
    model = named(nn.Conv2d(3, 3, 1), nn.ReLU())
    model.l0.register_forward_hook(lambda module, inputs, output: output * 2)
    with pytest.raises(ModelError, match="l0: has a forward hook"):
        trace(model, (3, 8, 8))


def test_parametrized_weights_are_read_as_they_are_used():
    model = named(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    torch.nn.utils.parametrizations.weight_norm(model.last)
    weights = weights_between(trace(model, (3, 16, 16)), "l0", "last")
    np.testing.assert_allclose(weights.kernel, model.last.weight.detach(), atol=1e-7)
    assert weights.direct


@pytest.fixture
def without_init(monkeypatch):
    """Make models without drawing random numbers, which is what takes the time."""
    for name in [name for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")]:
        monkeypatch.setattr(nn.init, name, lambda tensor, *_, **__: tensor)


@pytest.mark.parametrize("name", NAMES)
def test_every_torchvision_classifier_has_a_table_and_auto_layers_whose_weights_can_be_read(name, without_init):
    size = 299 if name == "inception_v3" else 224
    keywords = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = torchvision.models.get_model(name, weights=None, **keywords).eval().to("meta")
    with torch.device("meta"):
        graph = trace(model, (3, size, size))
        chosen = choose(graph, ("auto",))
        refused = [line for target, both in neighbours(graph, chosen).items() for line in refusals(graph, target, *both)]
    assert set(chosen) <= set(graph.layers)
    assert "input" in chosen
    assert graph.layers[chosen[-1]].neurons == 1000
    if name.startswith(TRANSFORMERS):
        assert refused
        assert all("choose layers" in line for line in refused)
    else:
        assert refused == []


def refusals(graph, target, outside, inside) -> list[str]:
    """Sweep one unit back to every source of a layer, on shapes alone; the lines of those that are refused."""
    from generator.expand import leads_to, nodes_between, sweep

    reader, lines = graph.site(target), []
    for sources, blocked in ((outside, ()), (inside, outside)):
        stops = stop_nodes(graph, reader, [graph.site(s) for s in sources], [graph.site(b) for b in blocked])
        wanted = {node for node, site in stops.items() if site.name in sources}
        paths = nodes_between(graph, reader.start, set(stops))
        useful = leads_to(graph, paths - set(stops), wanted & paths)
        try:
            sweep(graph, reader, torch.arange(1), useful, wanted)
        except RefusedError as error:
            lines.append(str(error))
    return lines


def test_unknown_layers_are_told_with_the_nearest(bundled):
    with pytest.raises(LayerError, match="no layer 'mixed3z'; nearest: mixed3b, mixed3a"):
        choose(bundled, ("mixed3z",))


def test_a_convolution_written_as_a_function_has_its_kernel_in_the_table():
    class Padded(nn.Conv2d):
        def forward(self, x):
            return nn.functional.conv2d(nn.functional.pad(x, (1, 1, 2, 2)), self.weight, self.bias, self.stride)

    graph = trace(nn.Sequential(Padded(3, 4, (5, 3)), nn.ReLU()).eval(), (3, 16, 16))
    layer = graph.layers["0"]
    assert (layer.kind, layer.kernel, layer.map_size) == ("Conv2d", (5, 3), (16, 16))
    assert weights_between(graph, "input", "0").direct
