"""Where a neuron stands among those of its layer: its statistics, and the neurons with the most alike weights."""

from __future__ import annotations

import math

from markupsafe import Markup, escape

from generator.pages import wording
from generator.pages.views import LayerView, link
from generator.records import LayerFacts


class Standing:
    """What a layer's neurons are in numbers, and which of them are alike, as markup."""

    def __init__(self, facts: LayerFacts, view: LayerView) -> None:
        self.statistics, units = facts.statistics, range(facts.layer.neurons if facts.statistics else 0)
        names = [f"{unit} {escape(facts.labels[unit])}" if facts.labels else f"{unit}" for unit in units]
        self.opened = [f"{link(view, unit, None)[0]}{name} <small>" for unit, name in zip(units, names, strict=True)]
        self.closed = ["</small></a>" if unit in view.chosen else "</small></span>" for unit in units]

    def numbers(self, unit: int) -> Markup:
        """The statistics of one neuron, term by term; what is not a number is left out."""
        found = self.statistics
        if found is None:
            return Markup("")
        told = (
            ("norm", found.norm, wording.plain),
            ("sparsity", found.sparsity, _hundredths),
            ("positive", found.positive, wording.percent),
            ("exact zeros", found.zeros, _zeros),
            ("bias", found.bias, wording.plain),
            ("batch-norm scale", found.norm_scale, wording.plain),
        )
        known = [(name, float(values[unit]), say) for name, values, say in told if values is not None]
        return Markup(
            "".join([f"<div><dt>{name}<dd>{say(value)}</div>\n" for name, value, say in known if math.isfinite(value)])
        )

    def alike(self, unit: int) -> Markup:
        """Links to the neurons that one is like, most alike first: face, name and cosine."""
        if self.statistics is None:
            return Markup("")
        others, cosines = self.statistics.alike[unit].tolist(), self.statistics.cosine[unit].tolist()
        found = zip(others, cosines, strict=True)
        return Markup("".join([f"{self.opened[one]}{_cosine(cosine)}{self.closed[one]}" for one, cosine in found if one >= 0]))


def _hundredths(share: float) -> str:
    return f"{share:.2f}"


def _zeros(share: float) -> str:
    return str(escape(wording.percent(share))) if share else "none"


def _cosine(value: float) -> str:
    return f"{value:.2f}".replace("-", wording.MINUS)
