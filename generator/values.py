"""What a value of a spec may be: each kind says what was expected where something else was found."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from generator.errors import nearest

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")
RESERVED = ("404.html", "families", "how-to-read.html", "index.html", "sitemap", "static")  # names the site needs for itself
SOURCE = re.compile(r"bundled|torchvision:[a-z][a-z0-9_]*|[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")
EVERY = "**"  # the glob that every layer fits
UNITS = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")
MEASURE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
BYTES = {"": 1, "b": 1, "bytes": 1} | {
    f"{letter}{suffix}": base**power for power, letter in enumerate("kmgt", 1) for suffix, base in (("b", 1000), ("ib", 1024))
}
SECONDS = {
    name: factor
    for names, factor in (
        (("", "s", "second", "seconds"), 1),
        (("min", "minute", "minutes"), 60),
        (("h", "hour", "hours"), 3600),
    )
    for name in names
}

STD = (1e-6, 10)  # least and largest that images in 0..1 are divided by; a larger one is of images in 0..255

Units = tuple[int, int | None]  # first and last unit, both included; a last of None is the layer's last


class Part(BaseModel):
    """A mapping of a spec: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _refuse(expected: str) -> PydanticCustomError:
    return PydanticCustomError("expected", "{expected}", {"expected": expected})


def _line(value: str) -> str:
    """Text of one line that says something."""
    if not value.strip() or not value.isprintable():
        raise _refuse("one line of text that is not empty")
    return value.strip()


def _name(value: str) -> str:
    if not NAME.fullmatch(value) or len(value) > 64:
        raise _refuse("a name fit for a folder: letters, digits, '.', '_' and '-', a letter or digit first, 64 at most")
    if value.lower() in RESERVED:
        raise _refuse("another name: the site has a file or folder of this one")
    return value


def _source(value: str) -> str:
    module, _, callable_name = value.partition(":")
    if SOURCE.fullmatch(value) and module.endswith(".py"):
        raise _refuse(f"the name of a module, without .py: '{module.removesuffix('.py')}:{callable_name}'")
    if SOURCE.fullmatch(value):
        return value
    bare = re.fullmatch(r"[a-z][a-z0-9_]*", value)
    hint = nearest(value, ["bundled"]) or (f"; perhaps torchvision:{value}" if bare else "")
    raise _refuse(f"'bundled', 'torchvision:NAME' or 'package.module:callable'{hint}")


def _weights(value: str) -> str:
    return "none" if value.lower() == "none" else _line(value)


def _site_url(value: str) -> str:
    try:
        url = urlsplit(value)
        good = (
            url.scheme in ("http", "https")
            and bool(url.hostname)
            and not (url.query or url.fragment or re.search(r"\s", value))
        )
    except ValueError:
        good = False
    if not good:
        raise _refuse("an absolute address without query: 'https://example.org/atlas/'")
    if url.path.lower().endswith((".html", ".htm")):
        raise _refuse(f"the address of the site's folder, not of a page: '{value.rpartition('/')[0]}/'")
    return value.rstrip("/") + "/"


def _family(value: str) -> str:
    if not value.strip() or not value.isprintable() or value != value.strip() or len(value) > 80 or set(value) & set("[]"):
        raise _refuse("a name of one line, 80 characters at most, without '[' and ']'")
    return value


def _units(value: object) -> Units:
    """12 -> (12, 12); '3-7' -> (3, 7); 'all' -> (0, None)."""
    if value == "all":
        return 0, None
    match = UNITS.fullmatch(str(value).strip()) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    if not match:
        raise _refuse("a unit (12), a range with both ends included ('0-15') or 'all'")
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise _refuse(f"a range that ascends: '{last}-{first}'")
    return first, last


def units_among(units: Sequence[Units], count: int) -> tuple[int, ...]:
    """The units that are named, of a layer of `count` neurons, each once, in the order in which they are named."""
    named = (range(count)[first : None if last is None else last + 1] for first, last in units)
    return tuple(dict.fromkeys(unit for part in named for unit in part))


def units_beyond(units: Sequence[Units], address: str, count: int, exact: bool) -> Iterator[tuple[int, str]]:
    """What is wrong with each unit or range that does not lie in a layer of `count` neurons, with its place in the list.

    Where `exact` is false the list is for several layers: a range may end beyond the layer, but not begin there.
    """
    for index, (first, last) in enumerate(units):
        named = first if last is None or (not exact and last != first) else last
        if max(first, named) >= count:
            shown = str(first) if last in (None, first) else f"'{first}-{last}'"
            yield index, f"found {shown}, but {address} has {count} neurons: 0 to {count - 1}"


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _for_every_layer(value: object) -> object:
    return value if isinstance(value, dict) else {EVERY: value}


def _square(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, list)):
        raise _refuse("pixels of a square (224), [rows, cols] or [channels, rows, cols]")
    return value if isinstance(value, list) else [value, value]


def _number(value: object) -> float:
    """A finite number; NaN for anything else."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


def _mean(value: object) -> float:
    if not 0 <= (number := _number(value)) <= 1:
        raise _refuse("a number from 0 to 1, or one for each channel: images are in 0..1 (of 0..255 divide by 255)")
    return number


def _std(value: object) -> float:
    least, largest = STD
    if not least <= (number := _number(value)) <= largest:
        said = f"a number from {least:f} to {largest}, or one for each channel"
        raise _refuse(f"{said}: images are in 0..1 (of 0..255 divide by 255)")
    return number


def _measure(value: object, units: Mapping[str, int], expected: str) -> int:
    """'1.5 GB' -> 1500000000; a bare number counts the unit itself."""
    text = str(value).strip() if isinstance(value, (int, float, str)) and not isinstance(value, bool) else ""
    match = MEASURE.fullmatch(text)
    if not match or match[2].lower() not in units or not round(float(match[1]) * units[match[2].lower()]):
        hint = nearest(match[2].lower(), [name for name in units if name]) if match else ""
        raise _refuse(f"{expected}{hint}")
    return round(float(match[1]) * units[match[2].lower()])


def _bytes(value: object) -> int:
    return _measure(value, BYTES, "a size: '12 KB', '1.5 GB' (a KB is 1,000 bytes, a KiB 1,024)")


def _seconds(value: object) -> int:
    return _measure(value, SECONDS, "a time: '45 s', '10 minutes', '2 hours'")


def _identifier(value: str) -> str:
    if not value.isidentifier():
        raise _refuse("the name of a keyword argument")
    return value


_ONE_UNIT = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^(all|\d+(\s*-\s*\d+)?)$"}]}
_UNIT_LIST = {"anyOf": [*_ONE_UNIT["anyOf"], {"type": "array", "items": _ONE_UNIT, "minItems": 1}]}
_NEURONS = {"anyOf": [*_UNIT_LIST["anyOf"], {"type": "object", "additionalProperties": _UNIT_LIST}]}
FAMILY_NEURONS = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"anyOf": [*_UNIT_LIST["anyOf"], {"type": "object", "additionalProperties": _UNIT_LIST}]},
}
_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
_PIXELS = {"type": "integer", "minimum": 1, "maximum": 4096}
_MEASURE = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": f"^{MEASURE.pattern}$"}]}
_MEAN = {"type": "number", "minimum": 0, "maximum": 1}
_STD = {"type": "number", "minimum": STD[0], "maximum": STD[1]}
_SIZE = {"anyOf": [_PIXELS, {"type": "array", "items": _PIXELS, "minItems": 2, "maxItems": 3}]}


def _channels(one: dict[str, object]) -> WithJsonSchema:
    """The schema of a number for all channels, or of a list with one for each."""
    return WithJsonSchema({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})


Line = Annotated[StrictStr, AfterValidator(_line)]
Lines = Annotated[tuple[Line, ...], Field(min_length=1), BeforeValidator(_as_list), WithJsonSchema(_TEXTS)]
UnitList = Annotated[tuple[Annotated[Units, PlainValidator(_units)], ...], Field(min_length=1), BeforeValidator(_as_list)]
FamilyName = Annotated[StrictStr, AfterValidator(_family)]
Neurons = Annotated[dict[str, UnitList], Field(min_length=1), BeforeValidator(_for_every_layer), WithJsonSchema(_NEURONS)]
Beside = Line  # a file or folder, relative to the spec
Pixels = Annotated[StrictInt, Field(ge=1, le=4096)]
Size = Annotated[tuple[Pixels, ...], Field(min_length=2, max_length=3), BeforeValidator(_square), WithJsonSchema(_SIZE)]
Means = Annotated[
    tuple[Annotated[float, PlainValidator(_mean)], ...], Field(min_length=1), BeforeValidator(_as_list), _channels(_MEAN)
]
Stds = Annotated[
    tuple[Annotated[float, PlainValidator(_std)], ...], Field(min_length=1), BeforeValidator(_as_list), _channels(_STD)
]
Bytes = Annotated[int, PlainValidator(_bytes), WithJsonSchema(_MEASURE)]
Seconds = Annotated[int, PlainValidator(_seconds), WithJsonSchema(_MEASURE)]
Name = Annotated[
    StrictStr, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$", "maxLength": 64})
]
Source = Annotated[StrictStr, AfterValidator(_source), WithJsonSchema({"type": "string", "pattern": f"^({SOURCE.pattern})$"})]
WeightsOf = Annotated[StrictStr, AfterValidator(_weights)]
Argument = Annotated[StrictStr, AfterValidator(_identifier)]
Licence = Annotated[StrictStr, AfterValidator(_line)]
SiteUrl = Annotated[StrictStr, AfterValidator(_site_url), WithJsonSchema({"type": "string", "pattern": r"^https?://[^?#\s]+$"})]
