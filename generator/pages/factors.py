"""What a neuron's picture is made of, as markup: its factors with the inputs that drive them, or bars of its largest inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.pages import wording
from generator.pages.common import ModelContext
from generator.pages.views import LayerView, has_bars
from generator.records import Faces, LayerFacts, NeuronFactors

DRIVERS = 2  # inputs shown on either side of zero for each factor
AT_ONCE = 1 << 22  # numbers of mixes that are looked at at once


class Input(NamedTuple):
    """The neuron behind one input of a layer's pictures."""

    css: str  # class whose rule shows its face
    link: str  # face and name, as markup


class Factors:
    """The factors of the pictures of a layer's neurons; positions are places in `units`, the neurons asked for."""

    def __init__(self, context: ModelContext, facts: LayerFacts, view: LayerView, units: np.ndarray) -> None:
        self.faces, self.view, self.units = facts.faces, view, units.tolist()
        self.inputs = input_links(context, facts.faces)
        found, self.driving = facts.faces.factors, None
        if found is not None:
            self.explained = np.asarray(found.explained)[units].tolist()
            self.bound = np.asarray(found.bound)[units].tolist()
            self.noise = facts.faces.noise[units].tolist() if facts.faces.noise is not None else [found.noise] * len(units)
            self.used = np.asarray(found.maps)[units].any((1, 2)).tolist()
            self.driving = drivers(found, units) if self.inputs else None

    def line(self, position: int) -> str:
        """What the picture tells of the weights, and what would be possible; '' where nothing was factored."""
        if self.faces.factors is None or not np.isfinite(self.explained[position]):
            return ""
        count = self.faces.factors.maps.shape[3]
        return wording.explained_line(count, self.explained[position], self.bound[position], self.noise[position])

    def of(self, position: int) -> Markup:
        """Each factor alone, in its colour or by its number, with the inputs that drive it most."""
        if self.faces.factors is None or not np.isfinite(self.explained[position]):
            return Markup("")
        style = f" style=--u:{self.units[position]}"
        parts = []
        for factor, used in enumerate(self.used[position]):
            if used:
                heading = _heading(self.faces.kind, factor, self.view.factor, style)
                parts.append(f"<div class=factor>\n{heading}\n{self._drivers(position, factor)}</div>\n")
        return Markup("".join(parts))

    def _drivers(self, position: int, factor: int) -> str:
        """A line for the inputs that a factor reads with positive weights, and one for those with negative ones."""
        if self.driving is None:
            return ""
        high, low = (side[position][factor] for side in self.driving)
        return self._line("excited by", high) + self._line("inhibited by", low)

    def _line(self, words: str, inputs: Sequence[int]) -> str:
        """Inputs by the layer they come from, so that each layer's sprite is named once; -1 is none."""
        found = [self.inputs[one] for one in inputs if one >= 0]
        groups = dict.fromkeys([one.css for one in found])
        spans = [f" <span class={css}>{''.join([one.link for one in found if one.css == css])}</span>" for css in groups]
        return f"<p>{words}{''.join(spans)}" if found else ""


def _heading(kind: str, factor: int, own: str, style: str) -> str:
    """The factor's channel of the face, which is its colour; its number where it has a map of its own."""
    if kind != "nmf":
        return f"<span>{wording.COUNTS[1 + factor]}</span>"
    colour = wording.FACTOR_COLOURS[factor]
    return f'<span class={own}><i class={colour}{style} role=img aria-label="{colour} factor"></i></span>'


def drivers(factors: NeuronFactors, units: np.ndarray) -> tuple[list[list[list[int]]], list[list[list[int]]]]:
    """The inputs with the largest positive weights on each factor, and with the largest negative ones: `[unit][factor][rank]`.

    -1 where there are no more. Of equals those with the larger number come first among the positive, last among the negative.
    """
    high, low = [], []
    step = max(1, AT_ONCE // max(1, factors.mixes[:1].size))
    for start in range(0, len(units), step):
        mixes = np.asarray(factors.mixes)[units[start : start + step]].swapaxes(1, 2)
        high += _largest(mixes[:, :, ::-1].copy(), mixes.shape[2] - 1, -1)
        low += _largest(-mixes, 0, 1)
    return high, low


def _largest(mixes: np.ndarray, first: int, sign: int) -> list[list[list[int]]]:
    """The inputs with the largest positive weights, `[unit][factor][rank]`, of mixes `[unit, factor, input]`, which it spoils.

    The input at place p of the last axis is `first + sign * p`.
    """
    found = np.full((*mixes.shape[:2], DRIVERS), -1)
    for rank in range(min(DRIVERS, mixes.shape[2])):
        at = mixes.argmax(2)[:, :, None]
        positive = np.take_along_axis(mixes, at, 2) > 0
        found[:, :, rank] = np.where(positive, first + sign * at, -1)[:, :, 0]
        np.put_along_axis(mixes, at, -np.inf, 2)
    ranked: list[list[list[int]]] = found.tolist()
    return ranked


def input_links(context: ModelContext, faces: Faces) -> list[Input]:
    """The neuron behind each input of a layer's pictures, sources one after the other; empty where that cannot be told."""
    views = [context.views.get(address) for address in faces.sources]
    known = [view for view in views if view is not None]
    inputs = _count(faces)
    if not inputs or len(known) < len(views) or sum(view.neurons for view in known) < inputs:
        return []
    return [Input(view.css, one) for view in known for one in view.links]


def _count(faces: Faces) -> int:
    """How many inputs the pictures of a layer are about."""
    if faces.factors is not None:
        return int(faces.factors.mixes.shape[1])
    return 1 + int(faces.bar_inputs.max(initial=-1)) if faces.bar_inputs is not None else 0


def bars(faces: Faces, inputs: Sequence[Input], unit: int) -> Markup:
    """The rows of a table of a neuron's largest inputs, where there are no positions to picture; '' without any."""
    if not has_bars(faces) or faces.bars is None or faces.bar_inputs is None or not inputs:
        return Markup("")
    values = np.nan_to_num(faces.bars[unit], posinf=0.0, neginf=0.0)
    longest = float(np.abs(values).max(initial=0.0)) or 1.0
    places = wording.decimals(longest)
    pairs = zip(values.tolist(), faces.bar_inputs[unit].tolist(), strict=True)
    return Markup("".join([_bar(inputs[which], value, places, longest) for value, which in pairs if value]))


def _bar(one: Input, value: float, places: int, longest: float) -> str:
    """One bar, with its input and the sum of its weights."""
    said, side, length = wording.aligned(value, places), "e" if value > 0 else "i", round(100 * abs(value) / longest)
    return (
        f'<tr><th scope=row class="{one.css}">{one.link}</th><td>{said}</td>'
        f'<td class="{side}"><s style="--v:{length}"></s></td></tr>\n'
    )
