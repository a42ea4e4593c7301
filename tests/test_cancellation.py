"""The cancellation beside expanded weights against paths written out one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_expand import named
from torch import nn

from generator.cancellation import with_cancellation
from generator.expand import weights_into
from generator.graph import trace
from generator.models.bundled.network import Mixed


def written_out(model: nn.Module, middle: nn.Conv2d, address: str, source: str = "l0", target: str = "last") -> np.ndarray:
    """Sum over the middle layer's neurons of the norm of the kernel that goes through that neuron alone."""
    total = 0.0
    whole = middle.weight.data.clone()
    for neuron in range(len(whole)):
        middle.weight.data.zero_()
        middle.weight.data[neuron] = whole[neuron]
        kernel = weights_into(trace(model, (3, 40, 40)), target, [source])[0].kernel
        total = total + np.linalg.norm(kernel.reshape(*kernel.shape[:2], -1), axis=2)
    middle.weight.data.copy_(whole)
    return total


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"kernel_size": 1}, {"kernel_size": 3}),
        ({"kernel_size": 3}, {"kernel_size": 1}),
        ({"kernel_size": 3}, {"kernel_size": (3, 5)}),
        ({"kernel_size": 3, "stride": 2}, {"kernel_size": 3}),
        ({"kernel_size": 5, "dilation": 2}, {"kernel_size": 3, "groups": 2}),
        ({"kernel_size": (1, 7), "stride": (2, 3)}, {"kernel_size": 4, "stride": 2}),
    ],
)
def test_cancellation_is_the_norm_of_the_sum_over_the_sum_of_the_norms(first, second):
    model = named(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 6, **first), nn.ReLU(), nn.Conv2d(6, 4, **second))
    graph = trace(model, (3, 40, 40))
    (found,) = with_cancellation(graph, weights_into(graph, "last", ["l0"]))
    norms = np.linalg.norm(found.kernel.reshape(4, 4, -1), axis=2)
    np.testing.assert_allclose(found.cancellation, norms / written_out(model, model.l2, "l2"), rtol=1e-4)


def test_direct_weights_have_no_cancellation():
    model = named(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    graph = trace(model, (3, 20, 20))
    assert with_cancellation(graph, weights_into(graph, "last", ["l0"]))[0].cancellation is None


def test_two_opposite_paths_cancel_and_one_path_does_not():
    model = named(nn.Conv2d(3, 1, 1), nn.ReLU(), nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 1))
    model.l2.weight.data[1] = model.l2.weight.data[0]
    model.last.weight.data[:, :, 0, 0] = torch.tensor([[1.0, -1.0], [2.0, 0.0]])
    graph = trace(model, (3, 20, 20))
    (found,) = with_cancellation(graph, weights_into(graph, "last", ["l0"]))
    np.testing.assert_allclose(found.cancellation, [[0.0], [1.0]], atol=1e-6)


def test_a_residual_path_counts_as_a_path_of_its_own():
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.l0, self.block, self.last = nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 1, bias=False), nn.Identity()

        def forward(self, x):
            y = self.l0(x)
            return self.last(y + self.block(y))

    model = Residual().eval()
    model.block.weight.data[:, :, 0, 0] = torch.tensor([[-0.5, 3.0], [0.0, 1.0]])
    graph = trace(model, (3, 8, 8))
    (found,) = with_cancellation(graph, weights_into(graph, "last", ["l0"]))
    np.testing.assert_allclose(found.kernel[:, :, 0, 0], [[0.5, 3.0], [0.0, 2.0]], atol=1e-6)
    np.testing.assert_allclose(found.cancellation, [[0.5 / 1.5, 1.0], [np.nan, 1.0]], atol=1e-6)


def test_the_branches_of_a_concat_have_their_own_bottlenecks():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.l0, self.last = nn.Conv2d(3, 6, 1), Mixed(6, (2, 3, 2, 2), (4, 3))

        def forward(self, x):
            return self.last(self.l0(x))

    model = Two().eval()
    graph = trace(model, (3, 16, 16))
    (found,) = with_cancellation(graph, weights_into(graph, "last", ["l0"]))
    bottleneck = written_out(model, model.last.b3r.conv, "last.b3r")
    norms = np.linalg.norm(found.kernel.reshape(9, 6, -1), axis=2)
    np.testing.assert_allclose(found.cancellation[2:5], (norms / bottleneck)[2:5], rtol=1e-4)
    np.testing.assert_allclose(found.cancellation[:2], 1, rtol=1e-5)  # a 1x1 branch reads the source itself


def test_a_mean_over_the_map_is_counted_in_responses_to_a_constant_map():
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = named(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Conv2d(2, 5, 3, padding=1), nn.ReLU(), pool, nn.Linear(5, 3))
    graph = trace(model, (3, 12, 12))
    (found,) = with_cancellation(graph, weights_into(graph, "last", ["l0"]))
    summed = model.l2.weight.detach().sum((2, 3))
    terms = model.last.weight.detach()[:, :, None] * summed[None]
    np.testing.assert_allclose(found.cancellation, terms.sum(1).abs() / terms.abs().sum(1), rtol=1e-4)


def test_several_sources_at_once_are_those_one_at_a_time():
    class Stream(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.l0, self.l1, self.l2 = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
            self.last = nn.Conv2d(5, 6, 3)

        def forward(self, x):
            y = self.l0(x)
            return self.last(self.l2(y + self.l1(y)))

    graph = trace(Stream().eval(), (3, 20, 20))
    both = with_cancellation(graph, weights_into(graph, "last", ["l0", "l1"]))
    for found, blocked in zip(both, ("l1", "l0"), strict=True):
        (alone,) = with_cancellation(graph, weights_into(graph, "last", [found.source], [blocked]), [blocked])
        np.testing.assert_allclose(found.kernel, alone.kernel, atol=1e-7)
        np.testing.assert_allclose(found.cancellation, alone.cancellation, rtol=1e-5)


def test_dead_units_have_no_paths_and_tiny_weights_have_theirs():
    model = named(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Conv2d(6, 3, 3))
    graph = trace(model, (3, 20, 20))
    (before,) = with_cancellation(graph, weights_into(graph, "last", ["l0"]))
    model.last.weight.data[0] = 0
    model.last.weight.data[1] *= 1e-18
    (found,) = with_cancellation(graph, weights_into(graph, "last", ["l0"]))
    assert np.isnan(found.cancellation[0]).all()
    np.testing.assert_allclose(found.cancellation[1:], before.cancellation[1:], rtol=1e-4)


@pytest.mark.parametrize("kernel", [1, 3])
def test_chunks_do_not_show_in_the_cancellation(monkeypatch, kernel):
    model = named(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 30, 3), nn.ReLU(), nn.Conv2d(30, 21, kernel))
    graph = trace(model, (3, 20, 20))
    (whole,) = with_cancellation(graph, weights_into(graph, "last", ["l0"]))
    for module, name in (("expand", "FLOATS_AT_ONCE"), ("cancellation", "FLOATS_AT_ONCE"), ("cancellation", "ROOTS_AT_ONCE")):
        monkeypatch.setattr(f"generator.{module}.{name}", 500)
    (parts,) = with_cancellation(graph, weights_into(graph, "last", ["l0"]))
    np.testing.assert_allclose(parts.kernel, whole.kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(parts.cancellation, whole.cancellation, rtol=1e-5)
