"""Pictures of neurons that read every position alike: those of a 1x1 branch of a concat, and those behind a pool.

Such a neuron has nothing to factor on the layer it reads; its expanded weights on a farther layer are shown in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from generator.analyses.nmf import factor_neurons
from generator.analyses.tiles import nmf_pixels
from generator.records import Faces, Weights

HELD = 0.8  # expanded weights are shown where the tile holds at least this share of them
GLANCE = 4  # inputs
ALL_ALIKE = "it reads every position alike"
ALIKE = 1e-5  # positions whose weights differ by less, relative to the largest, are read alike


def flat_units(kernel: np.ndarray) -> np.ndarray:
    """Which units of [unit, input, row, col] read every position they read alike: bool [unit]. Zeros and NaN are not flat."""
    values = kernel.reshape(*kernel.shape[:2], -1)
    flat = read_alike(values[:, :GLANCE])  # a few inputs settle nearly every unit
    silent = ~values[:, :GLANCE].any((1, 2))
    left = np.nonzero(flat | silent)[0]
    flat[left] = read_alike(values[left])
    return flat


def read_alike(values: np.ndarray) -> np.ndarray:
    """`flat_units` of [unit, input, position]."""
    read = np.asarray(values.any(1))  # [unit, position]
    count = read.sum(1)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = values.sum(2) / np.maximum(count, 1)[:, None]
        rest = np.abs(values - mean[:, :, None] * read[:, None, :]).max((1, 2), initial=0.0)
        return np.asarray((count > 0) & (rest <= ALIKE * np.abs(values).max((1, 2), initial=0.0)))


def with_farther(
    faces: Faces, kernel: np.ndarray, candidates: Sequence[Weights], factors: int, seed: int, method: str
) -> Faces:
    """The faces of a layer, its flat units shown by the first expanded candidate whose kernels fit into the layer's tiles.

    kernel: [unit, input, row, col], what the faces show; candidates: weights of the layer on farther layers.
    """
    rows, cols = kernel.shape[2:]
    expanded = [w for w in candidates if not w.direct and w.grid == "sliding" and w.kernel.shape[2:] != (1, 1)]
    flat = np.nonzero(flat_units(kernel))[0]
    if not len(flat):
        return faces
    cut = [middle(expanded[0].kernel[unit], rows, cols) for unit in flat] if expanded else []
    held = np.array([share for _, share in cut] or [0.0] * len(flat))
    keep = held >= HELD  # NaN is left out
    left = {int(unit): f"{ALL_ALIKE}: one map says all there is" for unit in flat[~keep]}
    faces = replace(faces, notes=noted(faces.notes, left))
    if not keep.any():
        return faces
    tiles = np.stack([tile for (tile, _), fits in zip(cut, keep, strict=True) if fits])
    return replaced(faces, flat[keep], tiles, held[keep], expanded[0], factors, seed, method)


def middle(kernel: np.ndarray, rows: int, cols: int) -> tuple[np.ndarray, float]:
    """[input, row, col] cut to its support, laid on the middle of a tile, and the share of its squared weight that fits there.

    Returns the tile [input, row, col] of rows x cols, zero where the kernel is smaller, and the share 0..1 (0 without weight).
    """
    tile = np.zeros((len(kernel), rows, cols), np.float32)
    there = np.nonzero(kernel.any(0))
    if not len(there[0]):
        return tile, 0.0
    cut = kernel[:, there[0].min() : there[0].max() + 1, there[1].min() : there[1].max() + 1]
    for axis, size in ((1, rows), (2, cols)):
        surplus = max(cut.shape[axis] - size, 0)
        cut = cut.take(range(surplus // 2, surplus // 2 + min(cut.shape[axis], size)), axis)
    top, left = (rows - cut.shape[1]) // 2, (cols - cut.shape[2]) // 2
    tile[:, top : top + cut.shape[1], left : left + cut.shape[2]] = cut
    return tile, float(np.square(cut, dtype=np.float64).sum() / np.square(kernel, dtype=np.float64).sum())


def replaced(
    faces: Faces,
    units: np.ndarray,
    tiles: np.ndarray,
    held: np.ndarray,
    farther: Weights,
    factors: int,
    seed: int,
    method: str,
) -> Faces:
    """Faces with the pictures of some units made of other weights; tiles [unit, input, row, col], held [unit] the share of the
    weights in them.

    The farther layer's inputs follow the others in `sources` and `mixes`.
    """
    assert faces.factors is not None
    own, other = faces.factors, factor_neurons(tiles, factors, seed, method)
    inputs = own.mixes.shape[1]
    maps, explained, bound = own.maps.copy(), own.explained.copy(), own.bound.copy()
    mixes = np.pad(own.mixes, ((0, 0), (0, tiles.shape[1]), (0, 0)))
    mixes[units] = np.pad(other.mixes, ((0, 0), (inputs, 0), (0, 0)))
    maps[units], explained[units], bound[units] = other.maps, other.explained, other.bound
    noise = np.full(len(maps), own.noise, np.float32)
    noise[units] = other.noise
    words = {
        int(unit): told(farther, float(share), tiles.shape[2:], note)
        for unit, share, note in zip(units, held, other.notes, strict=True)
    }
    return replace(
        faces,
        pixels=nmf_pixels(maps),
        sources=(*faces.sources, farther.source),
        expanded=f"{faces.expanded}; neurons that read every position alike are shown by theirs on {farther.source}",
        factors=replace(own, maps=maps, mixes=mixes, explained=explained, bound=bound),
        notes=noted(faces.notes, words),
        noise=noise,
    )


def told(farther: Weights, share: float, size: tuple[int, ...], theirs: str) -> str:
    """Why a neuron is shown by other weights, how much of them, and what is wrong with those."""
    modules = farther.through if len(farther.through) < 4 else (*farther.through[:2], f"{len(farther.through) - 2} more")
    through = f" through {', '.join(modules)}" if modules else ""
    why = f"{ALL_ALIKE}, so its picture shows its expanded weights on {farther.source}{through}"
    cut = f", cut to the middle {size[0]}x{size[1]}, which hold {share:.0%} of them" if share < 0.995 else ""
    return "; ".join(filter(None, (why + cut, theirs)))


def noted(notes: Sequence[str], more: Mapping[int, str]) -> tuple[str, ...]:
    """The notes of a layer with more words on some units."""
    return tuple("; ".join(filter(None, (note, more.get(unit, "")))) for unit, note in enumerate(notes))
