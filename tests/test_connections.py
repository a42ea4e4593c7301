"""The tables of the largest connections: right, the same in both directions, calm on degenerate weights."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from generator.analyses.connections import sign_word, strengths, strengths_and_leans
from generator.analyses.tables import pair_of
from generator.records import Largest, Weights


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def weights(kernel: np.ndarray, scale: np.ndarray | None = None) -> Weights:
    return Weights("below", "above", kernel, "sliding", (1, 1), (0, 0), True, (), (), "below", scale, None)


def largest(weights: Weights, k: int, scaled: bool = False) -> tuple[Largest, Largest]:
    pair = pair_of(weights, k, scaled)
    return pair.reads, pair.writes


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_norms_shares_and_parts_are_those_of_a_plain_loop():
    kernel = noise(7, 11, 3, 2)
    reads, writes = largest(weights(kernel), 4)
    for unit in range(7):
        norms = [np.sqrt((kernel[unit, i].astype(float) ** 2).sum()) for i in range(11)]
        order = sorted(range(11), key=lambda i: (-norms[i], i))[:4]
        assert reads.other[unit].tolist() == order
        for rank, i in enumerate(order):
            own = kernel[unit, i]
            assert reads.norm[unit, rank] == pytest.approx(norms[i], rel=1e-5)
            assert reads.excitation[unit, rank] == pytest.approx(own[own > 0].sum(), rel=1e-5)
            assert reads.inhibition[unit, rank] == pytest.approx(own[own < 0].sum(), rel=1e-5)
            assert reads.share[unit, rank] == pytest.approx(norms[i] ** 2 / np.sum(np.square(norms)), rel=1e-5)
        assert reads.shown[unit] == pytest.approx(reads.share[unit].sum())
    assert (reads.here, reads.there, reads.direction, reads.left_out) == ("above", "below", "reads", 7)
    assert (writes.here, writes.there, writes.direction, writes.left_out) == ("below", "above", "writes", 3)


@pytest.mark.parametrize("scaled", [False, True])
def test_both_directions_agree_on_every_pair(scaled: bool):
    kernel, scale = noise(9, 6, 3, 3), np.random.default_rng(1).uniform(0, 2, 6).astype(np.float32)
    reads, writes = largest(weights(kernel, scale), 100, scaled)
    assert reads.other.shape == writes.other.T.shape
    for unit in range(9):
        for rank, source in enumerate(reads.other[unit]):
            back = writes.other[source].tolist().index(unit)
            for field in ("norm", "excitation", "inhibition"):
                assert getattr(reads, field)[unit, rank] == getattr(writes, field)[source, back]


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("size", [(3, 2), (1, 1)])
def test_tables_hold_the_kernels_that_their_numbers_are_of(scaled: bool, size: tuple[int, int]):
    kernel, scale = noise(9, 6, *size), np.random.default_rng(1).uniform(0, 2, 6).astype(np.float32)
    pair = pair_of(weights(kernel, scale), 4, scaled)
    own = kernel * scale[:, None, None] if scaled else kernel
    for table, kernels in ((pair.reads, own), (pair.writes, own.swapaxes(0, 1))):
        shown = np.stack([kernels[neuron, others] for neuron, others in enumerate(table.other)])
        assert np.allclose(table.kernels, shown)
        assert np.allclose(table.norm, np.sqrt(np.square(table.kernels).sum((2, 3))))
        assert np.allclose(table.excitation + table.inhibition, table.kernels.sum((2, 3)), atol=1e-6)
    assert np.allclose(pair.norms, np.linalg.norm(own.reshape(9, 6, -1), axis=2))
    assert np.allclose(pair.lean, kernel.sum((2, 3)) / np.abs(kernel).sum((2, 3)), atol=1e-6)


def test_a_read_only_memory_map_is_as_good_as_an_array(tmp_path: Path):
    kernel = noise(9, 6, 3, 3)
    np.save(tmp_path / "kernel.npy", kernel)
    mapped = pair_of(weights(np.load(tmp_path / "kernel.npy", mmap_mode="r"), np.full(6, 2, np.float32)), 4, True)
    plain = pair_of(weights(kernel, np.full(6, 2, np.float32)), 4, True)
    for one, other in ((mapped.reads, plain.reads), (mapped.writes, plain.writes)):
        assert all(np.array_equal(value, getattr(other, name)) for name, value in vars(one).items())
    assert type(mapped.norms) is type(mapped.reads.kernels) is type(mapped.writes.kernels) is np.ndarray


@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1e18, 1e38])
def test_leans_keep_any_scale(scale: float):
    kernel = np.clip(noise(3, 4, 3, 3), -2, 2)
    leans = strengths_and_leans((kernel.astype(float) * scale).astype(np.float32))[1]
    assert np.allclose(leans, strengths_and_leans(kernel)[1], atol=1e-2 if scale < 1e-38 else 1e-5)


def test_single_weights_lean_to_their_sign():
    kernel = np.array([2, -1e-40, 0, np.nan, np.inf, -np.inf], np.float32)[None, :, None, None]
    norms, leans = strengths_and_leans(kernel)
    assert np.array_equal(leans[0], [1, -1, 0, np.nan, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(norms[0], np.abs(kernel[0, :, 0, 0]), equal_nan=True)


def test_scaling_by_the_source_changes_what_is_largest():
    kernel = np.ones((1, 2, 1, 1), np.float32)
    pair = weights(kernel, np.array([1, -3], np.float32))
    assert largest(pair, 1, scaled=False)[0].other.tolist() == [[0]]
    reads = largest(pair, 1, scaled=True)[0]
    assert reads.other.tolist() == [[1]]
    assert (reads.norm[0, 0], reads.excitation[0, 0], reads.inhibition[0, 0]) == (3, 3, 0)
    assert largest(weights(kernel), 1, scaled=True)[0].norm[0, 0] == 1


def test_ties_go_to_the_smaller_index_whatever_k():
    kernel = np.ones((2, 50, 1, 1), np.float32)
    kernel[1, 30] = 2
    for k in (1, 5, 49, 50):
        other = largest(weights(kernel), k)[0].other
        assert other[0].tolist() == list(range(k))
        assert other[1].tolist() == [30, *[i for i in range(50) if i != 30]][:k]


def test_zero_weights_have_zero_shares():
    reads, writes = largest(weights(np.zeros((3, 4, 3, 3), np.float32)), 2)
    for table in (reads, writes):
        assert not table.share.any()
        assert not table.shown.any()
        assert table.other[:, 0].tolist() == [0] * len(table.other)


def test_broken_weights_stand_first_and_leave_other_neurons_alone():
    kernel = noise(3, 5, 2, 2)
    kernel[1, 3, 0, 0], kernel[1, 4, 0, 0] = np.nan, np.inf
    reads, _ = largest(weights(kernel), 3)
    assert reads.other[1, :2].tolist() == [3, 4]
    assert np.isnan(reads.norm[1, 0])
    assert np.isinf(reads.norm[1, 1])
    assert np.isnan(reads.share[1]).all()
    assert np.isfinite(reads.share[[0, 2]]).all()


@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1e18, 1e30])
def test_norms_keep_any_scale(scale: float):
    kernel = (noise(3, 4, 3, 3).astype(float) * scale).astype(np.float32)
    exact = np.sqrt((kernel.astype(float) ** 2).sum((2, 3)))
    assert np.allclose(strengths(kernel) / scale, exact / scale, rtol=1e-4, atol=1e-2 if scale < 1e-38 else 0)
    assert np.isfinite(largest(weights(kernel), 2)[0].share).all()


@pytest.mark.parametrize(("shape", "k"), [((3, 4, 1, 1), 0), ((0, 4, 3, 3), 2), ((4, 0, 3, 3), 2), ((2, 2, 0, 0), 1)])
def test_empty_tables_are_tables(shape: tuple[int, ...], k: int):
    reads, writes = largest(weights(np.ones(shape, np.float32)), k)
    assert reads.other.shape == (shape[0], min(k, shape[1]))
    assert writes.other.shape == (shape[1], min(k, shape[0]))


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch):
    kernel = noise(9, 6, 3, 3)
    whole = largest(weights(kernel), 3)
    monkeypatch.setattr("generator.analyses.connections.ELEMENTS", 60)
    for one, two in zip(whole, largest(weights(kernel), 3), strict=True):
        assert (one.norm == two.norm).all()
        assert (one.excitation == two.excitation).all()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        strengths(noise(2, 3, 1, 1), np.ones(2, np.float32))


@pytest.mark.parametrize(
    ("excitation", "inhibition", "word"),
    [
        (1, 0, "excites"),
        (8, -2, "excites"),
        (7, -3, "mixed"),
        (2, -8, "inhibits"),
        (0, -1e-30, "inhibits"),
        (0, 0, "none"),
        (0, -0.0, "none"),
        (float("nan"), -1, "mixed"),
        (float("inf"), float("-inf"), "mixed"),
        (float("inf"), -1, "excites"),
    ],
)
def test_the_sign_is_one_word(excitation: float, inhibition: float, word: str):
    assert sign_word(excitation, inhibition) == word
