"""A page of HTML as the check of a site asks of it: its ids, what it refers to, the rows of its tables of connections.

Parsed as browsers do, for our pages leave out what HTML lets them leave out. selectolax reads 4,600 pages a second where
html.parser, which knows nothing of such end tags either, reads 600.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode

CSS_URL = re.compile(r"""url\(\s*(?:"([^"]*)"|'([^']*)'|([^)\s]*))\s*\)""")
CSS_IMPORT = re.compile(r"""@import\s+["']([^"']*)["']""")
TABLE = re.compile(r"(?:n\d+-)?[rw]\d+")  # ids of tables of connections, counted in the order of layer.json


class Reference(NamedTuple):
    """An address that a page names."""

    what: str  # 'link', 'image', 'script', ...
    address: str
    loads: bool  # whether a browser asks for it by itself


class Row(NamedTuple):
    """One connection in a table."""

    unit: str  # the number it begins with, '' for none
    address: str | None  # of the neuron's page; None without a link
    norm: str
    kept: str  # '' in a table without that column
    sign: str


@dataclass(frozen=True)
class HtmlPage:
    """What the check asks of a page."""

    ids: frozenset[str]
    references: tuple[Reference, ...]
    tables: dict[str, list[Row]]


_LOADING = {  # selector: (what it is, attribute)
    "script[src]": ("script", "src"),
    "img[src]": ("image", "src"),
    "source[src]": ("media", "src"),
    "video[src]": ("media", "src"),
    "audio[src]": ("media", "src"),
    "track[src]": ("media", "src"),
    "video[poster]": ("image", "poster"),
    "input[src]": ("image", "src"),
    "iframe[src]": ("frame", "src"),
    "embed[src]": ("frame", "src"),
    "object[data]": ("frame", "data"),
    "image[href]": ("image", "href"),
    "use[href]": ("image", "href"),
}
_FOLLOWED = {"a[href]": ("link", "href"), "area[href]": ("link", "href"), "form[action]": ("form", "action")}
_SETS = ("img[srcset]", "source[srcset]")
_TOLD = ("canonical", "alternate", "prev", "next", "author", "license", "me", "help", "search")  # of <link>: loads nothing
_SHARED = ("og:image", "og:url", "twitter:image")


def read_page(content: bytes) -> HtmlPage:
    """Read a page."""
    tree = LexborHTMLParser(content)
    ids = frozenset(_attribute(node, "id") for node in tree.css("[id]"))
    tables = {name: _rows(node) for node in tree.css("table[id]") if TABLE.fullmatch(name := _attribute(node, "id"))}
    return HtmlPage(ids, tuple(dict.fromkeys(_references(tree))), tables)


def _attribute(node: LexborNode, name: str) -> str:
    return node.attributes.get(name) or ""


def _references(tree: LexborHTMLParser) -> Iterator[Reference]:
    """Every address of a page, some more than once."""
    for found, loads in ((_FOLLOWED, False), (_LOADING, True)):
        for selector, (what, attribute) in found.items():
            for node in tree.css(selector):
                yield Reference(what, _attribute(node, attribute), loads)
    for selector in _SETS:
        for node in tree.css(selector):
            parts = re.split(r",\s+", _attribute(node, "srcset"))  # a data address has commas of its own
            yield from (Reference("image", part.split()[0], True) for part in parts if part.strip())
    for node in tree.css("link[href]"):
        told = set(_attribute(node, "rel").lower().split()) & set(_TOLD)
        yield Reference(f"{_attribute(node, 'rel')} of the head", _attribute(node, "href"), not told)
    yield from _of_metas(tree)
    styles = [node.text() for node in tree.css("style")] + [_attribute(node, "style") for node in tree.css("[style*=url]")]
    for text in styles:
        yield from style_references(text)


def _of_metas(tree: LexborHTMLParser) -> Iterator[Reference]:
    """Where a page leads by itself, and what it tells those who show a link to it."""
    for node in tree.css("meta[content]"):
        name = _attribute(node, "property") or _attribute(node, "name")
        if _attribute(node, "http-equiv").lower() == "refresh":
            yield Reference("link", _attribute(node, "content").partition("url=")[2].strip(), False)
        elif name in _SHARED:
            yield Reference(name, _attribute(node, "content"), False)


def style_references(text: str) -> Iterator[Reference]:
    """Every address in a style sheet."""
    for found in CSS_URL.finditer(text):
        yield Reference("image of a style", found[1] or found[2] or found[3] or "", True)
    for found in CSS_IMPORT.finditer(text):
        yield Reference("style sheet", found[1], True)


def _rows(table: LexborNode) -> list[Row]:
    """The rows of a table of connections; columns are known by their heads."""
    heads = [node.text(strip=True) for node in table.css("thead th")]
    return [_row(node, heads) for node in table.css("tbody tr")]


def _row(node: LexborNode, heads: list[str]) -> Row:
    cells = [cell for cell in node.iter() if cell.tag in ("th", "td")]
    texts = dict(zip(heads, (cell.text(strip=True) for cell in cells), strict=False))
    link = cells[0].css_first("a[href]") if cells else None
    unit = re.match(r"\d+", cells[0].text(strip=True)) if cells else None
    address = _attribute(link, "href") if link is not None else None
    return Row(unit[0] if unit else "", address, texts.get("norm", ""), texts.get("kept", ""), texts.get("sign", ""))
