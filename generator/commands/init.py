"""`atlas init`: a first spec."""

from __future__ import annotations

from pathlib import Path

import click

from generator.commands import auto, traced
from generator.errors import AtlasError, SpecError


@click.command()
@click.argument("source", default="bundled")
@click.option("--weights", default="", help="Weights of the spec: a name of torchvision's, a file, 'none'.")
@click.option("-o", "--output", metavar="FILE", default="atlas.yaml", show_default=True, help="The spec to write.")
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
def init(source: str, weights: str, output: str, force: bool) -> None:
    """Write a first, commented spec for a model.

    SOURCE is bundled, torchvision:NAME or package.module:callable.

    \b
    Examples:
      atlas init
      atlas init torchvision:googlenet -o googlenet.yaml
      atlas init nets:small --weights runs/best.pth
    """
    if not force and Path(output).exists():
        raise SpecError([f"{output}: is there already; --force overwrites it"])
    from generator.spec import lone_model
    from generator.starter import starter

    model = lone_model(source)
    shape, graph = traced(model, Path(output).parent)
    text = starter(model, weights, shape, auto(graph), output)
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise AtlasError(f"{output}: cannot be written: {error.strerror}") from None
    click.echo(f"{output}: written; next: atlas build {output}")
