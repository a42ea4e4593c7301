"""Globs over layer addresses: `*` and `?` stay within one name, `**` crosses dots."""

from __future__ import annotations

import re
from functools import cache

SIGNS = {"**": ".*", "*": "[^.]*", "?": "[^.]"}


def is_glob(pattern: str) -> bool:
    """Whether a pattern may fit more than one address."""
    return "*" in pattern or "?" in pattern


def fits(address: str, pattern: str) -> bool:
    """Whether a layer's address is the pattern or fits it as a glob."""
    return address == pattern or bool(_expression(pattern).fullmatch(address))


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(SIGNS.get(part) or re.escape(part) for part in re.split(r"(\*\*|\*|\?)", pattern)))
