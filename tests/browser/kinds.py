"""The kinds of page that a site has, and a few pages of each to look at."""

from __future__ import annotations

import re
from pathlib import Path

KINDS = ("index", "how-to-read", "404", "families", "family", "model", "layer", "neuron", "pair", "alias")
NAMED = {"index.html": "index", "how-to-read.html": "how-to-read", "404.html": "404", "families/index.html": "families"}
SHAPES = (  # the first that fits
    ("family", r"families/[^/]+\.html"),
    ("model", r"[^/]+/index\.html"),
    ("layer", r"[^/]+/[^/]+/index\.html"),
    ("pair", r"[^/]+/[^/]+/from-[^/]+\.html"),
    ("neuron", r"[^/]+/[^/]+/\d+\.html"),
)
NEURONS = (
    "input",
    "conv0",
    "mixed3a",
    "mixed3a.b3r",
    "mixed4c",
    "classifier",
)  # of the demo, by their pictures


def kind_of(site: Path, page: Path) -> str:
    """The kind of a page by its address; an alias by its content. '' for a page of no known kind."""
    address = page.relative_to(site).as_posix()
    if address in NAMED:
        return NAMED[address]
    if 'http-equiv="refresh"' in page.read_text("utf-8")[:2_000]:
        return "alias"
    return next((kind for kind, shape in SHAPES if re.fullmatch(shape, address)), "")


def pages_by_kind(site: Path) -> dict[str, list[Path]]:
    """Every page of a site by kind, in order of address."""
    found: dict[str, list[Path]] = {}
    for page in sorted(site.rglob("*.html")):
        found.setdefault(kind_of(site, page), []).append(page)
    return found


def examples(site: Path, kind: str) -> list[Path]:
    """The longest and the shortest page of a kind; of neurons also the longest of each sort of layer."""
    pages = pages_by_kind(site).get(kind, [])
    by_size = sorted(pages, key=lambda page: (page.stat().st_size, page))
    chosen = {by_size[0], by_size[-1]} if by_size else set()
    if kind == "neuron":
        for layer in NEURONS:
            chosen |= set([page for page in by_size if page.parent.name == layer][-1:])
    return sorted(chosen)
