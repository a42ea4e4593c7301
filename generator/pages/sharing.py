"""How many rows each table of a neuron has, where it has many: the tables of the nearest layers have most.

A neuron with a table on either side has all the rows that the spec asks for, twice. Along a residual stream there are ten
tables and more, each with its heading: then rows are shared out, so that a page is no longer for it. Each table says what it
leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from generator.records import Largest, LayerFacts

HEADING = 8  # rows that have the room of a table's heading
LIGHT = 24  # rows of all tables together that are never too many
LEAST = 0.8  # of the rows asked for: so many have all tables together, however many they are
FEWEST = 3  # rows that every table has
NEARNESS = (1.0, 0.5, 0.25)  # shares of the nearest layer on a side, the next, and of each of those farther away
FULL = 0.4  # part of the rows asked for, from which on a table has a histogram


def shared(facts: LayerFacts) -> LayerFacts:
    """A layer whose tables have as many rows as its pages show of them."""
    reads, writes = [pair.reads for pair in facts.reads], [pair.writes for pair in facts.writes]
    rows = shares([distances(reads), distances(writes)], asked(facts))
    return replace(
        facts,
        reads=tuple(replace(pair, reads=cut(pair.reads, most)) for pair, most in zip(facts.reads, rows[0], strict=True)),
        writes=tuple(replace(pair, writes=cut(pair.writes, most)) for pair, most in zip(facts.writes, rows[1], strict=True)),
    )


def asked(facts: LayerFacts) -> int:
    """How many rows the spec asks for, as far as can be seen: those of the longest table."""
    tables: list[Largest] = [pair.reads for pair in facts.reads] + [pair.writes for pair in facts.writes]
    return max((one.norm.shape[1] for one in tables), default=0)


def distances(side: Sequence[Largest]) -> list[int]:
    """How many layers are nearer than that of each table of one side. Of those inside a block, which count as one, a neuron has
    the table of its own branch.
    """
    outside = sum(not is_inside(one) for one in side)
    return [outside if is_inside(one) else at for at, one in enumerate(side)]


def is_inside(one: Largest) -> bool:
    """Whether one of a table's two layers is inside the other. Neurons on its other branches then have no table."""
    return one.there.startswith(f"{one.here}.") or one.here.startswith(f"{one.there}.")


def shares(sides: Sequence[Sequence[int]], show: int) -> list[list[int]]:
    """The most rows of each table, from how far away the layers of both sides are; `show` where there is one on either side."""
    near = [sorted(set(side)) for side in sides]
    tables = sum(map(len, near))
    if tables <= len(near) or tables * show <= LIGHT:
        return [[show] * len(side) for side in sides]
    whole = sum(_nearness(one) for side in near for one in side)
    room = max(2 * show - HEADING * (tables - 2), round(LEAST * show))
    fewest = min(FEWEST, show)
    return [[min(show, max(fewest, round(room * _nearness(one) / whole))) for one in side] for side in sides]


def _nearness(distance: int) -> float:
    return NEARNESS[min(distance, len(NEARNESS) - 1)]


def is_large(table: Largest, show: int) -> bool:
    """Whether a table has most of the rows that are asked for, or of those there are: it then comes with a histogram."""
    ranks = table.norm.shape[1]
    return ranks >= FULL * min(show, ranks + table.left_out)


def cut(table: Largest, rows: int) -> Largest:
    """A table with at most so many rows."""
    ranks = table.norm.shape[1]
    if ranks <= rows:
        return table
    share = table.share[:, :rows]
    return replace(
        table,
        other=table.other[:, :rows],
        norm=table.norm[:, :rows],
        excitation=table.excitation[:, :rows],
        inhibition=table.inhibition[:, :rows],
        share=share,
        shown=np.minimum(share.sum(1, dtype=np.float64), 1.0).astype(np.float32),
        left_out=table.left_out + ranks - rows,
        kernels=table.kernels[:, :rows],
    )
