"""The classes that a neuron pushes up and down, as lines of links."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

from generator.pages import wording
from generator.pages.common import ModelContext
from generator.records import LayerFacts


class PushLines(NamedTuple):
    """What one neuron pushes."""

    up: Markup  # the classes with their weights, '' for none
    down: Markup
    how: str


class Pushing:
    """The classes that the neurons of a layer push."""

    def __init__(self, context: ModelContext, facts: LayerFacts) -> None:
        self.pushes = facts.pushes
        self.names: dict[int, str] = {}  # of a class, as markup
        if self.pushes is None:
            return
        self.view = context.views.get(self.pushes.classes)
        found = self.view.facts if self.view else None
        self.labels = found.labels if found else ()
        self.how = self._how()

    def of(self, unit: int) -> PushLines | None:
        """The lines of one neuron; None where no class is known."""
        if self.pushes is None:
            return None
        up, down = (
            self._line(np.asarray(classes[unit]), np.asarray(weights[unit]))
            for classes, weights in ((self.pushes.up, self.pushes.up_weight), (self.pushes.down, self.pushes.down_weight))
        )
        return PushLines(up, down, f"{self._kept(unit)} {self.how}".lstrip()) if up or down else None

    def _line(self, classes: np.ndarray, weights: np.ndarray) -> Markup:
        """Classes by weight, each a link where it has a page; -1 is none."""
        known = [(one, weight) for one, weight in zip(classes.tolist(), weights.tolist(), strict=True) if one >= 0]
        places = wording.decimals(max((abs(weight) for _, weight in known), default=0.0))
        return Markup(", ").join(
            Markup(f"{self._name(one)}{wording.NO_BREAK}{wording.aligned(weight, places)}") for one, weight in known
        )

    def _name(self, one: int) -> str:
        """The first name of a class, as markup."""
        if one not in self.names:
            label = self.labels[one].partition(",")[0] if one < len(self.labels) else ""
            name = escape(label or f"class {one}")
            linked = self.view is not None and one in self.view.chosen
            self.names[one] = f"<a href=../{self.view.page(one)}>{name}</a>" if linked and self.view else str(name)
        return self.names[one]

    def _kept(self, unit: int) -> str:
        """How much of the paths to these classes is left."""
        if self.pushes is None or self.pushes.up_kept is None or self.pushes.down_kept is None:
            return ""
        kept = np.concatenate([np.asarray(self.pushes.up_kept[unit]), np.asarray(self.pushes.down_kept[unit])])
        known = kept[np.isfinite(kept)]
        if not known.size:
            return ""
        least, most = wording.kept_cell(float(known.min())), wording.kept_cell(float(known.max()))
        return f"Of the paths to these classes {least} to {most} is kept; the rest cancels."

    def _how(self) -> str:
        if self.pushes is None:
            return ""
        pushes = self.pushes
        said = (
            f"What a map of ones adds to a class of {pushes.classes} through the mean over the map",
            f"expanded through {wording.listed(pushes.through)}" if pushes.through else "the classifier’s own weights",
            wording.replaced_line(pushes.replaced),
        )
        return wording.sentence("; ".join(filter(None, said)))
