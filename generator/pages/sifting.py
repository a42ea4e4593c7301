"""What the grid of a layer can be sorted and filtered by: its controls, and the numbers that the page hands to its script."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from generator.analyses.faces import FADED
from generator.analyses.gram import ZERO
from generator.pages import wording
from generator.pages.common import Link, ModelContext
from generator.records import Branch, LayerFacts


class Column(NamedTuple):
    """A number that every neuron of a layer may have."""

    key: str  # in the page's address: 'norm'
    name: str
    unit: str  # behind the number: '%' or ''
    least: str  # of the layer
    most: str


class Choice(NamedTuple):
    """A group of neurons that one can pick out."""

    key: str  # in the page's address
    name: str


@dataclass(frozen=True)
class Sifting:
    """The controls above a layer's grid, and the numbers behind them."""

    columns: tuple[Column, ...]
    similarity: bool  # whether alike neurons can stand together
    families: tuple[Choice, ...]
    branches: tuple[Choice, ...]
    dead: tuple[Choice, ...]  # whether to show those; () where none is
    count: str  # how many neurons there are
    numbers: Markup  # JSON, for the script


DIGITS = 3  # significant digits of a number that serves to sort and filter
_COLUMNS = (("norm", "norm", ""), ("explained", "share explained", "%"), ("sparsity", "sparsity", ""))
FEW = 3  # neurons under which there is nothing to sort


def sifting(context: ModelContext, facts: LayerFacts) -> Sifting | None:
    """The controls of a layer's grid; None where there is nothing to choose."""
    values = _values(facts)
    columns = tuple(Column(*given, *_ends(values[given[0]], given[-1])) for given in _COLUMNS if given[0] in values)
    families, branches = family_units(context, facts), _branches(facts)
    dead = [unit for unit, note in enumerate(facts.faces.notes) if ZERO in note or FADED in note]
    place = facts.statistics.place.tolist() if facts.statistics else []
    if facts.layer.neurons < FEW or not (columns or place or families or branches or dead):
        return None
    numbers = {
        "columns": {name: _quantised(column) for name, column in values.items()},
        "place": place,
        "families": {_key(link): units for link, units in families},
        "branches": {branch.address: [branch.start, branch.stop] for branch in branches},
        "dead": dead,
    }
    return Sifting(
        columns,
        bool(place),
        tuple(Choice(_key(link), f"{link.name} ({len(units):,})") for link, units in families),
        tuple(Choice(branch.address, branch.address) for branch in branches),
        (Choice("no", "not dead"), Choice("yes", f"dead ({len(dead):,})")) if dead else (),
        wording.counted(facts.layer.neurons, "neuron"),
        _script_json(numbers),
    )


def family_units(context: ModelContext, facts: LayerFacts) -> list[tuple[Link, list[int]]]:
    """The families that have members in a layer, in the order of the atlas, with their members there."""
    found: dict[Link, list[int]] = {}
    for unit in range(facts.layer.neurons):
        for link in context.families_of(facts.layer.address, unit):
            found.setdefault(link, []).append(unit)
    order = {family.name: place for place, family in enumerate(context.atlas.families)}
    return sorted(found.items(), key=lambda one: order[one[0].name])


def _values(facts: LayerFacts) -> dict[str, np.ndarray]:
    """The columns of a layer, float32 [unit], without those that hold no number."""
    given: dict[str, np.ndarray] = {}
    if facts.statistics:
        given |= {"norm": facts.statistics.norm, "sparsity": facts.statistics.sparsity}
    if facts.faces.factors is not None:
        given["explained"] = facts.faces.factors.explained
    return {name: column for name, column in given.items() if np.isfinite(column).any()}


def _ends(column: np.ndarray, unit: str) -> tuple[str, str]:
    """The least and the largest number of a column, as one would type them."""
    known = column[np.isfinite(column)].astype(float) * (100 if unit == "%" else 1)
    return f"{known.min():.{DIGITS}g}", f"{known.max():.{DIGITS}g}"


def _branches(facts: LayerFacts) -> Sequence[Branch]:
    """The branches of a concat; none where it has but one."""
    return facts.layer.branches if len(facts.layer.branches) > 1 else ()


def _quantised(column: np.ndarray) -> list[float | int | None]:
    """Numbers to a few digits, None for what is not finite."""
    rounded = (float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None for value in column.tolist())
    return [int(value) if value is not None and value == int(value) else value for value in rounded]


def _key(family: Link) -> str:
    """A family in the page's address: the name of its own page."""
    return family.href.rpartition("/")[2].removesuffix(".html")


def _script_json(data: object) -> Markup:
    """JSON for an element of type application/json: nothing in it can end the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # the only character that HTML minds within a script
