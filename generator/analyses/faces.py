"""Every neuron's picture: its weights on the layer it reads, as colours.

What is shown follows the weights: three colour channels as they are, one input in signed colours, anything else through its NMF
(Voss et al., "Visualizing Weights", Distill 2021). A kernel of one position has no picture; the nearest expanded weights stand
in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from generator.analyses.connections import strengths
from generator.analyses.farther import with_farther
from generator.analyses.gram import INF, NAN, ZERO
from generator.analyses.group import factor_group
from generator.analyses.nmf import factor_neurons
from generator.analyses.tiles import level, nmf_pixels
from generator.pictures import signed_colours
from generator.records import Faces, NeuronFactors, Weights

SIDES = ("positions", "inputs")
BARS = 12  # inputs in a bar chart
FAINT = 1e-3  # a norm below this share of the layer's median is next to nothing
FADED = "its weights are less than a thousandth of the layer's median in norm: it is all but dead"
PRUNED = 0.1  # the share of exact zeros from which a neuron's note names them
BLANK = (0xF7, 0xF7, 0xF7)  # zero in the signed colours, and the gap between signed maps
GREY = 128  # zero in an RGB picture

NMF_SCALE = "each neuron at its own brightness: black is zero, full colour the largest value of its maps"
RGB_SCALE = "each neuron at its own contrast: mid-grey is zero, full colour its largest weight, bright excites, dark inhibits"
SIGNED_SCALE = "each neuron at its own limits: white is zero, full red and full blue its largest weight of either sign"
MAPS_SCALE = (
    "each neuron at its own limits, the same for all its maps: white is zero, full red and full blue their largest value"
)
BARS_SCALE = "signed sums of the kernels of its largest inputs, largest norm first"


@dataclass(frozen=True)
class FaceOptions:
    """How pictures are made, as the spec says."""

    factors: int = 3
    method: str = "semi-nmf"
    side: str = "positions"  # or 'inputs': channel factors shared by the layer, signed maps
    seed: int = 0


def make_faces(candidates: Sequence[Weights], units: int, options: FaceOptions | None = None, image: str = "input") -> Faces:
    """The picture of every neuron of one layer.

    candidates: weights of the layer on its sources in order of preference, its own direct ones first, then expanded ones;
    `units`: how many neurons the layer has; `image`: the address of the network's input. Direct weights on several sources
    with one grid are laid side by side. Raises ValueError for an unknown side or method, or candidates that do not all have
    `units` units.
    """
    options = options or FaceOptions()
    if options.side not in SIDES:
        raise ValueError(f"unknown side {options.side!r}; known: {', '.join(SIDES)}")
    if any(len(weights.kernel) != units for weights in candidates):
        raise ValueError(f"candidates with {[len(weights.kernel) for weights in candidates]} units for a layer of {units}")
    if not candidates:
        return _empty("none", units, (), "", ("",) * units)
    shown = _chosen(candidates, image)
    if not shown:
        return _bars(candidates[0], units)
    kernel = side_by_side(shown)
    faces = _picture(_kind(kernel, shown, options, image))(kernel, options)
    faces = replace(
        faces,
        sources=tuple(weights.source for weights in shown),
        expanded=_expanded(candidates[0], shown[0]),
        notes=_notes(faces.notes, shown),
    )
    after = [each for each in candidates if all(each is not one for one in shown)]
    if faces.kind != "nmf":
        return faces
    return with_farther(faces, kernel, after, options.factors, options.seed, options.method)


def _empty(kind: str, units: int, sources: tuple[str, ...], scale: str, notes: tuple[str, ...]) -> Faces:
    pixels = np.zeros((units, 0, 0, 3), np.uint8)
    return Faces(kind, pixels, sources, "", scale, None, None, None, notes)


def _chosen(candidates: Sequence[Weights], image: str) -> list[Weights]:
    """The first candidate with a picture, and, where it is direct, the other direct ones on its grid; empty where there is
    none.
    """
    pictured = [weights for weights in candidates if _positions(weights) > 1 or _is_colour(weights, image)]
    if not pictured or not pictured[0].direct:
        return pictured[:1]
    first = pictured[0]
    fits = [
        w for w in candidates[1:] if w.direct and w.source != first.source and (w.grid, w.stride) == (first.grid, first.stride)
    ]
    return [first, *fits] if first.grid == "sliding" else [first]


def _positions(weights: Weights) -> int:
    return int(weights.kernel.shape[2] * weights.kernel.shape[3])


def _is_colour(weights: Weights, image: str) -> bool:
    return weights.source == image and weights.kernel.shape[1] == 3


def side_by_side(shown: Sequence[Weights]) -> np.ndarray:
    """Kernels on one grid as one kernel, inputs in order, aligned by their offsets and padded with zeros: [unit, input, row,
    col].
    """
    if len(shown) == 1:
        return shown[0].kernel
    first = [min(weights.offset[axis] for weights in shown) for axis in (0, 1)]
    last = [max(weights.offset[axis] + weights.kernel.shape[2 + axis] for weights in shown) for axis in (0, 1)]
    inputs = sum(weights.kernel.shape[1] for weights in shown)
    joined = np.zeros((len(shown[0].kernel), inputs, last[0] - first[0], last[1] - first[1]), np.float32)
    start = 0
    for weights in shown:
        row, col = weights.offset[0] - first[0], weights.offset[1] - first[1]
        _, count, rows, cols = weights.kernel.shape
        joined[:, start : start + count, row : row + rows, col : col + cols] = weights.kernel
        start += count
    return joined


def _kind(kernel: np.ndarray, shown: Sequence[Weights], options: FaceOptions, image: str) -> str:
    if len(shown) == 1 and _is_colour(shown[0], image):
        return "rgb"
    if kernel.shape[1] == 1 or _reads_one(kernel):
        return "signed"
    return "maps" if options.side == "inputs" else "nmf"


def _reads_one(kernel: np.ndarray) -> bool:
    """Whether no neuron reads more than one input, as in a depthwise convolution."""
    if kernel.shape[1] > 1 and np.count_nonzero(kernel[:1].any((2, 3))) > 1:  # the first neuron settles nearly every layer
        return False
    return bool((kernel.any((2, 3)).sum(1) <= 1).all())


def _picture(kind: str) -> Callable[[np.ndarray, FaceOptions], Faces]:
    return {"rgb": _rgb, "signed": _signed, "maps": _maps, "nmf": _nmf}[kind]


def _rgb(kernel: np.ndarray, options: FaceOptions) -> Faces:
    notes = weight_notes(kernel)
    values = np.moveaxis(_usable(kernel, notes), 1, 3)
    pixels = np.rint(GREY + 127 * level(values)).astype(np.uint8)
    return Faces("rgb", pixels, (), "", RGB_SCALE, None, None, None, notes)


def _signed(kernel: np.ndarray, options: FaceOptions) -> Faces:
    notes = weight_notes(kernel)
    values = _usable(kernel, notes).sum(1)  # no neuron reads more than one
    return Faces("signed", signed_colours(level(values), 1.0), (), "", SIGNED_SCALE, None, None, None, notes)


def _nmf(kernel: np.ndarray, options: FaceOptions) -> Faces:
    factors = factor_neurons(kernel, options.factors, options.seed, options.method)
    noise = np.full(len(kernel), factors.noise, np.float32)
    return Faces("nmf", nmf_pixels(factors.maps), (), "", NMF_SCALE, factors, None, None, factors.notes, noise)


def _maps(kernel: np.ndarray, options: FaceOptions) -> Faces:
    factors = factor_group(kernel, options.factors, options.seed)
    noise = np.full(len(kernel), factors.noise, np.float32)
    values = level(factors.maps)
    units, rows, cols, count = values.shape
    pixels = np.full((units, rows, count * (cols + 1) - 1, 3), BLANK, np.uint8)
    for factor in range(count):
        pixels[:, :, factor * (cols + 1) : factor * (cols + 1) + cols] = signed_colours(values[..., factor], 1.0)
    return Faces("maps", pixels, (), "", MAPS_SCALE, _owned(factors), None, None, factors.notes, noise)


def _owned(factors: NeuronFactors) -> NeuronFactors:
    return replace(factors, mixes=np.ascontiguousarray(factors.mixes))


def _bars(weights: Weights, units: int) -> Faces:
    """The largest inputs of every neuron of a layer without any spatial kernel."""
    notes = weight_notes(weights.kernel)
    usable = _usable(weights.kernel, notes)
    inputs = np.argsort(-strengths(usable), axis=1, kind="stable")[:, :BARS].astype(np.int32)
    sums = np.take_along_axis(usable.sum((2, 3)), inputs, 1).astype(np.float32)
    faces = _empty("bars", units, (weights.source,), BARS_SCALE, _notes(notes, [weights]))
    return replace(faces, expanded=_one_position(weights) + " and nothing upstream has a picture", bars=sums, bar_inputs=inputs)


def _usable(kernel: np.ndarray, notes: tuple[str, ...]) -> np.ndarray:
    """The kernel with zeros for the units whose weights hold NaN or Inf."""
    broken = [unit for unit, note in enumerate(notes) if note in (NAN, INF)]
    if not broken:
        return kernel
    kernel = kernel.copy()
    kernel[broken] = 0.0
    return kernel


def weight_notes(kernel: np.ndarray) -> tuple[str, ...]:
    """'' or what is wrong with each unit of [unit, input, row, col]: NaN, Inf, or zeros only."""
    flat = kernel.reshape(len(kernel), -1)
    sane, alive = np.asarray(np.isfinite(flat).all(1)), np.asarray(flat.any(1))
    return tuple(
        ("" if alive[unit] else ZERO) if sane[unit] else NAN if np.isnan(flat[unit]).any() else INF for unit in range(len(flat))
    )


def _notes(notes: tuple[str, ...], shown: Sequence[Weights]) -> tuple[str, ...]:
    """Notes on each unit; a unit of zeros is called dead, and exact zeros in stored weights are counted where they are many."""
    zeros = np.zeros(len(notes))
    if shown[0].direct:
        zeros = np.mean([_zero_share(weights.kernel) for weights in shown], axis=0)
    found = [
        note or (f"{share:.0%} of its weights are exactly zero" if share >= PRUNED else "")
        for note, share in zip(notes, zeros, strict=True)
    ]
    faint = _faint(shown)
    return tuple(
        f"{note}: it is dead, whatever it reads" if note == ZERO else "; ".join(filter(None, (note, FADED if fades else "")))
        for note, fades in zip(found, faint, strict=True)
    )


def _faint(shown: Sequence[Weights]) -> np.ndarray:
    """Which units have next to no weight beside the others of their layer, as weight decay leaves them: bool [unit]."""
    with np.errstate(invalid="ignore", over="ignore"):
        flat = [weights.kernel.reshape(len(weights.kernel), -1) for weights in shown]
        squares = np.sum([np.einsum("ui,ui->u", own, own).astype(np.float64) for own in flat], axis=0)
        usable = squares[np.isfinite(squares) & (squares > 0)]
        return np.asarray((squares > 0) & (squares < FAINT**2 * (np.median(usable) if len(usable) else 0.0)))


def _zero_share(kernel: np.ndarray) -> np.ndarray:
    """The share of exact zeros of each unit among the inputs it reads; those before its first and after its last belong to
    other groups.
    """
    units, inputs = kernel.shape[:2]
    if kernel.all():  # as in nearly every layer that nobody has pruned
        return np.zeros(units)
    read = np.asarray(kernel.any((2, 3)))
    first, last = read.argmax(1), inputs - read[:, ::-1].argmax(1)
    span = np.where(read.any(1), last - first, 1) * max(1, _area(kernel))
    return np.asarray(np.clip(1.0 - np.count_nonzero(kernel.reshape(units, -1), axis=1) / span, 0.0, 1.0))


def _area(kernel: np.ndarray) -> int:
    return int(kernel.shape[2] * kernel.shape[3])


def _expanded(own: Weights, shown: Weights) -> str:
    """Why these are not the layer's own weights, or nothing."""
    if shown.direct:
        return "" if shown is own else f"its weights on {own.source} have one position; these are its weights on {shown.source}"
    through = f" through {', '.join(shown.through)}" if shown.through else ""
    why = _one_position(own) if own.direct else "it has no kernel of its own"
    return f"{why}; these are its expanded weights on {shown.source}{through}"


def _one_position(own: Weights) -> str:
    """Why a layer's first weights have no picture."""
    if own.direct and own.grid == "sliding":
        return "its own kernels are 1x1"
    return "its own weights have no positions" if own.direct else "its weights have one position"
