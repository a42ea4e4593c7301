"""`atlas layers`: every layer that a spec could name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from generator.commands import auto, of_spec, traced

if TYPE_CHECKING:
    from generator.graph import Graph

HEADS = ("address", "kind", "neurons", "kernel", "map", "auto", "reads", "other addresses")


@click.command()
@click.argument("spec", required=False)
@click.option("--model", "name", metavar="NAME", help="Only this model of the spec.")
@click.option("--source", metavar="SOURCE", help="A model without a spec: bundled, torchvision:NAME, module:callable.")
def layers(spec: str | None, name: str | None, source: str | None) -> None:
    """List every layer that a spec could name.

    The column `auto` marks those that `layers: auto` takes. Piped, the columns are separated by tabs.

    \b
    Examples:
      atlas layers --source torchvision:googlenet
      atlas layers atlas.yaml --model tiny | cut -f 1
    """
    if source and (spec or name):
        raise click.UsageError("--source takes no SPEC and no --model: it is for a model without a spec.")
    from generator.spec import lone_model

    models, folder = ([lone_model(source)], Path()) if source else of_spec(spec or "atlas.yaml", name)
    several = len(models) > 1
    for model in models:
        _print_table(_rows(traced(model, folder)[1]), title=model.name if several or sys.stdout.isatty() else "")


def _rows(graph: Graph) -> list[tuple[str, ...]]:
    """A row of text for each layer, under HEADS."""
    taken = set(auto(graph))
    return [
        (
            layer.address,
            layer.kind,
            str(layer.neurons),
            _times(layer.kernel),
            _times(layer.map_size),
            "auto" if layer.address in taken else "",
            ", ".join(layer.reads),
            ", ".join(layer.aliases),
        )
        for layer in graph.layers.values()
    ]


def _times(size: tuple[int, int] | None) -> str:
    return "x".join(map(str, size)) if size else ""


def _print_table(rows: list[tuple[str, ...]], title: str) -> None:
    """A drawn table on a terminal; elsewhere tabs between the columns."""
    if not sys.stdout.isatty():
        lines = ["\t".join(row) for row in (HEADS, *rows)]
        click.echo("\n".join([f"# {title}", *lines] if title else lines))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=None, title_justify="left", header_style="bold")
    for head in HEADS:
        names = head in ("reads", "other addresses")
        table.add_column(head, justify="right" if head == "neurons" else "left", overflow="fold", no_wrap=not names)
    for row in rows:
        table.add_row(*row)
    Console().print(table, markup=False)
