"""Numbers and facts in words: how the pages say them, always the same way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache

from generator.pages.faces import WEIGHTS
from generator.records import Faces, LayerFacts, Provenance, Replacement, Weights

MINUS, TIMES, NO_BREAK = "\u2212", "\u00d7", "\u00a0"
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def counted(count: int, noun: str) -> str:
    """`1 neuron`, `2,048 neurons`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


def sentence(words: str) -> str:
    """With a capital and a full stop, nothing else changed."""
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")


def percent(share: float) -> str:
    """A share 0..1: whole per cent where that tells it from 0 and 100, one or two decimals near the ends."""
    if not math.isfinite(share):
        return "an unknown share"
    if share >= 1 or share <= 0 or 0.01 <= share < 0.99:
        return f"{share:.0%}"
    if share >= 0.9995:
        return "more than 99.9%"
    return f"{share:.1%}" if share >= 0.0005 else "less than 0.1%"


SMALL_SHARE = 0.0005  # of a share in a column; smaller ones would be told as zero


def share_cell(share: float) -> str:
    """A share 0..1 in a column of per cents: always one decimal, so that the column lines up."""
    if 0 < share < SMALL_SHARE:
        return "<0.1"
    return f"{100 * share:.1f}" if math.isfinite(share) else "NaN"


def kept_cell(kept: float) -> str:
    """A cancellation 0..1 in a column of a table."""
    return f"{kept:.2f}" if math.isfinite(kept) else "–"


def decimals(largest: float) -> int:
    """Places after the point that give the largest number of a column three digits; at most 6."""
    if not math.isfinite(largest) or largest <= 0:
        return 2
    return min(max(2 - math.floor(math.log10(largest)), 0), 6)


def plain(number: float) -> str:
    """A number in running text: three digits, a true minus sign."""
    if not math.isfinite(number):
        return {math.inf: "infinity", -math.inf: MINUS + "infinity"}.get(number, "NaN")
    places = decimals(abs(number))
    small = number != 0 and abs(number) < 1e-4
    return (f"{number:.2e}" if small else f"{number:.{places}f}").replace("-", MINUS)


def aligned(number: float, places: int) -> str:
    """A number in a column of a table: as many places as all of them, a true minus sign."""
    return f"{number:.{places}f}".replace("-", MINUS)


def norm_cells(norms: Sequence[float]) -> list[str]:
    """The norms of one table, largest first: three digits of the largest, and no small one told as zero."""
    largest = norms[0] if norms and norms[0] < math.inf else max((norm for norm in norms if math.isfinite(norm)), default=0.0)
    if 0 < largest < 1e-3:
        return [f"{norm:.1e}".replace("-", MINUS) for norm in norms]
    places = decimals(largest)
    least = 0.5 * 10.0**-places
    cells = fixed(norms, places)
    if norms and min(norms) >= least:
        return cells
    small = f"<{10.0**-places:.{places}f}"
    return [small if 0 < norm < least else cell for norm, cell in zip(norms, cells, strict=True)]


def share_cells(shares: Sequence[float]) -> list[str]:
    """Shares 0..1 as cells of a column of per cents."""
    if shares and min(shares) >= SMALL_SHARE and math.isfinite(sum(shares)):
        return fixed([100 * share for share in shares], 1)
    return [share_cell(share) for share in shares]


def fixed(numbers: Sequence[float], places: int) -> list[str]:
    """Numbers with so many places after the point: many at once take a third of the time of one by one."""
    return (_pattern(places, len(numbers)) % tuple(numbers)).split(" ") if numbers else []


@cache
def _pattern(places: int, count: int) -> str:
    return " ".join([f"%.{places}f"] * count)


def size(shape: tuple[int, int]) -> str:
    """`3 × 3`."""
    return f"{shape[0]}{NO_BREAK}{TIMES}{NO_BREAK}{shape[1]}"


def colour_limits(limit: float) -> str:
    """What the two ends of the signed colours stand for."""
    if not limit > 0:
        return "every weight shown is zero"
    return f"blue{NO_BREAK}{MINUS}{plain(limit)} to red{NO_BREAK}{plain(limit)}"


def left_out_line(shown_rows: int, left_out: int, dropped_zeros: int, shown: float) -> str:
    """What a table of the largest connections shows and what it does not."""
    if not shown_rows:
        return "Every one of its connections here is exactly zero."
    these = f"The {shown_rows} shown hold" if shown_rows > 1 else "The one shown holds"
    if dropped_zeros:
        return f"{these} all of the squared weight; the other {dropped_zeros + left_out:,} are exactly zero."
    if not left_out:
        return f"{these} all of the squared weight; nothing is left out."
    return f"{these} {percent(shown)} of the squared weight; {left_out:,} more."


def replaced_line(replaced: Iterable[Replacement]) -> str:
    """`max pool taken as average pool; ReLU taken as identity`, each once; '' where nothing was."""
    said = dict.fromkeys(f"{one.operation} taken as {one.by}" for one in replaced)
    return "; ".join(said)


def how_obtained(weights: Weights) -> str:
    """How the kernels of a table came about, in a sentence."""
    way = f"Expanded through {listed(weights.through)}" if weights.through else "Expanded; no other weights lie between"
    parts = [
        f"The kernels of {weights.target}" if weights.direct else way,
        replaced_line(weights.replaced),
        f"read behind {weights.read_at}" if weights.read_at != weights.source else "",
    ]
    return sentence("; ".join(filter(None, parts)))


def through_line(weights: Weights) -> str:
    """What the kernels of a table were expanded through; '' where they are the layer's own."""
    if weights.direct:
        return ""
    return f"Expanded through {listed(weights.through)}." if weights.through else "Expanded; no other weights lie between."


def method_line(weights: Weights) -> str:
    """How the kernels of a table came about, beyond `through_line`: what was made linear on the way."""
    behind = f"read behind {weights.read_at}" if weights.read_at != weights.source else ""
    parts = [part for part in (replaced_line(weights.replaced), behind) if part]
    if weights.direct:
        return sentence("; ".join(["the kernels of the layer that reads", *parts]))
    return f"On the way: {'; '.join(parts)}." if parts else "Nothing on the way had to be replaced."


def kernel_line(weights: Weights) -> str:
    """The size of the kernels of a table and what they lie on."""
    shape = size((weights.kernel.shape[2], weights.kernel.shape[3]))
    if weights.grid == "mean":
        return "one number each, the response to a constant map"
    return f"{shape} over the source\u2019s whole map" if weights.grid == "whole map" else f"{shape} kernels"


def explained_line(factors: int, explained: float, bound: float, noise: float) -> str:
    """How much of a neuron its picture tells."""
    if not math.isfinite(explained):
        return "How much its picture explains cannot be said."
    one = factors == 1
    who = (
        "One factor explains"
        if one
        else f"{COUNTS[factors].capitalize()} factors explain"
        if factors <= 10
        else f"{factors} factors explain"
    )
    beside = [f"best possible {percent(bound)}"] if math.isfinite(bound) else []
    beside += [f"noise of the same shape {percent(noise)}"] if math.isfinite(noise) else []
    return f"{who} {percent(explained)} of its squared weight" + (f" ({'; '.join(beside)})." if beside else ".")


FACTOR_COLOURS = ("red", "green", "blue")
_KINDS = {
    "nmf": "the factors of the weights on {sources}, as {colours}",
    "rgb": "the weights on the three channels of {sources}, as colours",
    "signed": "the weights on the one input each reads of {sources}, in signed colours",
    "maps": "the signed map of each factor of the weights on {sources}",
    "bars": "the largest inputs in {sources}, as bars: red excites, blue inhibits",
    "none": "no picture: it reads no layer of this atlas whose weights could be shown",
}


_INPUT = "Each is one channel of the picture that the model is given: it reads nothing, and has no weights of its own."


def face_shown(facts: LayerFacts, factors: int) -> str:
    """What the picture of a neuron's weights shows and at what scale, or that none is to be; `face_how` says the rest."""
    faces = facts.faces
    if WEIGHTS not in facts.order:
        what = "the pictures of its weights are not shown" if facts.order else "no picture is shown"
        return sentence(f"{what}: the makers of this atlas have left them out for this layer")
    if facts.layer.kind == "input":
        return _INPUT
    return " ".join(sentence(part) for part in (_shown(faces, factors), faces.scale) if part)


def face_how(facts: LayerFacts) -> str:
    """How the picture of a neuron's weights was made; '' where there is nothing to say."""
    faces = facts.faces
    if WEIGHTS not in facts.order or facts.layer.kind == "input" or faces.kind == "none":
        return ""
    return " ".join(sentence(part) for part in (faces.expanded, _HOW.get(faces.kind, "")) if part)


_FACTORED = "its weights, positions by inputs, approximated by maps nowhere negative times what each map reads of the inputs"
_HOW = {
    "nmf": _FACTORED,
    "maps": _FACTORED,
    "rgb": "its weights as they are",
    "signed": "its weights as they are",
    "bars": "for each input the sum of its weights, with their signs",
}


def _shown(faces: Faces, factors: int) -> str:
    words = _KINDS.get(faces.kind, "the weights on {sources}")
    return words.format(sources=listed(faces.sources) or "its sources", colours=listed(FACTOR_COLOURS[:factors]))


def fed(mean: Sequence[float] | None, std: Sequence[float] | None) -> str:
    """How images, 0 to 1 in every channel, are brought to the scale that a model reads; with no numbers, not at all."""
    less = mean if mean and any(mean) else ()
    over = std if std and any(one != 1 for one in std) else ()
    said = [f"{word} {listed([f'{one:.4g}' for one in each])}" for word, each in (("less", less), ("divided by", over)) if each]
    return f"0 to 1, {', then '.join(said) or 'as they are'}"


def provenance_line(provenance: Provenance) -> str:
    """Where the weights came from, on one line; their digest stands on the model's page, so that no other page tells of layers
    that have nothing to do with it.
    """
    versions = ", ".join(f"{package} {version}" for package, version in provenance.versions)
    return " · ".join(filter(None, (provenance.source, provenance.weights, versions)))
