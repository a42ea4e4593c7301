"""A neuron’s dataset examples as a figure: the pictures that excite it most, all activations, pictures from all their range."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt

import numpy as np
from markupsafe import Markup, escape

from generator.pages import wording
from generator.pages.facefiles import Part
from generator.records import Examples

SHOWN, BETWEEN = 224, 4  # CSS pixels of the figure's width, and between its pictures
ACROSS = 8  # pictures from across the range that stand side by side, at most
HIGH = 32  # of the histogram, in its own units; it is as wide as the figure
REFUSED = 3  # files that are named


class Photographs:
    """The examples of a layer's neurons."""

    def __init__(self, examples: Examples, address: str) -> None:
        self.examples, self.address = examples, escape(address)
        said = credit_line(examples.credit, examples.licence)
        self.credit = f"Pictures: {said}" if said else ""

    def picture(self, unit: int, sheet: tuple[str, int], width: int, first: Part) -> Markup:
        """The pictures and the histogram; all of it is numbers and our own names."""
        file, row = sheet
        top, others = self._ranks(unit)
        if not top and not others:
            return Markup(f"<div class=tiles>{self._histogram(unit)}</div>")
        place = f"--x:{first.x};--y:{first.y + row};--r:{first.rows};--c:{first.cols};--w:{width};background-image:url({file})"
        best = _tiles(top, ceil(sqrt(self.examples.top)), first.cols)
        more = _tiles(others, min(self.examples.crops.shape[1] - self.examples.top, ACROSS), first.cols)
        told = f"Parts of {wording.counted(len(top), 'picture')} that excite {self.address}:{unit} most"
        beside = f' role=img aria-label="{told}"'
        below = f'<p role=img aria-label="Parts of others"{more}</p>' if others else ""
        return Markup(f'<div class=tiles style="{place}"><p{beside}{best}</p>{self._histogram(unit)}{below}</div>')

    def _ranks(self, unit: int) -> tuple[list[int], list[int]]:
        """The ranks that hold a picture: those of the largest activations, and those from across the range."""
        held = np.flatnonzero(np.asarray(self.examples.images[unit]) >= 0).tolist()
        return [rank for rank in held if rank < self.examples.top], [rank for rank in held if rank >= self.examples.top]

    def _histogram(self, unit: int) -> str:
        """All activations as a small drawing: heights by the square root of the count; below, which of them are shown."""
        seen = self.examples
        counts, first, width = np.asarray(seen.counts[unit]), float(seen.first[unit]), float(seen.width[unit])
        filled = np.flatnonzero(counts)
        if not filled.size or not np.isfinite(first) or not np.isfinite(width):
            return ""
        low, high = int(filled[0]), int(filled[-1]) + 1
        step = SHOWN / (high - low)
        heights = np.ceil(HIGH * np.sqrt(counts[low:high] / counts.max())).astype(int).tolist()
        path = "".join(
            f"H{round(step * (at + 1))}"
            if at and heights[at] == heights[at - 1]
            else f"V{HIGH - tall}H{round(step * (at + 1))}"
            for at, tall in enumerate(heights)
        )
        marks = "".join(self._marks(unit, first + low * width, width / step))
        return f'<svg viewBox="0 0 {SHOWN} {HIGH + 6}"><path d="M0 {HIGH}{path}V{HIGH}z"/><path d="{marks}"/></svg>'

    def _marks(self, unit: int, start: float, step: float) -> Sequence[str]:
        """A tick below the histogram for each picture from across the range, and a bar for the range of the largest."""
        values = np.asarray(self.examples.activations[unit], np.float64)
        top, others = self._ranks(unit)
        places = ((values - start) / step) if step > 0 else np.zeros(len(values))
        ticks = [
            f"M{min(max(round(float(places[rank])), 0), SHOWN)} {HIGH + 1}v5" for rank in others if np.isfinite(places[rank])
        ]
        known = [float(places[rank]) for rank in top if np.isfinite(places[rank])]
        if known:
            least, most = (min(max(round(one), 0), SHOWN) for one in (min(known), max(known)))
            ticks.append(f"M{min(least, SHOWN - 2)} {HIGH + 2}H{max(most, least + 2)}v3H{min(least, SHOWN - 2)}z")
        return ticks

    def told(self, unit: int) -> str:
        """What the figure is."""
        seen = self.examples
        top, others = self._ranks(unit)
        note = wording.sentence(seen.notes[unit]) if seen.notes[unit] else ""
        if not top:
            return note or f"Of {wording.counted(seen.seen, 'picture')} none is shown for it."
        values = np.asarray(seen.activations[unit])[top]
        most, least = wording.plain(float(values.max())), wording.plain(float(values.min()))
        ends = f"{least} to {most}" if len(top) > 1 else most
        which = "The picture" if len(top) == 1 else f"The {len(top)} pictures"
        below = "; below, all activations, and pictures from across their range" if others else ""
        return f"{which} of {seen.seen:,} that excite it most ({ends}), cut to what it sees{below}. {note}".rstrip()

    def how(self, unit: int) -> str:
        """How they were found, and what was left out."""
        seen = self.examples
        low, high, silent = float(seen.low[unit]), float(seen.high[unit]), int(seen.silent[unit])
        shut = f"; it is zero or less on {silent:,} of the pictures" if silent else ""
        said = (
            "the largest activation over the map counts, and the picture is cut to what the neuron sees there",
            f"activations run from {wording.plain(low)} to {wording.plain(high)}{shut}" if low <= high else "",
            "heights go by the square root of the count; below, a bar for the pictures above, a tick for each of the others",
            self._refused(),
        )
        return " ".join(wording.sentence(one) for one in said if one)

    def _refused(self) -> str:
        """The files that are no pictures."""
        count, named = self.examples.refused_count, self.examples.refused[:REFUSED]
        if not count:
            return ""
        told = "; ".join(f"{name} {reason}" for name, reason in named)
        more = f"; and {count - len(named):,} more" if count > len(named) else ""
        return f"{wording.counted(count, 'file')} could not be read: {told}{more}"


def credit_line(credit: str, licence: str) -> str:
    """Who made some pictures and under which licence; '' where neither is known."""
    said = ", ".join(filter(None, (credit.strip().rstrip("."), licence.strip())))
    return wording.sentence(said) if said else ""


def tile_rows(
    file: str, width: int, first: Part, row: int, groups: Sequence[tuple[str, Sequence[int]]], columns: int
) -> Markup:
    """Pictures that follow one another on a sheet, `columns` to a line, in groups: what each shows, and its ranks.

    All of it is numbers and our own names, but for the words.
    """
    place = f"--x:{first.x};--y:{first.y + row};--r:{first.rows};--c:{first.cols};--w:{width};background-image:url({file})"
    shown = (
        f'<p role=img aria-label="{escape(told)}"{_tiles(ranks, columns, first.cols)}</p>' for told, ranks in groups if ranks
    )
    return Markup(f'<div class=tiles style="{place}">{"".join(shown)}</div>')


def _tiles(ranks: Sequence[int], columns: int, cols: int) -> str:
    """Pictures of a sheet side by side, so many to a line; begins within the tag of the element that holds them."""
    side = (SHOWN - BETWEEN * (max(columns, 1) - 1)) / max(columns, 1)
    return f' style="--s:{side / cols:.4g}">' + "".join(f"<i style=--n:{rank}></i>" for rank in ranks)
