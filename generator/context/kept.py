"""What a long run has done so far: arrays in a folder, named for what they were made from, so that a killed run goes on."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

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
    """Write arrays under a key, whole or not at all; two runs at once do each other no harm."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    waiting = folder / f"{key}.{os.getpid()}.part"
    with open(waiting, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    os.replace(waiting, folder / f"{key}.npz")
