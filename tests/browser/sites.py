"""The sites that are looked at: the sample's numbers, the demo, and one of very large layers. Each is written once."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import sample_facts as sample

from generator.analyses.tables import pair_of
from generator.progress import Progress
from generator.records import AtlasFacts, Faces, ModelFacts, Pair, Weights
from generator.render import render_site

ROOT = Path(__file__).parents[2]
WIDE, SHOWN = 2_048, 20  # neurons of each of the large layers; rows of a table


def write(facts: AtlasFacts, folder: Path) -> Path:
    """The site of these facts, in a folder of its own."""
    for path, content in render_site(facts):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def write_demo(folder: Path) -> Path:
    """The demo as `make atlas` builds it: ten seconds, or none where ATLAS_DEMO names a folder that holds it."""
    if os.environ.get("ATLAS_DEMO"):
        return Path(os.environ["ATLAS_DEMO"])
    from generator.build import build  # imports torch, which most browser tests do without
    from generator.spec import load_spec

    build(load_spec(ROOT / "atlas.yaml"), folder, Progress(quiet=True))
    return folder


def pair(weights: Weights) -> Pair:
    """Both tables of the weights between two layers, of SHOWN rows."""
    return pair_of(weights, SHOWN)


def wide_facts() -> AtlasFacts:
    """Three layers of 2,048 neurons, each reading the one before it, and pictures of noise: nothing compresses worse."""
    random = np.random.default_rng(0)
    names = ("before", "here", "after")
    kernel = random.standard_normal((WIDE, WIDE, 1, 1), dtype=np.float32)
    every = [pair(sample.weights(*ends, kernel)) for ends in pairwise(names)]
    pixels = random.integers(0, 256, (WIDE, 3, 3, 3), dtype=np.uint8)
    faces = Faces("nmf", pixels, ("before",), "", "full red = 0.42, zero is mid-grey", None, None, None, ("",) * WIDE)
    layers = [sample.facts_of(sample.layer(name, "Conv2d", WIDE, (1, 1)), every, faces) for name in names]
    chosen = np.arange(0, WIDE, 64, dtype=np.int32)  # pages enough to look at
    model = ModelFacts("wide", sample.provenance(), (3, 64, 64), tuple(replace(one, chosen=chosen) for one in layers))
    return sample.atlas(model)
