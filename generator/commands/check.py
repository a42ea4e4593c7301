"""`atlas check`: is a spec right?"""

from __future__ import annotations

import click

from generator.commands import leaving_at_once, spec_argument


@click.command()
@spec_argument
def check(spec: str) -> None:
    """Check SPEC, its models and their layers; compute nothing.

    \b
    Example:
      atlas check examples/vgg16.yaml
    """
    from generator.spec import load_spec

    loaded = load_spec(spec)  # before torch, as above
    with leaving_at_once():
        from generator.build import check as run

    for line in run(loaded):
        click.echo(line)
