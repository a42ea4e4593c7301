"""Records to plain values and arrays, and back: what is kept on disk or sent to another process is never a pickle.

A record becomes nested lists, mappings, text and numbers that JSON holds, with its arrays apart and numbered in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from generator import records

KIND, ARRAY = "record:", "array:"  # the keys that tell a packed record and a packed array; no field has such a name


class UnpackError(ValueError):
    """Values that no record of this version was packed into."""


def pack(value: Any) -> tuple[Any, list[np.ndarray]]:
    """A value of records, tuples, arrays, text, numbers and None as plain values, and its arrays.

    Raises TypeError for anything else: records hold nothing else.
    """
    arrays: list[np.ndarray] = []
    return _packed(value, arrays), arrays


def _packed(value: Any, arrays: list[np.ndarray]) -> Any:
    if value is None or type(value) in (str, int, float, bool):
        return value
    if type(value) is tuple:  # a named tuple would come back without its names
        return [_packed(each, arrays) for each in value]
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {ARRAY: len(arrays) - 1}
    if is_dataclass(value) and getattr(records, type(value).__name__, None) is type(value):
        held = {each.name: _packed(getattr(value, each.name), arrays) for each in fields(value)}
        return {KIND: type(value).__name__, **held}
    raise TypeError(f"a record cannot hold a {type(value).__name__}")


def unpack(plain: Any, arrays: Sequence[np.ndarray]) -> Any:
    """The value that `pack` took apart. Raises UnpackError where its records are not those of this version."""
    if isinstance(plain, list):
        return tuple(unpack(each, arrays) for each in plain)
    if not isinstance(plain, dict):
        return plain
    if ARRAY in plain:
        return arrays[plain[ARRAY]]
    return _record(dict(plain), arrays)


def _record(held: dict[str, Any], arrays: Sequence[np.ndarray]) -> Any:
    made = getattr(records, str(held.pop(KIND, "")), None)
    if made is None or not is_dataclass(made) or {each.name for each in fields(made)} != set(held):
        raise UnpackError("no record of this version")
    return made(**{name: unpack(value, arrays) for name, value in held.items()})  # type: ignore[operator]
