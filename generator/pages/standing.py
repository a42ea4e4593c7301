"""Where a neuron stands among those of its layer: its statistics, and the neurons with the most alike weights."""

from __future__ import annotations

import math
from typing import NamedTuple

from markupsafe import Markup

from generator.pages import wording
from generator.pages.views import LayerView, link
from generator.records import LayerFacts, Statistics


class Fact(NamedTuple):
    """A number of a neuron, in words."""

    name: str
    value: str


def facts_of(statistics: Statistics | None, unit: int) -> tuple[Fact, ...]:
    """The statistics of one neuron; what is not a number is left out."""
    if statistics is None:
        return ()
    given = (
        ("norm", statistics.norm, wording.plain),
        ("sparsity", statistics.sparsity, "{:.2f}".format),
        ("positive", statistics.positive, wording.percent),
        ("exact zeros", statistics.zeros, _zeros),
        ("bias", statistics.bias, wording.plain),
        ("batch-norm scale", statistics.norm_scale, wording.plain),
    )
    told = ((name, float(values[unit]), say) for name, values, say in given if values is not None)
    return tuple(Fact(name, say(value)) for name, value, say in told if math.isfinite(value))


def _zeros(share: float) -> str:
    return wording.percent(share) if share else "none"


class Alike:
    """The neurons that a layer's neurons are like, as links from their pages: face, name and cosine."""

    def __init__(self, facts: LayerFacts, view: LayerView) -> None:
        self.statistics, units = facts.statistics, range(facts.layer.neurons if facts.statistics else 0)
        names = [f"{unit} {facts.labels[unit]}" if facts.labels else f"{unit}" for unit in units]
        self.opened = [link(view, unit, None)[0] + name for unit, name in zip(units, names, strict=True)]
        self.closed = ["</a>" if unit in view.chosen else "</span>" for unit in units]

    def of(self, unit: int) -> tuple[Markup, ...]:
        """Those that one neuron is like, most alike first."""
        if self.statistics is None:
            return ()
        others, cosines = self.statistics.alike[unit].tolist(), self.statistics.cosine[unit].tolist()
        found = [(other, cosine) for other, cosine in zip(others, cosines, strict=True) if other >= 0]
        return tuple(self.opened[one] + Markup(f" <small>{_cosine(cosine)}</small>{self.closed[one]}") for one, cosine in found)


def _cosine(value: float) -> str:
    return f"{value:.2f}".replace("-", wording.MINUS)
