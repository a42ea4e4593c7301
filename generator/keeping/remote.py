"""The one door for fsspec: results at an address that several machines reach, a file each as in the folder."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from generator.errors import AtlasError


class RemoteError(AtlasError):
    """An address that cannot be read or written; the user's to mend."""


@dataclass(frozen=True)
class Remote:
    """A place for results, as fsspec writes it: `s3://bucket/folder`, `file:///mnt/share`."""

    address: str

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        with self._told():
            return bool(self._system.exists(self._there(name)))

    def fetch(self, name: str, path: Path) -> bool:
        """Bring a file over, to a path where there is none yet; False where there is none to bring."""
        waiting = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
        with self._told():
            try:
                self._system.get_file(self._there(name), str(waiting))
            except FileNotFoundError:
                return False
            else:
                os.replace(waiting, path)
            finally:
                waiting.unlink(missing_ok=True)
        return True

    def first_bytes(self, name: str, count: int) -> bytes:
        """The first bytes of a file; none where there is no such file."""
        with self._told(), suppress(FileNotFoundError):
            return bytes(self._system.cat_file(self._there(name), start=0, end=count))
        return b""

    def send(self, name: str, path: Path) -> None:
        """Put a file there, whole or not at all."""
        with self._told():
            there = self._there(name)
            waiting = f"{there}.{uuid.uuid4().hex}.part"
            self._system.makedirs(there.rpartition("/")[0], exist_ok=True)
            self._system.put_file(str(path), waiting)
            self._system.mv(waiting, there)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._told(), suppress(FileNotFoundError):
            self._system.rm_file(self._there(name))

    def names(self) -> list[str]:
        """The files there, as `folder/name`, one folder deep."""
        with self._told():
            self._system.invalidate_cache()
            found = self._system.glob(f"{self._root}/*/*")
        return ["/".join(each.split("/")[-2:]) for each in found]

    def _there(self, name: str) -> str:
        return f"{self._root}/{name}"

    @property
    def _system(self) -> Any:
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1].rstrip("/")

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        system, root = url_to_fs(self.address)
        return system, root

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever a file system of fsspec raises, and it may be anything, is told in one line."""
        try:
            yield
        except Exception as error:
            raise RemoteError(f"cache.address: '{self.address}' cannot be used: {_line(error)}") from error


def _line(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
