"""An image folder or zip as a sorted list of names and a way to read each: nothing is held, nothing is unpacked to disk.

What cannot be used is refused by name and never stops a run; a folder or zip that cannot be opened at all is the user's
mistake.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from generator.context.decoding import Unreadable, shortened
from generator.errors import ImagesError, nearest

MOST_BYTES = 256 * 2**20  # of one file, packed or unpacked
LITTER = "__MACOSX"  # what macOS puts into archives beside the pictures
OUTSIDE = "has a name that leads out of the archive"


@dataclass(frozen=True)
class Images:
    """The pictures of a folder or zip, by name; `read` may be called from several threads."""

    names: tuple[str, ...]  # sorted; relative to the folder or archive, '/' between parts, always printable
    refused: tuple[tuple[str, str], ...]  # (name, reason) for what is no picture by its place or name
    identity: str  # SHA-256 of what tells one lot of files from another: names, sizes, checksums or times
    read: Callable[[str], bytes]  # the content of a file; raises Unreadable


@dataclass(frozen=True)
class Found:
    """A file that may be a picture."""

    name: str  # printable
    place: str | zipfile.ZipInfo  # how to reach it
    size: int  # bytes, unpacked
    stamp: int  # checksum, or nanoseconds of its last change


@contextmanager
def open_images(path: Path, count: int | None = None) -> Iterator[Images]:
    """The pictures of a folder, with all folders in it, or of a zip.

    Files and folders whose names begin with a dot are passed over. A folder is entered once, however many links lead to it.

    Args:
        path: of the folder or zip.
        count: at most so many, evenly spaced over the sorted names; None for all.

    Raises:
        ImagesError: there is no such folder or zip, it cannot be read, or no file in it could be a picture.
    """
    if path.is_dir():
        yield chosen(path, *in_folder(path), read_path, count)
        return
    if not path.exists():
        near = nearest(path.name, [each.name for each in path.parent.iterdir()]) if path.parent.is_dir() else ""
        raise ImagesError(f"{path}: no such folder or zip{near}")
    with opened_zip(path) as archive:
        yield chosen(path, *in_zip(archive), lambda place: read_entry(archive, place), count)


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip to read from. Raises ImagesError."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as reason:
        raise ImagesError(f"{path}: is neither a folder nor a zip that can be read: {shortened(reason)}") from None
    with archive:
        yield archive


def chosen(
    path: Path, found: Sequence[Found], refused: Sequence[tuple[str, str]], read: Callable[..., bytes], count: int | None
) -> Images:
    """The record of what was found. Raises ImagesError where nothing was."""
    ordered = sorted(found, key=lambda each: each.name)
    wanted = {each.name: each for each in spaced(ordered, count)}
    if not wanted:
        raise ImagesError(f"{path}: holds no pictures" + (f"; {': '.join(sorted(refused)[0])}" if refused else ""))
    told = json.dumps([[each.name, each.size, each.stamp] for each in wanted.values()])
    digest = hashlib.sha256(told.encode()).hexdigest()
    return Images(tuple(wanted), tuple(sorted(refused)), digest, lambda name: bounded(wanted[name], read))


def spaced(found: Sequence[Found], count: int | None) -> list[Found]:
    """So many of them, evenly spaced."""
    if count is None or count >= len(found):
        return list(found)
    return [found[number * len(found) // count] for number in range(count)]


def bounded(found: Found, read: Callable[..., bytes]) -> bytes:
    """The content of one file; whatever goes wrong is a reason to refuse it."""
    if found.size > MOST_BYTES:
        raise Unreadable(f"has {found.size:,} bytes, more than {MOST_BYTES:,}")
    try:
        content = read(found.place)
    except Exception as reason:  # a damaged archive, a file that is gone, a disk that fails
        raise Unreadable(f"cannot be read: {shortened_system(reason)}") from None
    if len(content) > MOST_BYTES:
        raise Unreadable(f"has more than {MOST_BYTES:,} bytes")
    return content


def shortened_system(reason: Exception) -> str:
    """What an exception says, without the path that the name beside it tells already."""
    return reason.strerror if isinstance(reason, OSError) and reason.strerror else shortened(reason)


def printable(name: str) -> str:
    """A name as it can be shown: letters that cannot stand on a page are replaced."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name)


def named_like_a_picture(name: str) -> bool:
    """Whether a name ends as pictures do, or has no ending at all."""
    Image.init()
    ending = os.path.splitext(name)[1].lower()
    return not ending or ending in Image.EXTENSION


# -- folders --------------------------------------------------------------------------------------------------------------


def in_folder(path: Path) -> tuple[list[Found], list[tuple[str, str]]]:
    """The files of a folder and all below it, and what is refused."""
    found: list[Found] = []
    refused: list[tuple[str, str]] = []
    queue, entered = [(os.fspath(path), "")], {identity(os.stat(path))}
    while queue:
        folder, prefix = queue.pop(0)
        for entry in entries(folder, printable(prefix) or ".", refused):
            name = prefix + entry.name
            try:
                about = entry.stat()
                if not entry.is_dir():
                    take(found, refused, name, entry, about)
                elif identity(about) not in entered:
                    entered.add(identity(about))
                    queue.append((entry.path, f"{name}/"))
            except OSError as reason:
                what = "is a link to nothing" if entry.is_symlink() else f"cannot be read: {reason.strerror}"
                refused.append((printable(name), what))
    return found, refused


def entries(folder: str, shown: str, refused: list[tuple[str, str]]) -> list[os.DirEntry[str]]:
    """What lies in one folder, sorted; nothing where it may not be listed."""
    try:
        with os.scandir(folder) as listed:
            return sorted((e for e in listed if not e.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as reason:
        refused.append((shown, f"cannot be listed: {reason.strerror}"))
        return []


def identity(about: os.stat_result) -> tuple[int, int]:
    """What tells a folder from every other, by whatever path it is reached."""
    return about.st_dev, about.st_ino


def take(found: list[Found], refused: list[tuple[str, str]], name: str, entry: os.DirEntry[str], about: os.stat_result) -> None:
    """Put a file among those found, or among those refused."""
    if not entry.is_file():  # a pipe would be waited for without end
        refused.append((printable(name), "is not a file"))
    elif not named_like_a_picture(name):
        refused.append((printable(name), "is not named like a picture"))
    else:
        found.append(Found(printable(name), entry.path, about.st_size, about.st_mtime_ns))


def read_path(place: str) -> bytes:
    """A file, no further than the limit."""
    with open(place, "rb") as file:
        return file.read(MOST_BYTES + 1)


# -- archives -------------------------------------------------------------------------------------------------------------


def in_zip(archive: zipfile.ZipFile) -> tuple[list[Found], list[tuple[str, str]]]:
    """The entries of a zip, and what is refused. Names are labels only: nothing is ever written under them."""
    found: dict[str, Found] = {}
    refused: list[tuple[str, str]] = []
    for entry in archive.infolist():
        parts = entry.filename.replace("\\", "/").split("/")
        if entry.is_dir() or LITTER in parts or any(part.startswith(".") and part != ".." for part in parts):
            continue
        name = printable(entry.filename)
        reason = why_not(entry, parts, name in found)
        if reason:
            refused.append((name, reason))
        else:
            found[name] = Found(name, entry, entry.file_size, entry.CRC)
    return list(found.values()), refused


def why_not(entry: zipfile.ZipInfo, parts: Iterable[str], again: bool) -> str:
    """Why an entry is refused by its head; '' if it is not."""
    first, *_ = parts = list(parts)
    if ".." in parts or not first or first.endswith(":"):
        return OUTSIDE
    if again:
        return "has the name of an entry before it"
    if entry.flag_bits & 1:
        return "is encrypted"
    return "" if named_like_a_picture(entry.filename) else "is not named like a picture"


def read_entry(archive: zipfile.ZipFile, place: zipfile.ZipInfo) -> bytes:
    """An entry, no further than the limit, whatever its head says of its size."""
    with archive.open(place) as file:
        return file.read(MOST_BYTES + 1)
