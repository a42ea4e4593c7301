"""The one place for results that are kept: a file each, named for what the result was worked out from.

A file is written under another name first, so that several builds may share a folder; what is damaged, foreign or of another
version counts as not there, and a line says so.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from generator.errors import AtlasError
from generator.keeping.remote import Remote
from generator.keeping.tensors import DAMAGE, fault, first_bytes, read_told, read_value, write_value

SUFFIX = ".safetensors"
README = """\
This folder holds what `atlas build` has worked out: a file for each result, named for a digest of what it was worked out from
(the weights on its path, the options, the code). It speeds up the next build, and nothing is lost with it: after `atlas clean`,
or once the folder is deleted, the results are only worked out again. Files that have not been used for longest go first where
the folder grows beyond its limit (`cache: {limit: ...}` in the spec). Keep it out of version control.
"""
TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache: https://bford.info/cachedir/\n"
WORDS = {"CACHEDIR.TAG": TAG, ".gitignore": "*\n", "README": README}
FILES = "files.json"  # where `keeping.files` keeps digests of files
SPARED = 3600  # seconds: a file that was used in so many, perhaps by another build, is not removed
TRIES = 3  # to write a result, where another process empties the folder at the same moment

_RESULT = re.compile(rf"[0-9a-f]{{2}}/[0-9a-f]{{64}}({re.escape(SUFFIX)}|\..+\.part)")
_OTHER = re.compile(
    rf"sites/[0-9a-f]{{32}}\.json(\..+\.part)?|state/[0-9a-f]{{64}}\.(npz|.+\.part)|{re.escape(FILES)}(\..+\.part)?"
)
_FOLDERS = re.compile("[0-9a-f]{2}|sites|state")  # results, histories of sites, what long runs have done so far


class StoreError(AtlasError):
    """A folder of results that cannot be used, or a result that has gone while it was needed."""


def key_of(**ingredients: Any) -> str:
    """SHA-256, as hex, of everything that a result depends on: names, and what JSON can hold."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()


@dataclass
class Store:
    """A folder of results; with `address` also one that other machines reach (any that fsspec knows), which it mirrors."""

    folder: Path
    address: str = ""
    notes: list[str] = field(default_factory=list)  # what was found damaged, a line each
    sound: set[str] = field(default_factory=set)  # keys whose files were gone through whole

    @property
    def remote(self) -> Remote | None:
        """The address as a place for files."""
        return Remote(self.address) if self.address else None

    def path(self, key: str) -> Path:
        """Where the file of a key is."""
        return self.folder / _name(key)

    def has(self, key: str) -> bool:
        """Whether a whole, undamaged result is kept under a key, here and at the address; it then counts as used just now."""
        if self._known(key):
            return True
        if not self._checked(key):
            return False
        if self.remote and not self.remote.has(_name(key)):
            self.remote.send(_name(key), self.path(key))
        return True

    def get(self, key: str, trusted: bool = False) -> Any:
        """The value kept under a key, its arrays read-only memory maps.

        trusted: the arrays are not gone through first; for one who was told just now that they are sound.

        Raises:
            StoreError: there is none that is sound.
        """
        if not self._known(key, trusted) and not self._checked(key):
            raise self._lost(key)
        try:
            return read_value(self.path(key))
        except DAMAGE as reason:
            raise self._lost(key) from reason

    def told(self, key: str) -> Any:
        """The value kept under a key with a text in place of each array, other for every other array (see `read_told`); for
        one who was told just now that it is sound. Of what is at the address alone, little is brought from there.

        Raises:
            StoreError: there is none.
        """
        try:
            if self.remote and not self.path(key).is_file():
                return self._told_afar(key, self.remote)
            return read_told(partial(first_bytes, self.path(key)))
        except DAMAGE as reason:
            raise self._lost(key) from reason

    def _told_afar(self, key: str, remote: Remote) -> Any:
        """That of a result at the address, which is kept here from then on."""
        own = key_of(what="told", of=key)
        if not self.path(own).is_file():
            self._place(own, read_told(partial(remote.first_bytes, _name(key))))
        return read_value(self.path(own))

    def put(self, key: str, value: Any) -> None:
        """Keep a value under a key, whole or not at all.

        Raises:
            StoreError: the folder cannot be written; the disk is full.
        """
        for left in reversed(range(TRIES)):
            try:
                self._place(key, value)
                break
            except FileNotFoundError as error:
                if not left:
                    raise self._unwritable(error) from error
            except OSError as error:
                raise self._unwritable(error) from error
        self.sound.add(key)
        if self.remote:
            self.remote.send(_name(key), self.path(key))

    def drop(self, key: str) -> None:
        """Forget what is kept under a key, here and at the address."""
        self.sound.discard(key)
        with suppress(OSError):
            self.path(key).unlink()
        if self.remote:
            self.remote.remove(_name(key))

    def begin(self) -> None:
        """Make the folder, with a word on what it is.

        Raises:
            StoreError: it cannot be made, or others keep something there.
        """
        if (self.folder / "CACHEDIR.TAG").is_file():
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._refuse_others()
            for name, text in WORDS.items():
                with suppress(FileExistsError), open(self.folder / name, "x", encoding="utf-8") as file:
                    file.write(text)
        except OSError as error:
            raise self._unwritable(error) from error

    def trim(self, limit: int, used: Iterable[str] = (), spared: float = SPARED) -> int:
        """Remove what has not been used for longest until the results take up at most `limit` bytes; returns how many went.

        Those under the keys `used`, and any that was used in the last `spared` seconds, stay.
        """
        kept, newest = {str(self.path(key)) for key in used}, time.time() - spared
        found = sorted((stat.st_mtime, path, stat.st_size) for path, stat in self._files())
        size, gone = sum(each for _, _, each in found), 0
        for when, path, bytes_ in found:
            if size <= limit:
                break
            if path not in kept and when < newest and _removed(path):
                size, gone = size - bytes_, gone + 1
        return gone

    def clear(self) -> tuple[int, int]:
        """Remove every result, here and at the address, and what says what the folder is. Returns files and bytes.

        What others put there stays.
        """
        found = list(self._files())
        for path, _ in found:
            _removed(path)
        for name, text in WORDS.items():
            if _text(self.folder / name) == text:
                _removed(str(self.folder / name))
        for name in (*_folders(self.folder), "."):
            _remove_empty(self.folder / name)
        self.sound.clear()
        if self.remote:
            for name in filter(_RESULT.fullmatch, self.remote.names()):
                self.remote.remove(name)
        return len(found), sum(stat.st_size for _, stat in found)

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Path and state of everything in the folder that the program put there but the words on what it is."""
        for place in ("", *_folders(self.folder)):
            for entry in _entries(self.folder / place):
                name = f"{place}/{entry.name}" if place else entry.name
                if _RESULT.fullmatch(name) or _OTHER.fullmatch(name):
                    with suppress(OSError):  # another build has just removed it
                        yield entry.path, entry.stat()

    def _known(self, key: str, trusted: bool = False) -> bool:
        """Whether the file of a key is here and need not be gone through."""
        return (trusted or key in self.sound) and self.path(key).is_file()

    def _checked(self, key: str) -> bool:
        """Whether the file of a key is here, if need be brought from the address, and its bytes are those that were written."""
        path = self.path(key)
        if not path.is_file() and not self._fetched(key):
            return False
        reason = fault(path, key)
        if reason:
            if path.is_file():  # else another build has just removed it
                self.notes.append(f"{path}: {reason}; it is worked out anew")
            return False
        with suppress(OSError):  # a folder that may only be read does as well
            os.utime(path)
        self.sound.add(key)
        return True

    def _fetched(self, key: str) -> bool:
        """Bring a result over from the address; False where there is none."""
        if not self.remote:
            return False
        self.begin()
        try:
            self.path(key).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        return self.remote.fetch(_name(key), self.path(key))

    def _place(self, key: str, value: Any) -> None:
        self.begin()
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        waiting = path.with_name(f"{key}.{uuid.uuid4().hex}.part")
        try:
            write_value(waiting, key, value)
            os.replace(waiting, path)
        finally:
            _removed(str(waiting))

    def _refuse_others(self) -> None:
        """A folder that holds something else is not taken: a slip in the spec would strew results over it."""
        for entry in _entries(self.folder):
            ours = entry.name in WORDS or _OTHER.fullmatch(entry.name) or _is_folder_of_ours(entry.name)
            if not ours:
                raise StoreError(
                    f"cache.folder: {self.folder} holds '{entry.name}' and was not made for results; name an empty folder"
                )

    def _unwritable(self, error: OSError) -> StoreError:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        to_do = "make room there" if full else "name another folder: cache.folder"
        return StoreError(f"{self.folder}: results cannot be kept there: {error.strerror or error}; {to_do}")

    def _lost(self, key: str) -> StoreError:
        return StoreError(
            f"{self.path(key)} has gone or is damaged, and is needed: was the folder emptied during the build? Build again"
        )


def _name(key: str) -> str:
    """The file of a key, within its folder."""
    return f"{key[:2]}/{key}{SUFFIX}"


def _folders(folder: Path) -> list[str]:
    """The folders within the one of results that the program may have made."""
    return [entry.name for entry in _entries(folder) if entry.is_dir() and _is_folder_of_ours(entry.name)]


def _is_folder_of_ours(name: str) -> bool:
    return bool(_FOLDERS.fullmatch(name))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _removed(path: str) -> bool:
    """Remove a file; False where it may not be, or another build was faster."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # not empty, or not there
        folder.rmdir()
