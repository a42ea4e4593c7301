"""Digests of the files a site is made of, remembered for as long as a file looks untouched."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

FRESH = 2_000_000_000  # nanoseconds: a file changed so lately may change again within one tick of its clock
LOOKS = 5  # what is remembered of how a file looked, before its digest


class Digests:
    """Digests of files. What was found is kept in a file of its own, by path, size, times of change, inode and device.

    The time of change of the inode is among them: a copy that keeps the time of its source is a change too.
    """

    def __init__(self, kept: Path | None = None) -> None:
        self.kept = kept
        self.known: dict[str, list] = _read(kept)
        self.changed = False

    def of(self, path: Path) -> str:
        """SHA-256, as hex, of a file's bytes; '' where there is none that can be read: whoever needs it says so."""
        try:
            stat = path.stat()
            name, looks = str(path.resolve()), _looks(stat)
            before = self.known.get(name)
            if before and before[:LOOKS] == looks:
                return str(before[LOOKS])
            with open(path, "rb") as file:
                found = _digest(file.fileno())
        except OSError:
            return ""
        if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > FRESH:
            self.known[name] = [*looks, found]
            self.changed = True
        return found

    def of_folder(self, folder: Path) -> str:
        """SHA-256, as hex, over the names and bytes of every file in a folder and those within it; '' where there is none."""
        if not folder.is_dir():
            return ""
        sha = hashlib.sha256()
        for path in sorted(each for each in folder.rglob("*") if each.is_file() and "__pycache__" not in each.parts):
            sha.update(f"{path.relative_to(folder).as_posix()}\0{self.of(path)}\0".encode())
        return sha.hexdigest()

    def of_place(self, place: Path) -> str:
        """The digest of a file or of a folder."""
        return self.of_folder(place) if place.is_dir() else self.of(place)

    def of_all(self, places: Iterable[Path]) -> list[tuple[str, str]]:
        """(absolute path, digest) of files and folders, in order."""
        return [(str(place.resolve()), self.of_place(place)) for place in places]

    def save(self) -> None:
        """Remember for the next build; one that cannot be written is one that is slower."""
        if self.kept is None or not self.changed:
            return
        waiting = self.kept.with_name(f"{self.kept.name}.{os.getpid()}.part")
        try:
            self.kept.parent.mkdir(parents=True, exist_ok=True)
            waiting.write_text(json.dumps(self.known))
            os.replace(waiting, self.kept)
        except OSError:
            with suppress(OSError):
                waiting.unlink()


def stamp_of(place: Path) -> str:
    """SHA-256, as hex, over names, sizes and times of change of a file or of every file in a folder, and not over their bytes:
    for collections of pictures, which are large. '' where nothing is there.
    """
    if not place.exists():
        return ""
    sha = hashlib.sha256()
    for folder, folders, names in os.walk(place) if place.is_dir() else [(str(place.parent), [], [place.name])]:
        folders.sort()
        for name in sorted(names):
            with suppress(OSError):
                stat = os.stat(os.path.join(folder, name))
                sha.update(
                    f"{os.path.relpath(os.path.join(folder, name), place)}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode()
                )
    return sha.hexdigest()


def _looks(stat: os.stat_result) -> list[int]:
    """What changes with a file, whoever changes it."""
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]


def _read(kept: Path | None) -> dict[str, list]:
    try:
        known = json.loads(kept.read_bytes()) if kept else {}
        return {name: held for name, held in known.items() if isinstance(held, list) and len(held) == LOOKS + 1}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _digest(number: int) -> str:
    """SHA-256 of an open file, a block at a time."""
    sha, block = hashlib.sha256(), 1 << 20
    while read := os.read(number, block):
        sha.update(read)
    return sha.hexdigest()
