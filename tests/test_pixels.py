"""Weights expanded to the pixels, against autograd on the linearized network, explicit sums of paths and closed forms."""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import fields

import numpy as np
import pytest
import torch
from real_models import real_model
from torch import nn

from generator.analyses.composing import composed, padded_sum, path_norms, plain_norms
from generator.analyses.pixels import RGB_SCALE, draw, excitation, inhibition, kept_share, shrunk, window, within
from generator.cancellation import with_cancellation
from generator.expand import weights_into
from generator.graph import trace
from generator.reach import Missing, Reach, pixel_pictures, receptive_fields
from generator.records import Pixels


def seeded(module: nn.Module, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            nn.init.normal_(parameter, 0.5 if name == "weight" and parameter.ndim == 1 else 0.0, 0.3)
        if getattr(part, "running_var", None) is not None:
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.normal_(part.running_mean)
    return module.eval()


def chain(*layers: nn.Module, seed: int = 0) -> nn.Sequential:
    return seeded(nn.Sequential(OrderedDict((f"l{number}", layer) for number, layer in enumerate(layers))), seed)


def linearized(module: nn.Module) -> nn.Module:
    """A copy whose activations are identities and whose max pools are average pools."""
    module = copy.deepcopy(module).eval()
    for name, part in list(module.named_modules()):
        stand_in: nn.Module | None = None
        if isinstance(part, nn.ReLU):
            stand_in = nn.Identity()
        elif isinstance(part, nn.MaxPool2d):
            stand_in = nn.AvgPool2d(part.kernel_size, part.stride, part.padding, part.ceil_mode)
        if stand_in is not None:
            parent, _, last = name.rpartition(".")
            setattr(module.get_submodule(parent), last, stand_in)
    return module


def by_autograd(module: nn.Module, address: str, shape: tuple[int, ...], units: list[int]) -> list[np.ndarray]:
    """The gradient of the centre of some units with respect to the picture, `[channel, row, col]` each."""
    caught = []
    handle = module.get_submodule(address).register_forward_hook(lambda _m, _i, given: caught.append(given))
    picture = torch.zeros(1, *shape, requires_grad=True)
    module(picture)
    handle.remove()
    out = caught[0][0]
    centre = out[:, out.shape[1] // 2, out.shape[2] // 2]
    return [torch.autograd.grad(centre[unit], picture, retain_graph=True)[0][0].numpy() for unit in units]


def laid(reach: Reach, unit: int, centre: tuple[int, int], shape: tuple[int, ...]) -> np.ndarray:
    """A field where it belongs in a picture."""
    full = np.zeros(shape, np.float32)
    top, left = (int(reach.stride[axis] * centre[axis]) + reach.offset[axis] for axis in (0, 1))
    rows, cols = reach.size
    full[:, top : top + rows, left : left + cols] = reach.kernel[unit]
    return full


def reach_of(module: nn.Module, address: str, shape=(3, 33, 33), limit=64) -> Reach | Missing:
    return dict(receptive_fields(trace(module, shape), [address], limit))[address]


def pixels_of(module: nn.Module, address: str, shape=(3, 33, 33), limit=64) -> Pixels | str:
    return dict(pixel_pictures(trace(module, shape), [address], limit))[address]


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("bundled", ["conv0", "conv1", "mixed3a", "mixed3b", "mixed3b.b5r"]),
        ("squeezenet", ["features.0", "features.3", "features.5", "features.7"]),
        ("vgg16", ["features.2", "features.10", "features.14"]),
        ("resnet20", ["conv1", "layer1.2", "layer2.0", "layer2.1.conv1", "layer3.0.conv2", "layer3.0"]),
    ],
)
def test_the_fields_of_real_networks_are_their_gradients_once_they_are_linear(name, addresses, monkeypatch):
    loaded, graph = real_model(name)
    monkeypatch.setattr(nn.functional, "relu", lambda values, inplace=False: values)
    shape, straight = loaded.input_shape, linearized(loaded.module)
    found = dict(receptive_fields(graph, addresses, 64))
    for address in addresses:
        reach = found[address]
        assert isinstance(reach, Reach)
        units = sorted({0, 1, len(reach.kernel) // 2, len(reach.kernel) - 1})
        rows, cols = graph.layers[address].map_size
        module = address.replace("conv", "bn") if name == "resnet20" else address  # its layers end with their norms
        for unit, expected in zip(units, by_autograd(straight, module, shape, units), strict=True):
            got = laid(reach, unit, (rows // 2, cols // 2), shape)
            assert np.abs(got - expected).max() <= 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    "second",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 4, "stride": 2},
        {"kernel_size": (1, 5), "stride": (2, 1)},
        {"kernel_size": 3, "dilation": 2},
        {"kernel_size": 3, "groups": 4},
    ],
)
def test_two_convolutions_compose_to_the_explicit_sum_over_all_paths(second):
    module = chain(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 8, **second))
    reach = reach_of(module, "l2")
    first, other = module.l0.weight.detach().numpy(), module.l2.weight.detach().numpy()
    dilation = second.get("dilation", 1)
    width = other.shape[1]
    expected = np.zeros_like(reach.kernel)
    norms = np.zeros(len(other))
    for unit in range(8):
        group = unit * second.get("groups", 1) // 8
        for j in range(width):
            path = np.zeros(reach.kernel.shape[1:])
            for row, col in np.ndindex(*other.shape[2:]):
                top, left = 2 * dilation * row, 2 * dilation * col
                path[:, top : top + 3, left : left + 3] += other[unit, j, row, col] * first[group * width + j]
            expected[unit] += path
            norms[unit] += np.linalg.norm(path)
    assert np.allclose(reach.kernel, expected, atol=1e-6)
    assert np.allclose(reach.paths, norms, rtol=1e-6)


def test_for_one_channel_the_kept_share_is_the_cancellation_of_the_weights_on_the_input():
    module = chain(nn.Conv2d(1, 6, 5, 2, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(6, 5, 3, padding=1))
    graph = trace(module, (1, 40, 40))
    (weights,) = with_cancellation(graph, weights_into(graph, "l3", ["input"]))
    reach = reach_of(module, "l3", (1, 40, 40))
    assert np.allclose(reach.kernel, weights.kernel, atol=1e-6)
    assert np.allclose(kept_share(reach.kernel, reach.paths), weights.cancellation[:, 0], rtol=1e-4)


def test_the_weights_of_a_first_layer_are_its_field_and_nothing_cancels():
    module = chain(nn.Conv2d(3, 4, 7, 2, 3))
    found = pixels_of(module, "l0", (3, 32, 32))
    reach = reach_of(module, "l0", (3, 32, 32))
    assert np.array_equal(reach.kernel, module.l0.weight.detach().numpy())
    assert found.kept.tolist() == [1, 1, 1, 1]
    assert (found.size, found.shown, found.place, found.stride) == ((7, 7), (7, 7), (13, 13), (2, 2))
    assert (found.kind, found.scale, found.shrunk, found.notes) == ("rgb", RGB_SCALE, 1, ("",) * 4)


class Residual(nn.Module):
    """A stem and a block whose shortcut goes around two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.join = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.join(self.two(self.one(x).relu()) + x)


def test_a_sum_has_the_paths_of_what_it_is_made_of():
    module = seeded(Residual())
    graph = trace(module, (3, 16, 16))
    total = next(site.name for site in graph.sites if graph.kinds[site] == "add")
    found = dict(receptive_fields(graph, ["stem", "two", total], 64))
    stem, two, added = found["stem"], found["two"], found[total]
    summed, offset = padded_sum([(stem.kernel, stem.offset), (two.kernel, two.offset)])
    assert np.allclose(added.kernel, summed, atol=1e-6)
    assert added.offset == offset
    assert np.allclose(added.paths, plain_norms(stem.kernel) + two.paths)
    assert [each.by for each in added.replaced] == ["identity"]


class Branches(nn.Module):
    """A concat of a branch that fits and one that is too wide; a convolution behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.cat = nn.ModuleDict({"near": nn.Conv2d(3, 2, 3, padding=1), "wide": nn.Conv2d(3, 3, 15, padding=7)})
        self.last = nn.Conv2d(5, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.cat([self.cat["near"](x), self.cat["wide"](x)], 1))


def test_neurons_of_a_concat_with_small_fields_are_shown_though_others_are_too_large():
    module = seeded(Branches())
    graph = trace(module, (3, 20, 20))
    concat = next(site.name for site in graph.sites if graph.kinds[site] == "concat")
    found = dict(pixel_pictures(graph, [concat, "last"], 8))
    assert found[concat].there.tolist() == [True, True, False, False, False]
    assert found[concat].notes[2:] == ("its receptive field is over 8 pixels wide",) * 3
    assert np.isnan(found[concat].kept[2:]).all()
    assert (found[concat].pixels[2:] == 128).all()
    assert found["last"] == "its receptive field is over 8 pixels wide"


def test_one_layer_alone_is_what_it_is_among_others():
    module = chain(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.Conv2d(5, 6, 3))
    graph = trace(module, (3, 32, 32))
    together = dict(pixel_pictures(graph, ["l0", "l3", "l4"]))
    for address, found in together.items():
        (alone,) = dict(pixel_pictures(graph, [address])).values()
        for each in fields(Pixels):
            assert np.array_equal(getattr(alone, each.name), getattr(found, each.name)), each.name


def test_a_field_beyond_the_limit_is_made_on_request_and_drawn_smaller():
    module = chain(nn.Conv2d(3, 4, 31, padding=15), nn.Conv2d(4, 2, 41, padding=20))
    assert pixels_of(module, "l1", (3, 90, 100)) == "its receptive field is over 64 pixels wide"
    found = pixels_of(module, "l1", (3, 90, 100), None)
    assert (found.size, found.shown, found.shrunk, found.pixels.shape) == ((71, 71), (71, 71), 2, (2, 36, 36, 3))
    assert found.place == (45 - 35, 50 - 35)


def test_a_field_too_large_to_be_held_is_swept_a_few_neurons_at_a_time(monkeypatch):
    module = chain(nn.Conv2d(3, 4, 5, padding=2), nn.MaxPool2d(2), nn.Conv2d(4, 40, 5, padding=2))
    whole = pixels_of(module, "l2", (3, 30, 30), None)
    monkeypatch.setattr("generator.reach.HELD", 1)
    swept = pixels_of(module, "l2", (3, 30, 30), None)
    assert np.abs(swept.pixels.astype(int) - whole.pixels).max() <= 1
    assert np.allclose(swept.limit, whole.limit, rtol=1e-4)
    assert np.isnan(swept.kept).all()
    assert (swept.size, swept.place, swept.stride) == (whole.size, whole.place, whole.stride)


def test_a_field_is_cut_to_the_picture():
    module = chain(nn.Conv2d(3, 4, 9, padding=4), nn.Conv2d(4, 2, 9, padding=4))
    found = pixels_of(module, "l1", (3, 12, 40))
    assert (found.size, found.shown, found.place) == ((17, 17), (12, 17), (0, 12))


def test_a_layer_that_reads_a_whole_picture_is_its_own_field():
    module = chain(nn.Flatten(), nn.Linear(3 * 8 * 9, 5), nn.ReLU(), nn.Linear(5, 4))
    first, second = reach_of(module, "l1", (3, 8, 9)), reach_of(module, "l3", (3, 8, 9))
    weight = module.l1.weight.detach().numpy()
    assert np.allclose(first.kernel, weight.reshape(5, 3, 8, 9))
    assert np.allclose(second.kernel, (module.l3.weight.detach().numpy() @ weight).reshape(4, 3, 8, 9), atol=1e-6)
    found = pixels_of(module, "l3", (3, 8, 9))
    assert (found.shown, found.place) == ((8, 9), (0, 0))
    assert (found.kept > 0).all()
    assert (found.kept < 1).all()


def test_a_layer_behind_a_flattened_map_knows_the_borders():
    module = chain(nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 2, 3, padding=1), nn.Flatten(), nn.Linear(2 * 36, 4))
    reach = reach_of(module, "l3", (1, 6, 6))
    picture = torch.zeros(1, 1, 6, 6, requires_grad=True)
    for unit in range(4):
        (expected,) = torch.autograd.grad(module(picture)[0, unit], picture)
        assert np.allclose(reach.kernel[unit], expected[0].numpy(), atol=1e-6)


def test_what_reads_the_mean_of_a_map_has_no_place_in_the_picture():
    module = chain(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    assert pixels_of(module, "l3") == "it reads the mean of a map, which has no position in the picture"


class Product(nn.Module):
    """A path that has no linear stand-in."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.one(x)
        return self.two(torch.matmul(x, x.transpose(2, 3)))


def test_a_path_without_a_linear_stand_in_is_told():
    found = dict(pixel_pictures(trace(seeded(Product()), (3, 10, 10)), ["one", "two"]))
    assert isinstance(found["one"], Pixels)
    assert "matmul" in found["two"]
    assert "\n" not in found["two"]


def test_a_picture_of_channels_without_colours_is_told():
    found = pixels_of(chain(nn.Conv2d(5, 4, 3)), "l0", (5, 10, 10))
    assert found == "the input has 5 channels, which have no colours to show them in"


def test_one_channel_is_drawn_in_the_signed_colours():
    module = chain(nn.Conv2d(1, 4, 3))
    found = pixels_of(module, "l0", (1, 10, 10))
    weight = module.l0.weight.detach().numpy()[:, 0]
    assert found.kind == "signed"
    up, down = excitation(found), inhibition(found)
    zero = np.array([0xF7] * 3)
    assert ((found.pixels[..., 0] > found.pixels[..., 2]) <= (weight > 0)).all()
    assert np.array_equal((up != zero).any(-1) | (down != zero).any(-1), (found.pixels != zero).any(-1))
    assert not ((up != zero).any(-1) & (down != zero).any(-1)).any()


def test_excitation_and_inhibition_are_the_two_sides_of_zero():
    kernel = np.zeros((1, 3, 1, 3), np.float32)
    kernel[0, :, 0, 0], kernel[0, :, 0, 1] = [2, -1, 0], [-2, 0, 1]
    module = chain(nn.Conv2d(3, 1, (1, 3)))
    module.l0.weight.data = torch.from_numpy(kernel)
    found = pixels_of(module, "l0")
    assert found.pixels[0, 0].tolist() == [[255, 64, 128], [1, 128, 192], [128, 128, 128]]
    assert excitation(found)[0, 0].tolist() == [[255, 0, 0], [0, 0, 129], [0, 0, 0]]
    assert inhibition(found)[0, 0].tolist() == [[0, 129, 0], [255, 0, 0], [0, 0, 0]]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("value", "note"), [(np.nan, "NaN"), (np.inf, "Inf"), (0.0, "zero")])
def test_broken_and_empty_neurons_are_drawn_as_zero_and_told(value, note):
    module = chain(nn.Conv2d(3, 3, 3))
    module.l0.weight.data[1] = value
    found = pixels_of(module, "l0")
    assert (found.pixels[1] == 128).all()
    assert note.lower() in found.notes[1].lower()
    assert found.limit[1] == 0
    assert np.isnan(found.kept[1])
    assert found.notes[0] == found.notes[2] == ""
    assert found.limit[0] > 0


def test_a_few_large_weights_do_not_take_the_light_from_the_others():
    kernel = np.full((1, 3, 40, 40), 0.5, np.float32)
    kernel[0, 0, 0, :5] = 100
    pixels, limit, _ = draw(kernel)
    assert limit[0] == 0.5
    assert pixels.min() == 255
    assert within(np.array([[3.0, 1.0, 2.0]])).tolist() == [3.0]  # few weights: the largest is at full colour
    assert within(np.zeros((2, 0))).tolist() == [0, 0]


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_shrinking_keeps_the_sum(factor):
    kernel = np.random.default_rng(0).normal(size=(2, 3, 7, 5)).astype(np.float32)
    assert np.allclose(shrunk(kernel, factor).sum((2, 3)) * factor**2, kernel.sum((2, 3)), atol=1e-4)


def test_a_window_outside_the_picture_is_empty():
    kernel = np.ones((1, 3, 4, 4), np.float32)
    cut, place = window(kernel, (-6, 8), (10, 10))
    assert cut.shape == (1, 3, 0, 2)
    assert place == (0, 8)


def test_composing_is_linear_in_neurons_that_read_one_input_and_in_those_that_read_many():
    rng = np.random.default_rng(1)
    lower = rng.normal(size=(4, 3, 5, 5)).astype(np.float32)
    upper = np.zeros((6, 4, 3, 3), np.float32)
    upper[np.arange(6), [3, 1, 0, 0, 2, 3]] = rng.normal(size=(6, 3, 3))
    full = upper + 0
    full[0] += 1e-30  # reads several: the other way of computing
    assert np.allclose(composed(upper, lower, (2, 1)), composed(full, lower, (2, 1)), atol=1e-6)
    assert np.allclose(path_norms(upper, lower, (2, 1)), plain_norms(composed(upper, lower, (2, 1))), rtol=1e-5)
