"""`atlas build`: the site of a spec."""

from __future__ import annotations

from pathlib import Path

import click

from generator.commands import leaving_at_once, spec_argument


@click.command()
@spec_argument
@click.option(
    "-o", "--output", metavar="DIR", type=click.Path(path_type=Path), help="Folder of the site, in place of the spec's."
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it fails.")
def build(spec: str, output: Path | None, quiet: bool) -> None:
    """Build the site of SPEC.

    The site is made in a folder beside the target and takes its place when it is whole.

    \b
    Example:
      atlas build examples/squeezenet.yaml -o /tmp/squeezenet
    """
    from generator.spec import load_spec

    loaded = load_spec(spec)  # before torch is imported: a mistake in it is told at once
    with leaving_at_once():
        from generator.build import build as run
    from generator.progress import Progress

    target = output or loaded.folder / loaded.output.folder
    summary = run(loaded, target, Progress(quiet))
    if not quiet:
        click.echo(f"{summary}\nto look at it, open {target / 'index.html'}")
