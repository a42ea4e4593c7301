"""Feature visualizations of a layer as its faces: just made, or made beforehand, in a folder beside the weights: a sprite for
each layer and what was measured.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from generator.photos import read_pixels
from generator.pictures import tiles_of
from generator.records import Looks, Visualizations

INDEX = "index.json"


def read_looks(folder: Path | None, sha256: str, address: str, neurons: int) -> Looks | None:
    """The feature visualizations of one layer; None where the folder has none of this layer, or those of other weights.

    sha256: of the weights they must have been made from. A folder that is not whole is a mistake of ours: OSError, ValueError.
    """
    if folder is None or not (folder / INDEX).is_file():
        return None
    index = json.loads((folder / INDEX).read_bytes())
    measured = index["layers"].get(address)
    if index["weights"] != sha256 or measured is None:
        return None
    return Looks(
        images=tiles_of(read_pixels((folder / f"{address}.webp").read_bytes()), neurons),
        activations=np.array(measured["activations"], np.float32),
        photographs=np.array(measured["photographs"], np.float32),
        count=index["photographs"],
    )


def joined_looks(objective: str, made: Visualizations, negative: Visualizations | None = None) -> Looks:
    """Those of a layer as they were made, and those that drive its neurons down; held against no photographs."""
    every = made.images if negative is None else np.concatenate([made.images, negative.images], axis=1)
    return Looks(
        images=every[:, 0],
        activations=made.activations[:, 0],
        photographs=np.full(len(every), np.nan, np.float32),
        count=0,
        more=every[:, 1:] if every.shape[1] > 1 else None,
        notes=made.notes,
        negative=0 if negative is None else negative.images.shape[1],
        objective=objective,
    )
