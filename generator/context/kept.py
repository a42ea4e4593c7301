"""What a long run has done so far: arrays in a folder, named for what they were made from, so that a killed run goes on."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from generator.keeping.store import StoreError

DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


def key_of(ingredients: dict[str, Any]) -> str:
    """SHA-256, as hex, of everything that a result depends on."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()


def read_kept(folder: Path | None, key: str, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
    """The arrays kept under a key; None where there are none, or where the file is damaged."""
    if folder is None:
        return None
    try:
        with np.load(folder / f"{key}.npz", allow_pickle=False) as held:
            return {name: held[name] for name in names}
    except DAMAGE:
        return None


def keep(folder: Path | None, key: str, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays under a key, whole or not at all; several runs at once, on several machines too, do each other no harm.

    Raises:
        StoreError: the folder cannot be written; the disk is full.
    """
    if folder is None:
        return
    waiting = folder / f"{key}.{uuid.uuid4().hex}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(waiting, "wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        os.replace(waiting, folder / f"{key}.npz")
    except OSError as error:
        raise StoreError(f"{folder}: what is done so far cannot be kept there: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # it has got its name, or was never there
            waiting.unlink()
