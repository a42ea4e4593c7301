"""An atlas that was built, read back from its folder or from where it is published: which neurons have a page, and where.

Everything is known from the list of its files that every site carries (`atlas-site.json`).
"""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from generator.addresses import NEURONS, section, unfolded
from generator.errors import AtlasError
from generator.site import MADE_BY, MARKER, SiteError

WAIT = 30  # seconds for one answer of a host
TWIN = "layer.json"
_NEURON = re.compile(r"(\d+)\.html")

Pages = dict[str, dict[str, dict[int, str]]]  # model, layer, unit: the page, from the folder of the site


@dataclass(frozen=True)
class Published:
    """A built atlas: where it is, and the pages of its neurons."""

    where: str  # a folder, or an address without its last slash
    pages: Pages
    layers: Mapping[str, Sequence[str]] = field(default_factory=dict)  # of each model, in its order, aliases not among them

    @property
    def is_remote(self) -> bool:
        """Whether it is read over the network."""
        return is_address(self.where)

    def read(self, path: str) -> bytes:
        """A file of the site. Raises AtlasError where it cannot be read."""
        return _fetch(f"{self.where}/{quote(path)}") if self.is_remote else _load(Path(self.where) / path)

    def place(self, path: str) -> str:
        """Where a file of the site is: an address, or a path on this machine."""
        return f"{self.where}/{quote(path, safe='/#')}" if self.is_remote else str(Path(self.where) / path)


def is_address(where: str) -> bool:
    """Whether a place is a web address."""
    return bool(re.match(r"https?://", where, re.IGNORECASE))


def published(where: Path | str) -> Published:
    """The atlas in a folder or at an address; its `index.html` may be named as well.

    Raises SiteError where there is none, AtlasError where it cannot be read.
    """
    place = re.sub(r"(^|/)index\.html$", r"\1", str(where).partition("#")[0]) or "."
    place = place.rstrip("/") if is_address(place) else place
    if not is_address(place) and not (Path(place) / MARKER).is_file():
        raise SiteError(f"{place}: found no {MARKER}, expected the folder or the address of an atlas; `atlas build` makes one")
    said = Published(place, {}).read(MARKER)
    try:
        listed = json.loads(said)
        ours, files = listed["made_by"] == MADE_BY, dict(listed["files"])
    except (ValueError, KeyError, TypeError):
        ours, files = False, {}
    if not ours:
        raise SiteError(f"{place}: its {MARKER} is not that of an atlas")
    return Published(place, _pages(files) | _joined(Published(place, {}), files), _layers(files))


def _pages(files: dict[str, Iterable[str]]) -> Pages:
    """The pages of neurons among the files of a site, by folder: they lie in those of layers, these in that of a model."""
    found: Pages = {}
    for folder, names in files.items():
        parts = folder.split("/")
        if len(parts) != 2:
            continue
        units = {int(number[1]): f"{folder}/{name}" for name in names if (number := _NEURON.fullmatch(name))}
        if units:
            found.setdefault(unfolded(parts[0]), {}).setdefault(unfolded(parts[1]), {}).update(units)
    return found


def _joined(site: Published, files: dict[str, Iterable[str]]) -> Pages:
    """The places of neurons that stand on one page with those of their layer: which there are, the layer's twin says."""
    found: Pages = {}
    for folder, names in files.items():
        parts = folder.split("/")
        if len(parts) == 2 and NEURONS in names and TWIN in names:
            units = json.loads(site.read(f"{folder}/{TWIN}"))["units"]
            pages = {unit: f"{folder}/{NEURONS}#{section(unit)}" for unit in units}
            found.setdefault(unfolded(parts[0]), {})[unfolded(parts[1])] = pages
    return found


def _layers(files: dict[str, Iterable[str]]) -> dict[str, list[str]]:
    """The layers of each model: those of their folders that hold a JSON twin."""
    found: dict[str, list[str]] = {}
    for folder, names in files.items():
        parts = folder.split("/")
        if len(parts) == 2 and TWIN in names:
            found.setdefault(unfolded(parts[0]), []).append(unfolded(parts[1]))
    return found


def _load(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AtlasError(f"{path}: cannot be read: {error.strerror}") from None


def _fetch(address: str) -> bytes:
    """What a host answers. Raises AtlasError with its reason in one line."""
    request = urllib.request.Request(address, headers={"User-Agent": MADE_BY})
    try:
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        raise AtlasError(f"{address}: the host answers {error.code} {error.reason}; is this the address of an atlas?") from None
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise AtlasError(f"{address}: cannot be fetched: {reason}") from None
