"""Where everything of the site lies: stable names for files and folders, from the names of models, layers and neurons.

`{model}/{layer}/{unit}.html`. Names are used as they are; only what a host or a file system would not keep is written
otherwise, and never so that two names become one.
"""

from __future__ import annotations

import re

HOW_TO_READ = "how-to-read.html"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]|[.]$")
_LEADING = ("_", ".")  # hosts drop names that begin so: GitHub Pages' Jekyll the first, its artifact the second


def folder(name: str) -> str:
    """The folder of a model or a layer: its name, `~` before a leading `_` or `.`, other characters as `~hex~`."""
    safe = _UNSAFE.sub(lambda found: f"~{ord(found[0]):x}~", name)
    return f"~{safe}" if safe.startswith(_LEADING) else safe


def neuron_file(unit: int) -> str:
    """The page of a neuron, in its layer's folder."""
    return f"{unit}.html"


def anchor(unit: int) -> str:
    """A neuron's place in the grid of its layer's page."""
    return f"u{unit}"
