"""What a site was last made of: the digest of everything that went into it and, for each of its parts, its files.

It is a line with a checksum and a line of JSON; one that is damaged or of another version counts as none.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from generator.site import Summary

FORMAT = 3


class Written(NamedTuple):
    """One file of a site, as it was written."""

    path: str
    size: int
    digest: str  # of its bytes
    listed: bool  # whether it is a page for the sitemap
    changed: int = 0  # when it was last changed, in nanoseconds, by the clock of the file system


class Pictured(NamedTuple):
    """What the faces of a layer's neurons take, and with which budgets all of it would be the same."""

    bytes: int = 0  # of all its neurons that have a page
    neurons: int = 0  # these
    least: int = 0  # budget of a neuron, in bytes
    below: int | None = None  # from this one on it would be another; None for no end

    def holds(self, budget: int) -> bool:
        """Whether it would be the same with a budget."""
        return self.least <= budget and (self.below is None or budget < self.below)


NOTHING = Pictured()


@dataclass(frozen=True)
class Part:
    """What is rendered together: the root of the site, a model's own pages, a layer."""

    key: str  # of everything it depends on, but the budget of faces
    files: tuple[Written, ...]
    pictured: Pictured = NOTHING


@dataclass(frozen=True)
class History:
    """A build of a site."""

    inputs: str  # digest of everything it depends on, as far as that can be told without opening a model
    parts: dict[str, Part]
    used: tuple[str, ...]  # keys of the results it is made of

    @property
    def forgotten(self) -> History:
        """The same files, made of nobody knows what."""
        return History("", {name: Part("", part.files) for name, part in self.parts.items()}, ())

    @property
    def paths(self) -> set[str]:
        """Every file of it."""
        return {file.path for part in self.parts.values() for file in part.files}

    @property
    def summary(self) -> Summary:
        """How much there is of it."""
        files = [file for part in self.parts.values() for file in part.files]
        return Summary(len(files), sum(file.size for file in files), sum(file.path.endswith(".html") for file in files))


def history_file(cache: Path, target: Path) -> Path:
    """Where the history of the site at `target` is kept."""
    return cache / "sites" / f"{hashlib.sha256(str(target.resolve()).encode()).hexdigest()[:32]}.json"


def read_history(file: Path) -> History | None:
    """The last build; None where there is none, or it cannot be read."""
    try:
        check, _, text = file.read_bytes().partition(b"\n")
        if int(check, 16) != zlib.crc32(text):
            return None
        said: Any = json.loads(text)
        if said["format"] != FORMAT:
            return None
        parts = {
            name: Part(part["key"], tuple(Written(*each) for each in part["files"]), Pictured(*part["pictured"]))
            for name, part in said["parts"].items()
        }
        return History(said["inputs"], parts, tuple(said["used"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_history(file: Path, history: History) -> None:
    """Keep what a build was made of, whole or not at all; one that cannot be written is one that is slower next time."""
    parts = {name: {"key": part.key, "files": part.files, "pictured": part.pictured} for name, part in history.parts.items()}
    said = {"format": FORMAT, "inputs": history.inputs, "used": history.used, "parts": parts}
    text = json.dumps(said, separators=(",", ":")).encode()
    waiting = file.with_name(f"{file.name}.{os.getpid()}.part")
    with suppress(OSError):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            waiting.write_bytes(f"{zlib.crc32(text):08x}\n".encode() + text)
            os.replace(waiting, file)
        finally:
            waiting.unlink(missing_ok=True)


def standing(site: Path, files: Iterable[Written]) -> Iterator[bool]:
    """For each file whether it is in the site as it was written: its size and its time of change."""
    root = str(site)
    for file in files:
        try:
            stat = os.stat(f"{root}/{file.path}")
            yield stat.st_size == file.size and stat.st_mtime_ns == file.changed
        except OSError:
            yield False
