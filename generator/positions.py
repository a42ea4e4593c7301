"""YAML text to plain data that remembers where each value stood; YAML's own traps are refused here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from generator.errors import SpecError

Loc = tuple[int | str, ...]  # ('models', 0, 'layers', 2)
Point = tuple[int, int]  # line, column, both from 1

_PREFIX = "tag:yaml.org,2002:"
_ALIAS = "alias"
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FRACTION = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|nan)", re.IGNORECASE)
_NUMBER_LIKE = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+|0[0-9]+|0o[0-7]+")
_LONGEST_NUMBER = 40  # digits; Python itself refuses to read thousands of them
_HINTS = {
    "mapping values are not allowed": "; text with a colon in it needs quotes",
    r"character '\t'": "; a tab: indent with spaces",
    "expected a single document": "; '---' may stand once, at the top",
    "character '@'": "; text that begins with it needs quotes",
    "character '`'": "; text that begins with it needs quotes",
    "character '%'": "; text that begins with it needs quotes",
}


@dataclass(frozen=True)
class Place:
    """Where one value of the file stands."""

    value: Point
    key: Point  # of the key it stands under; of the value itself in a list
    is_mapping: bool


@dataclass(frozen=True)
class Problem:
    """Something wrong at one place."""

    loc: Loc
    text: str
    point: Point | None = None  # where, if not where the value of `loc` stands
    trap: bool = False  # found while reading; what validation says of the same value is then not told


@dataclass
class Positions:
    """The places of a file's values by their path; empty for a spec that was not read from a file."""

    file: str = ""
    places: dict[Loc, Place] = field(default_factory=dict)

    def line(self, loc: Loc, text: str, point: Point | None = None) -> str:
        """`file:line:column: key: text`, at the nearest place that is in the file."""
        path, nearest_point = self.find(loc)
        row, column = point or nearest_point
        where = f"{self.file}:{row}:{column}: " if self.file else ""
        return f"{where}{key_path(path)}: {text}" if path else f"{where}{text}"

    def in_order(self, problems: Iterable[Problem]) -> list[str]:
        """The lines of all problems, sorted by their position, each once."""
        problems = list(problems)
        traps = {each.loc for each in problems if each.trap}
        told = [each for each in problems if each.trap or not self._is_in(each.loc, traps)]
        told.sort(key=lambda each: each.point or self.find(each.loc)[1])
        return list(dict.fromkeys(self.line(each.loc, each.text, each.point) for each in told))

    def key_point(self, loc: Loc) -> Point:
        """Where the key of a value stands."""
        path, point = self.find(loc)
        return self.places[path].key if path in self.places else point

    def find(self, loc: Loc) -> tuple[Loc, Point]:
        """The path as far as the file has it, and its point.

        A part that a list or a scalar has no place for is passed over: validation may see `neurons: all` as `{'**': ['all']}`.
        A key that a mapping lacks ends the path, at the point of the mapping.
        """
        if not self.places:
            return loc, (1, 1)
        path: Loc = ()
        for part in loc:
            if (*path, part) in self.places:
                path = (*path, part)
            elif self.places[path].is_mapping:
                return (*path, part), self.places[path].value
        return path, self.places[path].value

    def _is_in(self, loc: Loc, outer: set[Loc]) -> bool:
        path, _ = self.find(loc)
        return any(path[:length] in outer for length in range(len(path) + 1))


def key_path(loc: Loc) -> str:
    """('models', 0, 'neurons', 'layer1.*') -> models[0].neurons['layer1.*']."""
    parts = ((f".{part}" if str(part).isidentifier() else f"[{part!r}]") for part in loc)
    return "".join(parts).removeprefix(".")


def found(value: object) -> str:
    """A value as the user would write it, short."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:57]}...")
    named = {list: "a list", dict: "a mapping", type(None): "nothing"}
    return named.get(type(value), str(value))


SPEC_EXPECTED = "a mapping with at least title and models; `atlas init` writes one"


def compose(path: Path | str, expected: str = SPEC_EXPECTED) -> tuple[Any, Positions, list[Problem]]:
    """A YAML file as plain data, the places of its values, and what YAML itself would get wrong; `expected` says what is in it.

    Raises SpecError where nothing can be read: no such file, not UTF-8, not YAML, empty, no mapping at the top.
    """
    file = str(path)
    loader = _Loader(_text(file))
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise SpecError([_syntax(file, error)]) from None
    except RecursionError:
        raise SpecError([f"{file}: nested too deeply"]) from None
    if not isinstance(node, yaml.MappingNode):
        what = "an empty file" if node is None else found(None if isinstance(node, yaml.ScalarNode) else [])
        what = "text" if isinstance(node, yaml.ScalarNode) and node.value else what
        raise SpecError([f"{file}:1:1: found {what}, expected {expected}"])
    reader = _Reader(Positions(file), loader.tags)
    return reader.read(node, (), _point(node.start_mark)), reader.positions, reader.problems


def _text(file: str) -> str:
    try:
        raw = Path(file).read_bytes()
        text = raw.decode("utf-8-sig")
    except FileNotFoundError:
        raise SpecError([f"{file}: no such file; `atlas init` writes one"]) from None
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        row, column = before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1) + 1
        raise SpecError([f"{file}:{row}:{column}: found a byte that is not UTF-8, expected UTF-8 text"]) from None
    except OSError as error:
        raise SpecError([f"{file}: cannot be read: {error.strerror}"]) from None
    bad = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if bad:
        row, column = text.count("\n", 0, bad.start()) + 1, bad.start() - text.rfind("\n", 0, bad.start())
        raise SpecError([f"{file}:{row}:{column}: found the character {bad.group()!a}, expected printable text"])
    return text


def _syntax(file: str, error: yaml.MarkedYAMLError) -> str:
    text = " ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    row, column = _point(mark) if mark else (1, 1)
    hint = next((hint for words, hint in _HINTS.items() if words in text), "")
    return f"{file}:{row}:{column}: not YAML: {text}{hint}"


def _point(mark: Any) -> Point:
    return mark.line + 1, mark.column + 1


class _Loader(yaml.SafeLoader):
    """Composes nodes; remembers which carried a tag, and lets an alias stand for itself."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.tags: dict[Point, str] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            self.get_event()
            return yaml.nodes.ScalarNode(_ALIAS, event.anchor, event.start_mark, event.end_mark)  # type: ignore[arg-type]
        node = super().compose_node(parent, index)
        if event.tag is not None:
            self.tags[_point(event.start_mark)] = event.tag
        return node


class _Reader:
    """Walks composed nodes into plain data; keeps places and problems."""

    def __init__(self, positions: Positions, tags: dict[Point, str]) -> None:
        self.positions, self.tags = positions, tags
        self.problems: list[Problem] = []
        self.values = yaml.constructor.SafeConstructor()

    def read(self, node: Any, loc: Loc, key: Point) -> Any:
        """The data of a node; None where it is refused."""
        self.positions.places[loc] = Place(_point(node.start_mark), key, isinstance(node, yaml.MappingNode))
        tag = self.tags.get(_point(node.start_mark))
        if tag is not None:
            return self.refuse(loc, f"found the tag {tag.replace(_PREFIX, '!!')}, expected a plain value: tags are not read")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(child, (*loc, index), _point(child.start_mark)) for index, child in enumerate(node.value)]
        trap = _trap(node, self.values)
        return self.refuse(loc, trap) if trap else _scalar(node, self.values)

    def mapping(self, node: Any, loc: Loc) -> dict[str, Any]:
        """The data of a mapping: keys are text as written; a key that stands twice keeps its first value."""
        data: dict[str, Any] = {}
        for key, child in node.value:
            where = _point(key.start_mark)
            within = (*loc, key.value if isinstance(key, yaml.ScalarNode) else "?")
            if within[-1] == "?" or key.tag in (_ALIAS, f"{_PREFIX}merge"):
                text = "found a key that is not plain text; aliases and merge keys are not read: write the keys out"
                self.problems.append(Problem(within, text, where, trap=True))
            elif key.value in data:
                first = self.positions.places[within].key
                self.problems.append(Problem(within, f"found twice, first in line {first[0]}, expected once", where, trap=True))
            else:
                data[key.value] = self.read(child, within, where)
        return data

    def refuse(self, loc: Loc, text: str) -> None:
        """Note a trap."""
        self.problems.append(Problem(loc, text, trap=True))


def _scalar(node: yaml.ScalarNode, values: Any) -> Any:
    """Text, whole number, number, truth value or nothing."""
    kind = node.tag.removeprefix(_PREFIX)
    if kind in ("int", "float", "bool", "null"):
        return getattr(values, f"construct_yaml_{kind}")(node)
    return node.value


def _trap(node: yaml.ScalarNode, values: Any) -> str:
    """What to say of a scalar that YAML 1.1 reads otherwise than it looks; '' where it reads as it looks."""
    kind, value = node.tag.removeprefix(_PREFIX), node.value
    if kind == _ALIAS:
        return f"found *{value}, expected a plain value: aliases are not read, write the value out"
    if node.style:  # in quotes, or a block of text: meant as text
        return ""
    if kind == "int" and len(value) > _LONGEST_NUMBER:
        return f"found a number of {len(value)} digits, expected at most {_LONGEST_NUMBER}"
    if kind == "timestamp":
        return f"found {value}, which YAML reads as a date; write '{value}' in quotes"
    reading = _reading(kind, value, node, values)
    return f"found {value}, which YAML reads as {reading}, or '{value}' in quotes if it is text" if reading else ""


def _reading(kind: str, value: str, node: yaml.ScalarNode, values: Any) -> str:
    """`what; write what` for a plain scalar with a surprise in it."""
    if kind == "bool" and value.lower() not in ("true", "false"):
        return "{0}; write {0}".format(str(values.construct_yaml_bool(node)).lower())
    if kind == "int" and not _DECIMAL.fullmatch(value):
        return f"the number {values.construct_yaml_int(node)}; write {values.construct_yaml_int(node)}"
    if kind == "float" and not _FRACTION.fullmatch(value):
        return f"the number {values.construct_yaml_float(node)}; write {values.construct_yaml_float(node)}"
    if kind == "str" and _NUMBER_LIKE.fullmatch(value):
        return f"text; write {_number(value)}"
    return ""


def _number(value: str) -> str:
    """The plain number that number-like text means: '1e3' -> 1000, '0o17' -> 15, '08' -> 8."""
    if value.isdecimal() or value.startswith("0o"):
        return str(int(value, 8 if "o" in value else 10))
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.17g}"
