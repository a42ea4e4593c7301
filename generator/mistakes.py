"""What pydantic says of a wrong value, in our words and at its place in the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from generator.errors import nearest
from generator.positions import Loc, Positions, Problem, found

Keys = Callable[[Loc], Mapping[str, FieldInfo]]  # the keys of the mapping that holds, or lacks, the value at a path

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list, each item after a '-'",
    "dict_type": "a mapping of keys and values",
    "model_type": "a mapping of keys and values",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
}


def mistakes(errors: list[ErrorDetails], positions: Positions, keys: Keys) -> Iterator[Problem]:
    """All of pydantic's errors; of a list with bad items it says as well that it is too short, which would mislead."""
    for error in errors:
        loc = error["loc"]
        hollow = error["type"] == "too_short" and any(each["loc"][: len(loc)] == loc and each is not error for each in errors)
        if not hollow:
            yield _mistake(error, positions, keys)


def _mistake(error: ErrorDetails, positions: Positions, keys: Keys) -> Problem:
    """One of pydantic's errors. Parts of its path in brackets are pydantic's own, such as '[key]'."""
    loc: Loc = tuple(part for part in error["loc"] if not _is_inner(part))
    if error["type"] == "missing":
        return Problem(loc, f"missing, expected: {keys(loc)[str(loc[-1])].description or ''}")
    if error["type"] == "extra_forbidden":
        known = list(keys(loc))
        text = f"unknown key, expected one of: {', '.join(known)}{nearest(str(loc[-1]), known)}"
        return Problem(loc, text, positions.key_point(loc))
    point = positions.key_point(loc) if "[key]" in error["loc"] else None
    return Problem(loc, f"found {_counted(error)}, expected {_expected(error)}{_hint(error)}", point)


def _is_inner(part: int | str) -> bool:
    return isinstance(part, str) and part in ("[key]", "[units]", "[layers]")


def _counted(error: ErrorDetails) -> str:
    lengths = error["type"] in ("too_short", "too_long")
    return f"{error['ctx']['actual_length']} of them" if lengths else found(error["input"])


def _expected(error: ErrorDetails) -> str:
    if error["type"] == "literal_error":
        return str(error["ctx"]["expected"]) + nearest(str(error["input"]), re.findall(r"'(.*?)'", error["ctx"]["expected"]))
    ours = _EXPECTED.get(error["type"])
    return error["msg"] if ours is None else ours.format(**error.get("ctx", {}))


def _hint(error: ErrorDetails) -> str:
    """What to write instead, where that is plain."""
    value = error["input"]
    if value is None:
        return "; leave the key out, or give it a value"
    if error["type"] == "string_type" and isinstance(value, (bool, int, float)):
        return (
            f"; text that looks like a {'truth value' if isinstance(value, bool) else 'number'} needs quotes: '{found(value)}'"
        )
    if isinstance(value, str) and value.isdecimal():
        return "; write it without quotes"
    return ""
