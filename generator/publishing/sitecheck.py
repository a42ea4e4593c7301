"""Is a built site whole? Every reference leads somewhere in it, no request leaves it, and its numbers agree with each other.

Of scripts only what asks for an absolute address in so many words is found; what they work out while running is for a browser
to tell.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import dirname, normpath
from urllib.parse import unquote, urlsplit

from generator.addresses import NEURONS, NOT_FOUND, anchor, folder
from generator.publishing.htmlpage import Reference, Row, read_page, style_references
from generator.publishing.mirrors import LayerNumbers, Layers, layer_numbers, mirror_problems, page_problems
from generator.site import MARKER, SiteError

SHOWN = 100  # problems that are told one by one
_ABROAD = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_CALL = re.compile(
    r"""\b(?:fetch|import|importScripts|Worker|SharedWorker|EventSource|WebSocket|sendBeacon|open)\s*\(\s*"""
    r"""(?:["'](?:GET|POST)["']\s*,\s*)?["'`]((?:https?:|wss?:)?//[^"'`]*)|"""
    r"""\.src\s*=\s*["'`]((?:https?:)?//[^"'`]*)|\b(?:from|import)\s*["']((?:https?:)?//[^"']*)""",
    re.IGNORECASE,
)
_LOC = re.compile(r"<loc>([^<]*)</loc>")
_CANONICAL = re.compile(rb'<link rel="?canonical"? href="([^"]*)"')


@dataclass(frozen=True)
class Report:
    """What a check found."""

    problems: tuple[str, ...]
    summary: str


@dataclass
class Problems:
    """What is wrong, and where; what is wrong in the same way on many pages is told once."""

    places: dict[str, dict[str, None]] = field(default_factory=dict)  # by what is wrong

    def add(self, place: str, text: str) -> None:
        """Note one problem."""
        self.places.setdefault(text, {})[place] = None

    def lines(self) -> tuple[str, ...]:
        """A line for each, in the order of the places."""
        told = sorted((next(iter(places)), len(places) - 1, text) for text, places in self.places.items())
        return tuple(f"{place}{f' and {more:,} more' if more else ''}: {text}" for place, more, text in told)


class Site:
    """The files of a site, and what its pages have: worked out as far as it is asked for."""

    def __init__(self, root: Path) -> None:
        self.root, self.files = root, frozenset(_files(root))
        self.url = self._url()
        self.ids: dict[str, frozenset[str]] = {}
        self.problems = Problems()
        self.references = self.rows = 0
        self._resolved: dict[tuple[str, str], tuple[str, str]] = {}
        self._anchors: dict[tuple[str, str], str] = {}  # (page, anchor) that a link leads to: a page with such a link

    def _url(self) -> str:
        """Where the site is published, as its first page says; '' where it does not."""
        found = _CANONICAL.search(self.read("index.html"))
        address = found[1].decode() if found else ""
        return address[: -len("index.html")] if address.endswith("/index.html") else ""

    def read(self, path: str) -> bytes:
        """A file of the site."""
        return (self.root / path).read_bytes()

    def json(self, path: str) -> object:
        """A JSON file of the site; None, and a problem, where it is none."""
        try:
            return json.loads(self.read(path))
        except ValueError as error:
            self.problems.add(path, f"is no JSON: {error}")
            return None

    # -- references -------------------------------------------------------------------------------------------------------

    def refer(self, page: str, reference: Reference) -> None:
        """Hold one reference of a page against the site."""
        self.references += 1
        address = reference.address.strip()
        if self.url and address.startswith(self.url) and not reference.loads:
            self._lead(page, reference.what, address[len(self.url) :], "")
        elif _ABROAD.match(address):
            if reference.loads:
                self.problems.add(page, f"{reference.what} '{_short(address)}' is asked for from another place")
        elif address.startswith("/"):
            self._from_root(page, reference, address)
        elif not _SCHEME.match(address):
            self._lead(page, reference.what, address, dirname(page))
        elif address.lower().startswith("javascript:"):
            self.problems.add(page, f"{reference.what} '{_short(address)}' is a script")

    def _from_root(self, page: str, reference: Reference, address: str) -> None:
        """An address that begins at the root of the host: right on the page for missing addresses alone."""
        base = urlsplit(self.url).path
        if page != NOT_FOUND or not base or not address.startswith(base):
            where = "works neither on disk nor under another path" if page != NOT_FOUND else "is outside of the site"
            self.problems.add(page, f"{reference.what} '{_short(address)}' begins at the root of the host: {where}")
        else:
            self._lead(page, reference.what, address[len(base) :], "")

    def _lead(self, page: str, what: str, address: str, within: str) -> None:
        """An address in the site, from the folder `within`."""
        path, mark = self.resolve(address, within) if address.partition("#")[0] else (page, address[1:])
        if path not in self.files:
            a_folder = address.partition("#")[0].endswith("/") or not path or (self.root / path).is_dir()
            why = "is a folder: on disk it shows a list of files" if a_folder else "is not there"
            self.problems.add(page, f"{what} leads to '{path}', which {why}")
        elif mark and path.endswith(".html") and "=" not in mark:  # one with '=' is the state of a page, not a place on it
            self._anchors.setdefault((path, mark), page)

    def resolve(self, address: str, within: str) -> tuple[str, str]:
        """The file that an address leads to from a folder, and the place in it."""
        known = self._resolved.get((within, address))
        if known is None:
            plain, _, mark = address.partition("#")
            path = unquote(plain.partition("?")[0])
            known = normpath(f"{within}/{path}" if within else path), unquote(mark)
            self._resolved[within, address] = known
        return known

    def check_anchors(self) -> None:
        """Every place on a page that a link leads to."""
        for (path, mark), page in self._anchors.items():
            if mark not in self.ids.get(path, ()) and mark not in STATES:
                self.problems.add(page, f"link leads to '{path}#{mark}', but that page has no such place")


STATES = ("top", "embed")  # what a link may say behind the '#' that no element has for an id


Neurons = dict[str, list[tuple[LayerNumbers, int, str]]]  # by page: layers, places in these, what ids of tables begin with


def check_site(root: Path) -> Report:
    """Check the site in a folder.

    Raises:
        SiteError: there is no site.
    """
    if not (root / "index.html").is_file():
        raise SiteError(f"{root}: no site is there (no index.html)")
    site = Site(root)
    layers = {(layer.model, layer.address): layer for layer in _layers(site)}
    neurons: Neurons = {}
    for layer in layers.values():
        for at, unit in enumerate(layer.units):
            page, _, mark = layer.page(unit).partition("#")
            neurons.setdefault(page, []).append((layer, at, f"{mark}-" if mark else ""))
    for path in sorted(site.files):
        _check_file(site, path, layers, neurons)
    for layer in layers.values():
        _check_layer(site, layer)
    site.check_anchors()
    for path, text in mirror_problems(layers):
        site.problems.add(path, text)
    return Report(site.problems.lines(), _summary(site))


def _summary(site: Site) -> str:
    pages = sum(path.endswith(".html") for path in site.files)
    return f"{pages:,} pages, {site.references:,} references, {site.rows:,} rows of tables: all good"


def _files(root: Path) -> Iterator[str]:
    """Every file, as a path from the root. Others may have put a `.git` folder there."""
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != ".git"]
        relative = os.path.relpath(place, root).replace(os.sep, "/")
        yield from (name if relative == "." else f"{relative}/{name}" for name in names)


def _layers(site: Site) -> Iterator[LayerNumbers]:
    """The numbers of every layer."""
    for path in sorted(path for path in site.files if re.fullmatch(r"[^/]+/[^/]+/layer\.json", path)):
        said = site.json(path)
        if said is not None:
            try:
                joined = f"{dirname(path)}/{NEURONS}" in site.files
                yield layer_numbers(path.split("/")[0], said, joined)  # type: ignore[arg-type]
            except (KeyError, TypeError, ValueError) as error:
                site.problems.add(path, f"does not hold the numbers of a layer: {type(error).__name__}: {error}")


def _check_file(site: Site, path: str, layers: Layers, neurons: Neurons) -> None:
    """One file, by its kind."""
    if path.endswith(".html"):
        _check_page(site, path, layers, neurons.get(path, []))
    elif path.endswith(".css"):
        _refer_all(site, path, style_references(site.read(path).decode("utf-8", "replace")))
    elif path.endswith(".js"):
        for found in _CALL.finditer(site.read(path).decode("utf-8", "replace")):
            site.refer(path, Reference("request", next(filter(None, found.groups())), True))
    elif path.endswith(".xml"):
        for address in _LOC.findall(site.read(path).decode("utf-8", "replace")):
            site.refer(path, Reference("address", address.replace("&amp;", "&"), False))
    elif path.endswith(".json") and path != MARKER and not path.endswith("/layer.json"):
        _refer_all(site, path, (Reference("address", one, False) for one in _addresses(site.json(path), site.url)))


def _addresses(said: object, url: str) -> Iterator[str]:
    """Every absolute address of the site in a JSON file, also within a text."""
    if isinstance(said, dict):
        said = list(said.values())
    if isinstance(said, list):
        for each in said:
            yield from _addresses(each, url)
    elif url and isinstance(said, str):
        yield from re.findall(re.escape(url) + r"[^\s\"'<>]*", said)


def _check_page(site: Site, path: str, layers: Layers, neurons: list[tuple[LayerNumbers, int, str]]) -> None:
    """A page: what it refers to, and the tables of the neurons that it is about."""
    page = read_page(site.read(path))
    site.ids[path] = page.ids
    _refer_all(site, path, page.references)
    for layer, at, mark in neurons:
        own = {name.removeprefix(mark): rows for name, rows in page.tables.items() if name.startswith(mark)}
        tables = {name: [_from_root(site, row, path) for row in rows] for name, rows in own.items()}
        site.rows += sum(map(len, tables.values()))
        for text in page_problems(layers, layer, at, tables):
            site.problems.add(path, text)


def _refer_all(site: Site, path: str, references: Iterable[Reference]) -> None:
    for reference in references:
        site.refer(path, reference)


def _from_root(site: Site, row: Row, page: str) -> Row:
    """A row whose address is from the folder of the site."""
    if row.address is None:
        return row
    path, mark = site.resolve(row.address, dirname(page))
    return row._replace(address=f"{path}#{mark}" if mark else path)


def _check_layer(site: Site, layer: LayerNumbers) -> None:
    """Every neuron of a layer has its page, and its place on the layer's own."""
    index = f"{layer.model}/{folder(layer.address)}/index.html"
    for unit in layer.units:
        page, _, mark = layer.page(unit).partition("#")
        if page not in site.files or (mark and mark not in site.ids[page]):
            site.problems.add(layer.file, f"lists neuron {unit}, but '{layer.page(unit)}' is not there")
        if index in site.ids and anchor(unit) not in site.ids[index]:
            site.problems.add(index, f"shows no neuron {unit}, which layer.json lists")


def _short(address: str) -> str:
    return address if len(address) <= 80 else address[:77] + "..."
