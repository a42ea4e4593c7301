"""The commands of `atlas`, one module each, and what several of them share.

torch is imported inside the commands that need it, so that help and mistakes come at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from generator.errors import nearest
from generator.interrupts import leaving_at_once

if TYPE_CHECKING:
    from generator.graph import Graph
    from generator.spec import ModelSpec

spec_argument = click.argument("spec", default="atlas.yaml")
jobs_option = click.option(
    "-j", "--jobs", metavar="N", type=click.IntRange(1), envvar="ATLAS_JOBS", help="Processes; one a processor unless given."
)


def of_spec(spec: str, name: str | None) -> tuple[list[ModelSpec], Path]:
    """The models of a spec, or the one of that name; and the spec's folder."""
    from generator.spec import load_spec

    loaded = load_spec(spec)
    names = [model.name for model in loaded.models]
    if name and name not in names:
        raise click.UsageError(f"{spec} has no model '{name}', it has: {', '.join(names)}{nearest(name, names)}")
    return [model for model in loaded.models if name in (None, model.name)], loaded.folder


def traced(model: ModelSpec, folder: Path) -> tuple[tuple[int, int, int], Graph]:
    """The model's input shape (channels, rows, cols) and its graph."""
    with leaving_at_once():
        from generator.graph import trace
        from generator.models import load_model

    loaded = load_model(model, folder)
    return loaded.input_shape, trace(loaded.module, loaded.input_shape)


def auto(graph: Graph) -> tuple[str, ...]:
    """What `layers: auto` takes."""
    from generator.graph import choose

    return choose(graph, ("auto",))
