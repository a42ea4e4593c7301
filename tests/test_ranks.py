"""The ranks, bins and percentile of rows of norms: those of plain sorting, whatever the rows hold."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from generator.analyses import bins, ranks
from generator.analyses.bins import BINS, PADDING, counted
from generator.analyses.ranks import ranked


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def noise(*shape: int) -> np.ndarray:
    return np.abs(np.random.default_rng(0).standard_normal(shape)).astype(np.float32)


def drawn(kind: str) -> np.ndarray:
    """Norms [row, col] of which none, some or all are in the way of a quick answer."""
    norms = noise(70, 150)
    if kind == "heavy tails":
        norms = norms**9
    elif kind == "one outlier":
        norms[:, 30] = 1e6
    elif kind == "few values":
        norms = np.rint(norms)
    elif kind == "zeros":
        norms[noise(*norms.shape) < 0.7] = 0
        norms[5] = 0
    elif kind == "broken":
        norms[3, 140], norms[3, 20], norms[60, :] = np.nan, np.inf, np.nan
    return norms


def order(row: np.ndarray) -> list[int]:
    """Columns by size, those that are not finite first."""
    return sorted(range(len(row)), key=lambda col: (-np.inf if not np.isfinite(row[col]) else -row[col], col))


@pytest.mark.parametrize("kind", ["noise", "heavy tails", "one outlier", "few values", "zeros", "broken"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("k", [0, 1, 20, 150])
def test_ranks_bins_and_percentile_are_those_of_plain_sorting(kind: str, turned: bool, k: int):
    norms = drawn(kind)
    norms = np.ascontiguousarray(norms.T).T if turned else norms
    found = ranked(norms, k)
    for row, own in enumerate(norms):
        finite = own[np.isfinite(own) & (own > 0)]
        assert found.other[row].tolist() == order(own)[:k]
        assert found.reach[row] == finite.max(initial=0)
        assert found.counts[row].sum() == len(finite)
        level = finite / np.float32(finite.max(initial=1)) * BINS
        clear = np.abs(level - np.rint(level)).min(initial=1) > 1e-4 or kind == "few values"  # of rounding
        assert not clear or (found.counts[row] == np.histogram(level, BINS, (0, BINS))[0]).all()
        expected = np.percentile(finite, 99) if len(finite) else 0
        assert found.quantile[row] == pytest.approx(expected if np.isfinite(own).all() else np.nan, nan_ok=True)


@pytest.mark.parametrize("scale", [1e-42, 1e-35, 1e30, 1e38])
def test_bins_keep_any_scale(scale: float):
    norms = np.minimum(noise(9, 50), 3).astype(float)
    found, plain = ranked((norms * scale).astype(np.float32), 5), ranked(norms.astype(np.float32), 5)
    assert np.abs(found.counts - plain.counts).sum() <= (18 if scale < 1e-38 else 2)
    assert scale < 1e-38 or (found.other == plain.other).all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1), (2, 64), (2, 65)])
def test_small_tables_have_ranks(shape: tuple[int, int]):
    found = ranked(np.ones(shape, np.float32), 2)
    assert found.other.shape == (shape[0], min(2, shape[1]))
    assert found.counts.sum() == shape[0] * shape[1]


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch):
    norms = drawn("zeros")
    whole = ranked(norms, 7)
    monkeypatch.setattr(ranks, "ELEMENTS", 1000)
    monkeypatch.setattr(bins, "SLAB", 7)
    for one in (ranked(norms, 7), ranked(np.asfortranarray(norms), 7)):
        assert all(np.array_equal(value, getattr(whole, name)) for name, value in vars(one).items())


def test_codes_are_counted_with_and_without_numpys_own_counting_of_bits(monkeypatch: pytest.MonkeyPatch):
    codes = np.random.default_rng(0).integers(0, BINS + 1, (5, 192)).astype(np.uint8)
    codes[:, 180:] = PADDING
    expected = np.stack([np.bincount(np.minimum(row[:180], BINS - 1), minlength=BINS) for row in codes])
    assert (counted(codes) == expected).all()
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert (counted(codes) == expected).all()
