"""The spread of a neuron's norms and its noise floor: right, the same as shuffling by hand, calm on degenerate weights."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from real_models import real_model

from generator.analyses import spread as spread_module
from generator.analyses.bins import BINS
from generator.analyses.connections import strengths
from generator.analyses.ranks import ranked
from generator.analyses.spread import draws, noise_floor, quantile
from generator.analyses.tables import pair_of
from generator.expand import weights_between
from generator.records import Weights


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def spread(norms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = ranked(norms, 0)
    return found.counts, found.reach


def by_hand(kernels: np.ndarray, kernels_wanted: int = 20000) -> float:
    """The percentile of one neuron's kernels [other, row, col] after many shuffles of what is not zero."""
    random = np.random.default_rng(7)
    flat = kernels.astype(float).reshape(-1)
    there = np.flatnonzero(flat)
    found = []
    for _ in range(-(-kernels_wanted // len(kernels))):
        shuffled = flat.copy()
        shuffled[there] = random.permutation(flat[there])
        norms = np.sqrt((shuffled.reshape(len(kernels), -1) ** 2).sum(1))
        found += norms[norms > 0].tolist()
    return float(np.percentile(found, 99))


# -- spread ---------------------------------------------------------------------------------------------------------------


def test_every_norm_but_zero_is_counted_in_its_bin():
    norms = np.abs(noise(5, 300))
    norms[2, :100] = 0
    counts, reach = spread(norms)
    for row, own in enumerate(norms):
        assert reach[row] == own.max()
        assert (counts[row] == np.histogram(own[own > 0], BINS, (0, float(own.max())))[0]).all()


def test_norms_that_are_not_finite_lie_in_no_bin():
    counts, reach = spread(np.array([[np.nan, 1, 2, np.inf], [np.nan] * 4, [0] * 4], np.float32))
    assert counts.sum(1).tolist() == [2, 0, 0]
    assert counts[0, -1] == 1
    assert reach.tolist() == [2, 0, 0]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1)])
def test_small_tables_have_a_spread(shape: tuple[int, int]):
    counts, reach = spread(np.ones(shape, np.float32))
    assert counts.shape == (shape[0], BINS)
    assert counts.sum() == shape[0] * shape[1]
    assert reach.shape == (shape[0],)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch):
    kernel = noise(9, 6, 3, 3)
    whole = (*spread(strengths(kernel)), noise_floor(kernel, None, "writes"))
    monkeypatch.setattr("generator.analyses.spread.ELEMENTS", 60)
    for one, two in zip(whole, (*spread(strengths(kernel)), noise_floor(kernel, None, "writes")), strict=True):
        assert (one == two).all()


# -- noise floor ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["reads", "writes"])
def test_a_planted_pattern_stands_out_of_the_noise_and_noise_does_not(direction: str):
    kernel = noise(100, 100, 3, 3)
    kernel[40, 60] *= 4
    floor = noise_floor(kernel, None, direction)
    norms = strengths(kernel)
    neuron, own = (40, norms[40]) if direction == "reads" else (60, norms[:, 60])
    assert own.max() > 1.5 * floor[neuron]
    assert 0 <= (own > floor[neuron]).sum() <= 4
    assert 0.003 < (norms > (floor[:, None] if direction == "reads" else floor)).mean() < 0.02


@pytest.mark.parametrize("direction", ["reads", "writes"])
@pytest.mark.parametrize("size", [(3, 3), (7, 2)])
def test_the_floor_is_that_of_shuffling_by_hand(direction: str, size: tuple[int, int]):
    kernel, scale = noise(12, 40, *size) ** 3, np.random.default_rng(1).uniform(0.2, 2, 40).astype(np.float32)
    own = kernel * scale[:, None, None]
    floor = noise_floor(kernel, -scale, direction)
    for neuron, kernels in list(enumerate(own if direction == "reads" else own.swapaxes(0, 1)))[::4]:
        assert floor[neuron] == pytest.approx(by_hand(kernels), rel=0.1)


@pytest.mark.parametrize("size", [(3, 3), (2, 1)])
@pytest.mark.parametrize("padding", [0, 1])
def test_the_floor_of_many_kernels_is_that_of_shuffling_by_hand(size: tuple[int, int], padding: int):
    kernel = np.pad(noise(5, 450, *size) ** 3, ((0, 0), (0, 9 * padding), (padding, padding), (padding, padding)))
    assert spread_module.rounds_of(450, size[0] * size[1]) * size[0] * size[1] <= 450  # rows are turned against each other
    floor = noise_floor(kernel, None, "reads")
    assert [floor[neuron] / by_hand(kernels) for neuron, kernels in enumerate(kernel)] == pytest.approx([1] * 5, abs=0.1)


def test_rows_that_are_turned_hold_every_weight_as_often_as_they_are_turned(monkeypatch: pytest.MonkeyPatch):
    kernel = noise(5, 450, 3, 3)
    monkeypatch.setattr(spread_module, "quantile", lambda norms: np.square(norms).sum(1))
    expected = spread_module.rounds_of(450, 9) * np.square(kernel.astype(float)).sum((1, 2, 3))
    assert noise_floor(kernel, None, "reads") == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "source", "target"), [("bundled", "conv0", "conv1"), ("squeezenet", "features.3", "features.4")]
)
def test_the_floor_of_real_weights_is_that_of_shuffling_by_hand(name: str, source: str, target: str):
    weights = weights_between(real_model(name)[1], source, target)
    pair = pair_of(weights, 3)
    for table in (pair.reads, pair.writes):
        own = weights.kernel if table.direction == "reads" else weights.kernel.swapaxes(0, 1)
        errors = [table.floor[neuron] / by_hand(own[neuron]) - 1 for neuron in range(0, len(own), 8)]
        assert np.abs(errors).max() < 0.12
        assert abs(np.mean(errors)) < 0.03


def test_with_one_position_the_floor_is_the_percentile_of_the_absolute_weights():
    kernel = noise(6, 200, 1, 1)
    assert np.allclose(noise_floor(kernel, None, "reads"), np.percentile(np.abs(kernel[:, :, 0, 0]), 99, axis=1))
    assert np.allclose(noise_floor(kernel, None, "writes"), np.percentile(np.abs(kernel[:, :, 0, 0]), 99, axis=0))


def test_padding_and_absent_connections_do_not_thin_the_noise():
    narrow = noise(8, 50, 1, 1)
    padded = np.zeros((8, 90, 5, 5), np.float32)
    padded[:, :50, 2:3, 2:3] = narrow
    assert np.allclose(noise_floor(padded, None, "reads"), noise_floor(narrow, None, "reads"))


def test_one_kernel_cannot_be_told_from_its_shuffles():
    kernel = noise(4, 1, 5, 5)
    assert np.allclose(noise_floor(kernel, None, "reads"), strengths(kernel)[:, 0], rtol=1e-5)


def test_zero_and_broken_neurons_leave_the_others_alone():
    kernel = noise(5, 30, 3, 3)
    alone = noise_floor(kernel, None, "reads")
    kernel[1], kernel[2, 4, 0, 0], kernel[3, 5, 1, 1] = 0, np.nan, -np.inf
    floor = noise_floor(kernel, None, "reads")
    assert floor[1] == 0
    assert np.isnan(floor[2:4]).all()
    assert (floor[[0, 4]] == alone[[0, 4]]).all()
    assert np.isnan(noise_floor(kernel, None, "writes")).sum() == 2


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e18, 1e30])
def test_the_floor_keeps_any_scale(scale: float):
    kernel = noise(3, 20, 3, 3)
    floor = noise_floor((kernel.astype(float) * scale).astype(np.float32), None, "reads")
    assert np.allclose(floor / scale, noise_floor(kernel, None, "reads"), rtol=1e-4)


@pytest.mark.parametrize("shape", [(0, 4, 3, 3), (4, 0, 3, 3), (2, 2, 0, 0)])
def test_empty_kernels_have_no_floor(shape: tuple[int, ...]):
    for direction, count in (("reads", shape[0]), ("writes", shape[1])):
        assert noise_floor(np.ones(shape, np.float32), None, direction).tolist() == [0] * count


def test_a_shuffle_uses_every_weight_once():
    sizes = np.array([9, 1, 4], np.int64)
    chosen = draws(sizes.tobytes())[:, :3]
    assert sorted(chosen[chosen >= 0].tolist()) == list(range(14))
    assert sorted((chosen >= 0).sum(0).tolist()) == [1, 4, 9]


def test_the_quantile_leaves_out_zeros():
    ordered = np.array([[0, 0, 1, 2, 3], [0, 0, 0, 0, 0], [0, 0, 0, 0, 7]], np.float32)
    assert quantile(ordered).tolist() == pytest.approx([np.percentile([1, 2, 3], 99), 0, 7])


def test_the_tables_hold_spread_reach_and_floor_in_the_scale_of_their_norms():
    kernel, scale = noise(9, 6, 3, 3), np.full(6, 2, np.float32)
    weights = Weights("below", "above", kernel, "sliding", (1, 1), (0, 0), True, (), (), "below", scale, None)
    pair, other = pair_of(weights, 2), pair_of(weights, 2, scaled=True)
    for plain, scaled in ((pair.reads, other.reads), (pair.writes, other.writes)):
        assert plain.spread.sum() == 54
        assert (plain.reach == plain.norm[:, 0]).all()
        assert (scaled.spread == plain.spread).all()
        assert np.allclose([scaled.reach, scaled.floor], [2 * plain.reach, 2 * plain.floor])
