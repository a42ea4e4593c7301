"""The weights between two layers against independent computations: stored weights, closed forms, autograd's Jacobian."""

from __future__ import annotations

import itertools
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from generator.errors import LayerError, RefusedError
from generator.expand import neighbours, weights_between, weights_into
from generator.graph import choose, trace


def seeded(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in eval mode with random weights, norms and running statistics included."""
    torch.manual_seed(seed)
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            nn.init.normal_(parameter, 0.5 if name == "weight" and parameter.ndim == 1 else 0.0, 0.3)
        if getattr(part, "running_var", None) is not None:
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.normal_(part.running_mean)
    return module.eval()


def jacobian(linear: nn.Module, shape: tuple[int, ...], unit: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Gradient [input, row, col] of the centre of one unit of a linear module, and that centre, by autograd."""
    x = torch.randn(1, *shape, requires_grad=True)
    y = linear(x)
    centre = (y.shape[2] // 2, y.shape[3] // 2)
    (gradient,) = torch.autograd.grad(y[0, unit, centre[0], centre[1]], x)
    return gradient[0].numpy(), centre


def placed(weights, unit: int, centre: tuple[int, int], shape: tuple[int, ...]) -> np.ndarray:
    """One unit's kernel laid on the source's map, as the record's stride and offset say."""
    full = np.zeros(shape, np.float32)
    rows, cols = weights.kernel.shape[2:]
    top = int(weights.stride[0] * centre[0]) + weights.offset[0]
    left = int(weights.stride[1] * centre[1]) + weights.offset[1]
    full[:, top : top + rows, left : left + cols] = weights.kernel[unit]
    return full


def assert_is_jacobian(model: nn.Module, linear: nn.Module, shape=(3, 33, 35), units=None, target="last") -> None:
    """The kernel from the input to layer `target` equals the Jacobian of `linear` for every unit."""
    graph = trace(model, shape)
    weights = weights_between(graph, "input", target)
    for unit in units if units is not None else range(weights.kernel.shape[0]):
        expected, centre = jacobian(linear, shape, unit)
        got = placed(weights, unit, centre, shape)
        assert np.abs(got - expected).max() <= 1e-5 * max(np.abs(expected).max(), 1e-6)


def named(*layers: nn.Module) -> nn.Sequential:
    """A sequence whose last layer is called 'last'."""
    names = [f"l{number}" for number in range(len(layers) - 1)] + ["last"]
    return seeded(nn.Sequential(OrderedDict(zip(names, layers, strict=True))))


CONVOLUTIONS = {
    "1x7": {"kernel_size": (1, 7), "padding": (0, 3)},
    "stride 2": {"kernel_size": 3, "stride": 2, "padding": 1},
    "stride (2, 1)": {"kernel_size": (3, 5), "stride": (2, 1), "padding": (1, 2)},
    "dilation 2": {"kernel_size": 3, "dilation": 2, "padding": 2},
    "even 4": {"kernel_size": 4, "stride": 2, "padding": 1},
    "same padding": {"kernel_size": 4, "padding": "same", "dilation": 2},
    "grouped": {"kernel_size": 3, "groups": 2, "padding": 1},
    "depthwise": {"kernel_size": 5, "groups": 4, "padding": 2},
    "reflect": {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
    "no padding": {"kernel_size": 3},
}


@pytest.mark.parametrize(("first", "second"), list(itertools.product(CONVOLUTIONS, CONVOLUTIONS)))
def test_two_convolutions_compose_to_their_jacobian(first, second):
    one = CONVOLUTIONS[first] | ({"groups": 1} if "groups" in CONVOLUTIONS[first] else {})
    model = named(nn.Conv2d(3, 4, **one), nn.ReLU(), nn.Conv2d(4, 8, **CONVOLUTIONS[second]))
    assert_is_jacobian(model, nn.Sequential(model.l0, model.last), units=[0, 7])


def test_stride_one_convolutions_compose_to_the_full_convolution_of_their_kernels():
    model = named(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 4))
    weights = weights_between(trace(model, (3, 20, 20)), "input", "last")
    one, two = model.l0.weight.detach().double().numpy(), model.last.weight.detach().double().numpy()
    closed = np.zeros((5, 3, 6, 6))
    for r, c in itertools.product(range(4), range(4)):
        closed[:, :, r : r + 3, c : c + 3] += np.einsum("um,mirc->uirc", two[:, :, r, c], one)
    assert weights.kernel.shape == (5, 3, 6, 6)  # 3 + 4 - 1
    np.testing.assert_allclose(weights.kernel, closed, rtol=1e-5, atol=1e-6)


LINEAR = {  # operation between two convolutions -> its linear stand-in
    "batch norm": (nn.BatchNorm2d(4), None),
    "batch norm without affine": (nn.BatchNorm2d(4, affine=False), None),
    "instance norm with statistics": (nn.InstanceNorm2d(4, affine=True, track_running_stats=True), None),
    "average pool": (nn.AvgPool2d(3, 2, 1), None),
    "average pool with divisor": (nn.AvgPool2d(2, divisor_override=3), None),
    "max pool": (nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(3, 2, 1)),
    "max pool of (2, 3)": (nn.MaxPool2d((2, 3)), nn.AvgPool2d((2, 3))),
    "zero pad": (nn.ZeroPad2d((1, 2, 3, 0)), None),
    "negative pad": (nn.ZeroPad2d((-1, 2, -2, 0)), None),
    "adaptive pool that divides": (nn.AdaptiveAvgPool2d((11, 7)), None),
    "adaptive max pool": (nn.AdaptiveMaxPool2d((11, 7)), nn.AdaptiveAvgPool2d((11, 7))),
    "transposed convolution": (nn.ConvTranspose2d(4, 4, 4, 2, 1), None),
    "transposed, dilated, grouped": (nn.ConvTranspose2d(4, 4, 3, 3, 1, groups=2, dilation=2), None),
    "transposed, odd": (nn.ConvTranspose2d(4, 4, (5, 2), (2, 3), (0, 1), output_padding=(1, 0)), None),
    "nearest upsampling": (nn.Upsample(scale_factor=2, mode="nearest"), None),
    "lp pool 1": (nn.LPPool2d(1, 2), nn.AvgPool2d(2, divisor_override=1)),
    "lp pool 2": (nn.LPPool2d(2, 2), nn.AvgPool2d(2, divisor_override=2)),
    "local response norm": (nn.LocalResponseNorm(3), nn.Identity()),
    "dropout": (nn.Dropout2d(), None),
    "channel shuffle": (nn.ChannelShuffle(2), None),
    "unflatten": (nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Flatten(1, 2)), None),
}


@pytest.mark.parametrize("name", list(LINEAR))
def test_operations_between_two_convolutions(name):
    operation, stand_in = LINEAR[name]
    model = named(nn.Conv2d(3, 4, 3, padding=1), operation, nn.Conv2d(4, 6, 3))
    linear = nn.Sequential(model.l0, stand_in or model.l1, model.last)
    assert_is_jacobian(model, linear)


ACTIVATIONS = [
    nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU, nn.LogSigmoid, nn.LogSoftmax,
    nn.Mish, nn.PReLU, nn.ReLU, nn.ReLU6, nn.RReLU, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softmax, nn.Softmax2d, nn.Softmin, nn.Softplus,
    nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink,
]  # fmt: skip


@pytest.mark.parametrize("kind", ACTIVATIONS, ids=lambda kind: kind.__name__)
def test_every_activation_is_the_identity_and_is_recorded(kind):
    activation = kind(dim=1) if kind in (nn.LogSoftmax, nn.Softmax, nn.Softmin) else kind()
    model = named(nn.Conv2d(3, 4, 3), activation, nn.Conv2d(4, 2, 3))
    assert_is_jacobian(model, nn.Sequential(model.l0, model.last))
    weights = weights_between(trace(model, (3, 20, 20)), "input", "last")
    assert [(r.module, r.operation, r.by) for r in weights.replaced] == [("l1", kind.__name__, "identity")]


FUNCTIONS = [
    "celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish", "relu", "relu6",
    "rrelu", "selu", "sigmoid", "silu", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "relu_", "elu_", "leaky_relu_",
]  # fmt: skip


class Function(nn.Module):
    """Two convolutions with a function between them."""

    def __init__(self, function) -> None:
        super().__init__()
        self.l0, self.last, self.function = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3), function

    def forward(self, x):
        return self.last(self.function(self.l0(x)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_activation_function_is_the_identity(name):
    model = seeded(Function(getattr(functional, name)))
    assert_is_jacobian(model, nn.Sequential(model.l0, model.last), units=[0])


MAPS = {  # linear functions of [image, 4, row, col], written as users write them
    "method relu": (lambda x: x.relu(), lambda x: x),
    "threshold": (lambda x: functional.threshold(x, 0.1, 0.0), lambda x: x),
    "glu": (lambda x: torch.cat([functional.glu(x, 1)] * 2, 1), lambda x: torch.cat([x[:, :2]] * 2, 1)),
    "functional pools": (lambda x: functional.max_pool2d(functional.avg_pool2d(x, 2), 3, 1, 1), lambda x: functional.avg_pool2d(functional.avg_pool2d(x, 2), 3, 1, 1)),
    "functional pad": (lambda x: functional.pad(x, (1, 2, 0, 3)), None),
    "pad of channels": (lambda x: functional.pad(x[:, :2], (0, 0, 0, 0, 1, 1)), None),
    "strided slice": (lambda x: x[:, :, ::2, 1::3], None),
    "channel slice": (lambda x: torch.cat([x[:, 2:], x[:, :2]], 1), None),
    "ellipsis slice": (lambda x: x[..., 1:, :-2], None),
    "channel by number": (lambda x: torch.cat([x[:, i].unsqueeze(1) for i in (3, 1, 0, 2)], 1), None),
    "none index": (lambda x: torch.cat([x[:, i, None] for i in (3, 1, 0, 2)], 1), None),
    "chunk": (lambda x: torch.cat([x.chunk(2, dim=1)[1], x.chunk(2, dim=1)[0]], 1), None),
    "split": (lambda x: torch.cat([torch.split(x, [1, 3], dim=1)[1], torch.split(x, [1, 3], dim=1)[0]], 1), None),
    "residual": (lambda x: x + functional.relu(x) * 0.5, lambda x: x * 1.5),
    "residual of another grid": (lambda x: x[:, :, 1:-1, 1:-1] + functional.avg_pool2d(x, 3, 1), None),
    "subtract": (lambda x: x - 0.25 * functional.avg_pool2d(x, 3, 1, 1), None),
    "alpha": (lambda x: torch.add(x, functional.avg_pool2d(x, 3, 1, 1), alpha=2), None),
    "right subtract": (lambda x: 3 - x, lambda x: -x),
    "scale and shift": (lambda x: (x * 3 + 1) / 4 - 2, lambda x: x * 0.75),
    "negation": (lambda x: -x, None),
    "shuffle by view": (lambda x: x.view(x.size(0), 2, 2, x.size(2), x.size(3)).transpose(1, 2).contiguous().view(x.size(0), -1, x.size(2), x.size(3)), None),
    "permute there and back": (lambda x: x.permute(0, 2, 3, 1).permute(0, 3, 1, 2), None),
    "flatten of split channels": (lambda x: x.unflatten(1, (2, 2)).flatten(1, 2), None),
    "squeeze": (lambda x: x.unsqueeze(1).squeeze(1), None),
    "swish written out": (lambda x: x * torch.sigmoid(x), lambda x: x),
    "hard swish written out": (lambda x: x * functional.relu6(x + 3) / 6, lambda x: x),
    "hard swish in another order": (lambda x: x * (functional.relu6(x + 3) / 6), lambda x: x),
    "squeeze-excitation": (lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)), lambda x: x),
    "gate first": (lambda x: torch.sigmoid(functional.adaptive_avg_pool2d(x, 1)) * x, lambda x: x),
    "functional convolution": (lambda x: functional.conv2d(x, torch.arange(36.0).reshape(4, 1, 3, 3) / 36, groups=4, padding=1), None),
    "interpolate": (lambda x: functional.interpolate(x, scale_factor=3.0, mode="nearest"), None),
    "constant path": (lambda x: x + torch.ones(4, 1, 1), lambda x: x),
    "clone and float": (lambda x: x.clone().float().contiguous(), None),
}  # fmt: skip


@pytest.mark.parametrize("name", list(MAPS))
def test_functions_of_a_map(name):
    function, stand_in = MAPS[name]
    model = seeded(Function(function))
    assert_is_jacobian(model, lambda x: model.last((stand_in or function)(model.l0(x))))


class Weighted(nn.Module):
    """A normalization layer (or any other) between two convolutions, kept in channel-last order as ConvNeXt does."""

    def __init__(self) -> None:
        super().__init__()
        self.l0, self.norm, self.up, self.last = nn.Conv2d(3, 4, 3), nn.LayerNorm(4), nn.Linear(4, 5), nn.Conv2d(5, 3, 3)

    def forward(self, x):
        return self.last(torch.nn.functional.gelu(self.up(self.norm(self.l0(x).permute(0, 2, 3, 1)))).permute(0, 3, 1, 2))


def test_layer_norm_is_centring_times_its_gain():
    model = seeded(Weighted())

    def linear(x):
        y = model.l0(x).permute(0, 2, 3, 1)
        return model.last(model.up((y - y.mean(-1, keepdim=True)) * model.norm.weight).permute(0, 3, 1, 2))

    assert_is_jacobian(model, linear)
    replaced = weights_between(trace(model, (3, 33, 35)), "input", "last").replaced
    assert ("norm", "LayerNorm", "centring over channels times its gain") in [(r.module, r.operation, r.by) for r in replaced]


def test_a_layer_in_channel_last_order_is_read_with_its_channels_as_units():
    model = seeded(Weighted())
    graph = trace(model, (3, 33, 35))
    weights = weights_between(graph, "l0", "up")
    centred = np.eye(4) - 0.25
    expected = model.up.weight.detach().numpy() @ np.diag(model.norm.weight.detach().numpy()) @ centred
    np.testing.assert_allclose(weights.kernel[:, :, 0, 0], expected, atol=1e-6)
    assert graph.layers["up"].neurons == 5
    assert graph.layers["up"].map_size == (31, 33)


def test_group_norm_over_a_map_is_its_gain():
    model = named(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 3))
    gain = nn.Conv2d(4, 4, 1, groups=4, bias=False)
    gain.weight.data = model.l1.weight.data.reshape(4, 1, 1, 1)
    assert_is_jacobian(model, nn.Sequential(model.l0, gain, model.last))


def test_group_norm_centres_a_constant_map():
    model = named(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    weights = weights_between(trace(model, (3, 8, 8)), "input", "last")
    centre = np.kron(np.eye(2), np.eye(2) - 0.5)
    gain = np.diag(model.l1.weight.detach().numpy())
    expected = model.last.weight.detach().numpy() @ gain @ centre @ model.l0.weight.detach().numpy()[:, :, 0, 0]
    np.testing.assert_allclose(weights.kernel[:, :, 0, 0], expected, atol=1e-5)


def test_linear_behind_a_global_pool_reads_the_response_to_a_constant_map():
    model = named(nn.Conv2d(3, 4, 3, padding=1, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    weights = weights_between(trace(model, (3, 16, 16)), "input", "last")
    expected = model.last.weight.detach() @ model.l0.weight.detach().sum((2, 3))
    assert (weights.grid, weights.kernel.shape) == ("mean", (2, 3, 1, 1))
    np.testing.assert_allclose(weights.kernel[:, :, 0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AdaptiveAvgPool2d((5, 3))], ids=["max pool", "uneven adaptive pool"])
def test_linear_behind_flatten_reads_the_whole_map(pool):
    rows, cols = pool(torch.zeros(1, 1, 12, 10)).shape[2:]
    model = named(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), pool, nn.Flatten(), nn.Linear(4 * rows * cols, 2))
    weights = weights_between(trace(model, (3, 12, 10)), "input", "last")
    average = nn.AvgPool2d(2) if isinstance(pool, nn.MaxPool2d) else pool
    linear = nn.Sequential(model.l0, average, model.l3, model.last)
    x = torch.randn(1, 3, 12, 10, requires_grad=True)
    for unit in range(2):
        (gradient,) = torch.autograd.grad(linear(x)[0, unit], x)
        np.testing.assert_allclose(weights.kernel[unit], gradient[0], atol=1e-5)
    assert weights.grid == "whole map"


def test_one_module_used_twice_is_the_sum_of_its_paths():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.l0, self.shared, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 2, 1)

        def forward(self, x):
            y = self.l0(x)
            y = y + self.shared(y).relu()
            return self.last(y + self.shared(y).relu())

    model = seeded(Twice())

    def linear(x):
        y = model.l0(x)
        y = y + model.shared(y)
        return model.last(y + model.shared(y))

    assert_is_jacobian(model, linear)
    assert {"shared", "shared@2"} <= set(trace(model, (3, 20, 20)).layers)


REFUSED = {
    "attention": lambda x: torch.matmul(x, x.transpose(2, 3)),
    "two activations": lambda x: x * (x + 1),
    "bilinear upsampling": lambda x: functional.interpolate(x, scale_factor=2.0, mode="bilinear"),
    "uneven adaptive pool": lambda x: functional.adaptive_avg_pool2d(x, 7),
    "pixel shuffle": lambda x: functional.pixel_unshuffle(functional.pixel_shuffle(x, 2), 2),
    "flip": lambda x: x.flip(2),
    "division": lambda x: x / (x.abs() + 1),
    "position by position": lambda x: x * torch.linspace(0, 1, 35),
    "maximum": lambda x: torch.maximum(x, x * 0.5),
    "a kernel from the image": lambda x: functional.conv2d(x, x[:1, :, :3, :3].expand(4, 4, 3, 3)),
    "a map as one vector": lambda x: x.flatten(2).reshape(x.shape),
    "roll": lambda x: x.roll(1, 2),
    "batch mixing": lambda x: x.reshape(-1, 4, x.shape[2], x.shape[3])[:1] + x,
    "exponential": lambda x: x.exp(),
    "local and whole": lambda x: x + functional.adaptive_avg_pool2d(x, 1) - x.mean((2, 3), keepdim=True) * 2,
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_has_no_linear_stand_in_is_refused_by_name(name):
    model = seeded(Function(REFUSED[name]))
    graph = trace(model, (3, 32, 32) if name == "pixel shuffle" else (3, 33, 35))
    with pytest.raises(RefusedError, match=r"choose layers|between the two"):
        weights_between(graph, "input", "last")


def test_missing_layers_and_missing_paths_are_named():
    model = named(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    graph = trace(model, (3, 20, 20))
    with pytest.raises(LayerError, match="no layer 'lost'; nearest: last"):
        weights_between(graph, "input", "lost")
    with pytest.raises(LayerError, match="nothing leads from 'last' to 'l0'"):
        weights_between(graph, "last", "l0")


def test_blocked_layers_cut_their_paths():
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.l0, self.l1, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 2, 1)

        def forward(self, x):
            y = self.l0(x)
            return self.last(y + self.l1(y))

    model = seeded(Skip())
    graph = trace(model, (3, 20, 20))
    whole, skip = weights_between(graph, "l0", "last"), weights_between(graph, "l0", "last", ["l1"])
    branch = weights_between(graph, "l1", "last")
    assert whole.kernel.shape[2:] == (3, 3)
    np.testing.assert_allclose(skip.kernel[:, :, 0, 0], model.last.weight.detach()[:, :, 0, 0], atol=1e-6)
    both = weights_into(graph, "last", ["l0", "l1"])
    np.testing.assert_allclose(both[0].kernel, skip.kernel)
    np.testing.assert_allclose(both[1].kernel, branch.kernel)
    assert {*neighbours(graph, ("l0", "l1", "last"))["last"][0]} == {"l0", "l1"}


def test_a_dead_path_reads_nothing():
    model = named(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    model.last.weight.data.zero_()
    weights = weights_between(trace(model, (3, 20, 20)), "input", "last")
    assert not weights.kernel.any()


def test_nan_weights_are_carried_not_hidden():
    model = named(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    model.last.weight.data[1, 0, 0, 0] = float("nan")
    kernel = weights_between(trace(model, (3, 20, 20)), "l0", "last").kernel
    assert np.isnan(kernel[1]).any()
    assert not np.isnan(kernel[0]).any()


def test_choosing_by_glob_keeps_stars_within_a_name():
    model = named(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)), nn.Conv2d(4, 2, 3))
    graph = trace(model, (3, 20, 20))
    assert choose(graph, ("l*",)) == ("l0", "l1.2", "last")
    assert choose(graph, ("l**",)) == ("l0", "l1.0", "l1.2", "last")
    assert choose(graph, ("l1.*",)) == ("l1.0", "l1.2")
    with pytest.raises(LayerError, match="matches 'm\\*'"):
        choose(graph, ("m*",))
