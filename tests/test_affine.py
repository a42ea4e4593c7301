"""The bias, the batch-norm scale and the stored weights of a layer, against running its modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from real_models import real_model
from torch import nn
from torch.nn import functional as F

from generator.affine import own_bias_and_scale, own_weights
from generator.graph import Graph, trace


def randomized(module: nn.Module) -> nn.Module:
    """The module with random weights and statistics."""
    torch.manual_seed(0)
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            tensor.data.uniform_(0.2, 2)
    return module.eval()


def ran(*modules: nn.Module, units: int, zero: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """What modules in a row give without input, and what the later ones multiply the first one's result by."""
    with torch.no_grad():
        first = torch.zeros_like(modules[0](zero))
        bias, base, one = modules[0](zero), first, first + 1
        for module in modules[1:]:
            bias, base, one = module(bias), module(base), module(one)
    return bias.reshape(units, -1)[:, 0].numpy(), (one - base).reshape(units, -1)[:, 0].numpy()


def traced(*modules: nn.Module) -> tuple[nn.Sequential, Graph]:
    net = randomized(nn.Sequential(*modules))
    return net, trace(net, (3, 8, 8))


def test_the_bias_of_a_plain_convolution_is_its_own():
    net, graph = traced(nn.Conv2d(3, 5, 3), nn.ReLU())
    bias, scale = own_bias_and_scale(graph, "0")
    assert (bias == net[0].bias.detach().numpy()).all()
    assert scale is None
    assert own_weights(graph, "0").tolist() == [27] * 5


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "head", [lambda b: nn.Conv2d(3, 6, 3, groups=3, bias=b), lambda b: nn.ConvTranspose2d(3, 6, 2, bias=b)]
)
def test_a_batch_norm_is_folded_into_the_bias(head, bias: bool):
    net, graph = traced(head(bias), nn.BatchNorm2d(6), nn.ReLU())
    expected = ran(net[0], net[1], units=6, zero=torch.zeros(1, 3, 8, 8))
    found = own_bias_and_scale(graph, "0")
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found[1] == pytest.approx(expected[1], rel=1e-4)


def test_a_batch_norm_without_gain_has_its_scale_too():
    net, graph = traced(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4, affine=False), nn.ReLU())
    expected = ran(net[0], net[1], units=4, zero=torch.zeros(1, 3, 8, 8))
    for one, other in zip(own_bias_and_scale(graph, "0"), expected, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_a_linear_layer_and_its_norm():
    net, graph = traced(nn.Flatten(), nn.Linear(192, 7), nn.BatchNorm1d(7), nn.ReLU())
    expected = ran(net[1], net[2], units=7, zero=torch.zeros(1, 192))
    for one, other in zip(own_bias_and_scale(graph, "1"), expected, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    assert own_weights(graph, "1").tolist() == [192] * 7


def test_modules_written_as_functions():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6, eps=0.1)

        def forward(self, x):
            x = F.conv2d(x, self.conv.weight, self.conv.bias, 1, 0, 1, 3)
            norm = self.norm
            return F.relu(F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=0.1))

    net = randomized(Net())
    graph = trace(net, (3, 8, 8))
    address = next(name for name, layer in graph.layers.items() if layer.kind == "Conv2d")
    expected = ran(net.conv, net.norm, units=6, zero=torch.zeros(1, 3, 8, 8))
    for one, other in zip(own_bias_and_scale(graph, address), expected, strict=True):
        assert one == pytest.approx(other, rel=1e-4)
    assert own_weights(graph, address).tolist() == [9] * 6


@pytest.mark.parametrize(
    "norm", [nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.BatchNorm2d(4, track_running_stats=False)]
)
def test_a_norm_that_depends_on_the_image_leaves_nothing_fixed(norm: nn.Module):
    _, graph = traced(nn.Conv2d(3, 4, 3), norm, nn.ReLU())
    assert own_bias_and_scale(graph, "0") == (None, None)


def test_layers_without_modules_of_their_own_have_neither():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return x + self.conv(x)

    graph = trace(randomized(Net()), (3, 8, 8))
    address = next(name for name, layer in graph.layers.items() if layer.kind == "add")
    for name in ("input", address):
        assert own_bias_and_scale(graph, name) == (None, None)
        assert own_weights(graph, name) is None


class Fork(nn.Module):
    """Two branches side by side."""

    def __init__(self, *branches: nn.Module):
        super().__init__()
        self.a, self.b = branches

    def forward(self, x):
        return torch.cat([self.a(x), self.b(x)], 1)


def conv(units: int, size: int, norm: bool = True, bias: bool = False) -> nn.Sequential:
    norms = [nn.BatchNorm2d(units)] if norm else []
    return nn.Sequential(nn.Conv2d(3, units, size, padding=size // 2, bias=bias), *norms, nn.ReLU())


def test_a_concat_has_what_all_its_branches_have():
    net, graph = traced(nn.Conv2d(3, 3, 1), Fork(conv(2, 1), conv(4, 3, bias=True)), nn.Conv2d(6, 2, 1))
    bias, scale = own_bias_and_scale(graph, "1")
    for found, at in ((bias, 0), (scale, 1)):
        parts = [ran(b[0], b[1], units=u, zero=torch.zeros(1, 3, 8, 8))[at] for b, u in ((net[1].a, 2), (net[1].b, 4))]
        assert found == pytest.approx(np.concatenate(parts), rel=1e-4)
    assert own_weights(graph, "1").tolist() == [3] * 2 + [27] * 4


def test_a_concat_lacks_what_one_branch_lacks():
    _, graph = traced(nn.Conv2d(3, 3, 1), Fork(conv(2, 1, norm=False), conv(4, 3)), nn.Conv2d(6, 2, 1))
    assert own_bias_and_scale(graph, "1") == (None, None)
    _, graph = traced(nn.Conv2d(3, 3, 1), Fork(conv(2, 1, norm=False, bias=True), conv(4, 3)), nn.Conv2d(6, 2, 1))
    bias, scale = own_bias_and_scale(graph, "1")
    assert bias.shape == (6,)
    assert scale is None


@pytest.mark.parametrize(
    ("name", "address"), [("resnet20", "layer1.0.conv1"), ("squeezenet", "features.0"), ("bundled", "conv0")]
)
def test_real_layers(name: str, address: str):
    loaded, graph = real_model(name)
    module = loaded.module.get_submodule(address)
    bias, scale = own_bias_and_scale(graph, address)
    conv2d = module if isinstance(module, nn.Conv2d) else next(m for m in module.modules() if isinstance(m, nn.Conv2d))
    if name == "squeezenet":
        assert (bias == conv2d.bias.detach().numpy()).all()
        assert scale is None
    else:
        assert bias.shape == scale.shape == (conv2d.out_channels,)
    assert own_weights(graph, address).tolist() == [conv2d.weight[0].numel()] * conv2d.out_channels
