"""A network as a drawing: its layers as boxes from the top down, what each reads as lines, made once as an SVG element.

A layer stands one row below the lowest of those it reads. A line that passes other rows keeps a lane of its own beside their
boxes, so that branches and residual streams are seen. Sizes are in CSS pixels; colours are left to the style sheet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log2

from markupsafe import Markup

HEIGHT = 24  # of a box: a finger finds it
BETWEEN, DENSE = 26, 18  # from one row of boxes to the next, and in networks of many rows
MANY = 40  # rows
ROOM = 352  # width that a phone has, for the widest row
WIDEST, NARROWEST = 22.0, 8.0  # of a box, for each doubling of its neurons
APART = 14  # between boxes of a row
LANE, THINNEST = 9.0, 0.5  # between lanes, and from a lane to a box; between the lanes of a dense network
BESIDE = 170  # width for all lanes together
LETTER = 6.4  # width of a letter of a box's name, on average
INSIDE = 8  # from a name to the sides of its box, both together
CORNER = 9  # how far from a box's corner the line to a lane leaves it


@dataclass(frozen=True)
class Box:
    """A layer to draw."""

    name: str  # its address
    neurons: int
    href: str
    told: str  # what is said of it where it cannot be seen


@dataclass(frozen=True)
class Edge:
    """One layer reads another."""

    source: str
    target: str
    href: str  # the page of the two; '' where their weights could not be read
    told: str


@dataclass(frozen=True)
class Placed:
    """A box and where it stands: `x` is its middle, `y` its top."""

    box: Box
    row: int
    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Drawing:
    """A network laid out."""

    boxes: tuple[Placed, ...]
    lines: tuple[tuple[Edge, str], ...]  # each with its path
    left: float  # of the whole; its middle is 0
    right: float
    height: float


def lay_out(boxes: Sequence[Box], edges: Sequence[Edge]) -> Drawing:
    """Where the boxes and lines of a network go. Boxes come in order of computation; edges lead from earlier ones to later."""
    rows = row_of(boxes, edges)
    count = 1 + max(rows.values(), default=-1)
    gap = BETWEEN if count <= MANY else DENSE
    placed = _placed(boxes, rows, HEIGHT + gap)
    halves = _halves(placed.values(), count)
    lanes = _lanes(edges, rows, halves, LANE)
    reach = max(lanes.values(), default=0.0) - max(halves, default=0.0)
    if reach > BESIDE:
        lanes = _lanes(edges, rows, halves, max(LANE * BESIDE / reach, THINNEST))
    lines = tuple((edge, _path(edge, placed, lanes, gap)) for edge in edges)
    sides = [side for one in placed.values() for side in (one.x - one.width / 2, one.x + one.width / 2)]
    wide = [*sides, *lanes.values(), 0.0]
    height = max((one.y + HEIGHT for one in placed.values()), default=0.0)
    return Drawing(tuple(placed.values()), lines, min(wide) - LANE, max(wide) + LANE, height)


def row_of(boxes: Sequence[Box], edges: Sequence[Edge]) -> dict[str, int]:
    """The row of every box, from the top: the number of lines on the longest way to it."""
    reads: dict[str, list[str]] = {box.name: [] for box in boxes}
    for edge in edges:
        reads[edge.target].append(edge.source)
    rows: dict[str, int] = {}
    for box in boxes:
        rows[box.name] = 1 + max((rows[source] for source in reads[box.name]), default=-1)
    return rows


def _placed(boxes: Sequence[Box], rows: dict[str, int], step: float) -> dict[str, Placed]:
    """Every box in its row, the boxes of a row side by side around the middle."""
    of_row: dict[int, list[Box]] = {}
    for box in boxes:
        of_row.setdefault(rows[box.name], []).append(box)
    unit = doubling(of_row.values())
    placed = {}
    for row, members in of_row.items():
        widths = [_width(box, unit) for box in members]
        x = -(sum(widths) + APART * (len(widths) - 1)) / 2
        for box, width in zip(members, widths, strict=True):
            placed[box.name] = Placed(box, row, round(x + width / 2, 1), row * step + 1, width)
            x += width + APART
    return {box.name: placed[box.name] for box in boxes}


def doubling(rows: Iterable[Sequence[Box]]) -> float:
    """How much wider a box is for each doubling of its neurons, so that the widest row has room."""
    most = [
        (ROOM - APART * (len(row) - 1) - 4 * LANE) / sum(log2(1 + box.neurons) for box in row)
        for row in rows
        if any(box.neurons for box in row)
    ]
    return max(NARROWEST, min([WIDEST, *most]))


def _width(box: Box, unit: float) -> float:
    return round(max(unit * log2(1 + box.neurons), CORNER), 1)


def _halves(placed: Iterable[Placed], count: int) -> list[float]:
    """How far the boxes of each row reach to the right of the middle."""
    halves = [0.0] * count
    for one in placed:
        halves[one.row] = max(halves[one.row], one.x + one.width / 2)
    return halves


def _lanes(edges: Sequence[Edge], rows: dict[str, int], halves: Sequence[float], apart: float) -> dict[tuple[str, str], float]:
    """The lane of every line that passes other rows: to the right of their boxes, short lines nearest, all `apart`."""
    lanes: dict[tuple[str, str], float] = {}
    taken: list[list[float]] = [[] for _ in halves]
    spans = [(rows[edge.target] - rows[edge.source], rows[edge.source], edge) for edge in edges]
    for length, first, edge in sorted(spans, key=lambda one: one[:2]):
        between = range(first + 1, first + length)
        if not between:
            continue
        x = max(halves[row] for row in between) + LANE
        near = sorted({other for row in between for other in taken[row]})
        for other in near:
            if abs(x - other) < apart:
                x = other + apart
        for row in between:
            taken[row].append(x)
        lanes[edge.source, edge.target] = round(x, 1)
    return lanes


def _path(edge: Edge, placed: dict[str, Placed], lanes: dict[tuple[str, str], float], gap: float) -> str:
    """The line from the foot of one box to the head of the other."""
    start, end = placed[edge.source], placed[edge.target]
    foot, head = start.y + HEIGHT, end.y
    lane = lanes.get((edge.source, edge.target))
    if lane is None:
        above = _port(start, end.x)
        return f"M{_short(above)} {_short(foot)}" + _bend(above, foot, _port(end, above), head)
    above, below = _port(start, lane), _port(end, lane)
    to, back = _bend(above, foot, lane, foot + gap), _bend(lane, head - gap, below, head)
    return f"M{_short(above)} {_short(foot)}{to}V{_short(head - gap)}{back}"


def _bend(x: float, y: float, to_x: float, to_y: float) -> str:
    """The rest of a path that leads down from one place to another and is upright at both."""
    if abs(x - to_x) < 0.1:
        return f"V{_short(to_y)}"
    middle = _short((y + to_y) / 2)
    return f"C{_short(x)} {middle} {_short(to_x)} {middle} {_short(to_x)} {_short(to_y)}"


def _port(one: Placed, x: float) -> float:
    """Where a line from or to `x` meets a box: straight above or below if it can, else near the corner."""
    reach = max(one.width / 2 - CORNER, 0.0)
    return min(max(x, one.x - reach), one.x + reach)


def _short(number: float) -> str:
    """A length with one decimal at most."""
    return f"{number:.1f}".removesuffix(".0") if round(number, 1) else "0"


def drawing(boxes: Sequence[Box], edges: Sequence[Edge], told: str) -> Markup:
    """A network as an SVG element, `told` its name. Its boxes are in the order of tabs; its lines only for the pointer."""
    laid = lay_out(boxes, edges)
    width = laid.right - laid.left
    view = f"{_short(laid.left)} 0 {_short(width)} {_short(laid.height + 2)}"
    head = Markup('<svg class="net" role="group" aria-label="{}" viewBox="{}" width="{}" height="{}">\n').format(
        told, view, _short(width), _short(laid.height + 2)
    )
    lines = Markup("\n").join(_line(edge, path) for edge, path in laid.lines)
    drawn = Markup("\n").join(_box(one, laid.boxes) for one in laid.boxes)
    return Markup("{}{}\n{}\n</svg>").format(head, lines, drawn)


def _line(edge: Edge, path: str) -> Markup:
    """A line, a link where there is a page; a second, unseen and wider, is what the pointer finds."""
    if not edge.href:
        return Markup('<path class="refused" d="{}"><title>{}</title></path>').format(path, edge.told)
    return Markup('<a href="{}" tabindex="-1" aria-label="{}"><title>{}</title><path d="{}"/><path d="{}"/></a>').format(
        edge.href, edge.told, edge.told, path, path
    )


def _box(one: Placed, every: Sequence[Placed]) -> Markup:
    """A box with its name, or as much of that as it holds."""
    words, middle = name_in(one.box.name, one.width, {other.box.name for other in every}), one.x
    if words != one.box.name and sum(not other.row for other in every) == 1 and not one.row:  # nothing stands beside the first
        words, middle = one.box.name, one.x + one.width / 2 + INSIDE + LETTER * len(one.box.name) / 2
    return Markup(
        '<a href="{}" aria-label="{}"><title>{}</title><rect x="{}" y="{}" width="{}" height="{}"/>'
        '<text x="{}" y="{}">{}</text></a>'
    ).format(
        one.box.href,
        one.box.told,
        one.box.told,
        _short(one.x - one.width / 2),
        _short(one.y),
        _short(one.width),
        HEIGHT,
        _short(middle),
        _short(one.y + 16),
        words,
    )


def name_in(name: str, width: float, names: set[str]) -> str:
    """A layer's name as a box of this width holds it: within a drawn block without the block's, and cut at the front, at a dot
    where it can be.
    """
    block = name.rpartition(".")[0]
    while block and block not in names:
        block = block.rpartition(".")[0]
    short = name[len(block) + 1 :] if block else name
    fits = int((width - INSIDE) / LETTER)
    if len(short) <= fits:
        return short
    parts = short.split(".")
    ends = ("…" + ".".join(parts[at:]) for at in range(1, len(parts)))
    cut = "…" + short[len(short) - fits + 1 :].lstrip(".") if fits > 2 else ""
    return next((end for end in ends if len(end) <= fits), cut)
