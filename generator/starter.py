"""A first spec for a model: commented, ready to build."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from generator.spec import ModelSpec

_TEMPLATE = """\
# An atlas of the weights of {name}; build it with: atlas build {file}
# Every key: `atlas schema` (completion in an editor: save that, and name the file in a first line
# `# yaml-language-server: $schema=atlas.schema.json`).
title: {title}
description: A picture and the largest connections of every neuron of {name}.
# authors: [Your Name]
# licence: CC-BY-4.0
# site_url: https://example.org/atlas/

models:
  - name: {name}  # a folder of the site
    source: {source}
    {weights}
    # input_size: {size}  # rows, cols of the input picture
    # neurons: [0-15]  # only these of every layer; or by layer: {{'{first}': all, '**': [0-15]}}
    layers: auto  # or a list of addresses and globs, as `atlas layers` prints them; auto takes these:
    # layers:
{layers}

nmf:
  factors: 3  # of a picture, drawn in red, green and blue
connections:
  show: 20  # the largest of each neuron with each neighbouring layer
output:
  folder: site
"""

_WEIGHTS = "a checkpoint file beside this one, a name of torchvision's, or none"


def starter(model: ModelSpec, weights: str, input_shape: tuple[int, int, int], layers: Iterable[str], file: str) -> str:
    """The text of a commented spec of one model, with the layers that `auto` takes as a comment.

    `weights` may be '': torchvision's default, or what a callable makes.
    """
    addresses = list(layers)
    weights = weights or ("DEFAULT" if model.kind == "torchvision" else "none")
    own = model.kind == "bundled"
    return _TEMPLATE.format(
        name=model.name,
        file=file,
        title="Tiny Inception" if own else _plain(f"The weights of {model.name}"),
        source=model.source,
        weights="# weights: a checkpoint file; it has its own" if own else f"weights: {_plain(weights)}  # {_WEIGHTS}",
        size=list(input_shape[1:]),
        first=addresses[0],
        layers="\n".join(f"    #   - {_plain(address)}" for address in addresses),
    )


def _plain(text: str) -> str:
    """Text as YAML reads it back: in quotes where it might be read as something else."""
    safe = re.fullmatch(r"[A-Za-z][\w. /-]*", text) and text.lower() not in (
        "y",
        "n",
        "yes",
        "no",
        "on",
        "off",
        "true",
        "false",
        "null",
    )
    return text if safe else json.dumps(text, ensure_ascii=False)
