"""`atlas init`: a first spec, and the workflow that publishes its site."""

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
@click.option(
    "--github-pages",
    is_flag=True,
    help="Write a workflow for GitHub that builds and publishes the site. A spec that is there stays as it is.",
)
@click.option(
    "--generator",
    metavar="REQUIREMENT",
    default="",
    help="What the workflow has pip install this program from: git+https://github.com/OWNER/REPOSITORY",
)
def init(source: str, weights: str, output: str, force: bool, github_pages: bool, generator: str) -> None:
    """Write a first, commented spec for a model.

    SOURCE is bundled, torchvision:NAME or package.module:callable.

    \b
    Examples:
      atlas init
      atlas init torchvision:googlenet -o googlenet.yaml
      atlas init nets:small --weights runs/best.pth
      atlas init --github-pages
    """
    if generator and not github_pages:
        raise click.UsageError("--generator is for the workflow: it goes with --github-pages.")
    if github_pages:
        _publish(source, weights, Path(output), force, generator)
        return
    if not force and Path(output).exists():
        raise SpecError([f"{output}: is there already; --force overwrites it"])
    _write_spec(source, weights, output)
    click.echo(f"{output}: written; next: atlas build {output}")


def _write_spec(source: str, weights: str, output: str) -> None:
    from generator.spec import lone_model
    from generator.starter import starter

    downloaded = source.startswith("torchvision:") and not set(weights) & set("./")  # a name of torchvision's, not a file
    model = lone_model(source, "" if downloaded else weights)
    shape, graph = traced(model, Path(output).parent)
    text = starter(model, weights, shape, auto(graph), output)
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise AtlasError(f"{output}: cannot be written: {error.strerror}") from None


def _publish(source: str, weights: str, spec: Path, force: bool, generator: str) -> None:
    """The workflow, and a spec where there is none yet."""
    from generator.publishing.workflow import left_to_do, workflow_place, write_workflow
    from generator.spec import load_spec

    place = workflow_place(spec, force)
    if not spec.exists():
        _write_spec(source, weights, str(spec))
        click.echo(f"{spec}: written")
    write_workflow(spec, place, generator)
    click.echo(f"{place}: written; next:")
    for step in left_to_do(spec, load_spec(spec), generator):
        click.echo(f"  {step}")
