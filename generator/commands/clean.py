"""`atlas clean`: what was kept for the next build, thrown away."""

from __future__ import annotations

import click

from generator.commands import spec_argument


@click.command()
@spec_argument
def clean(spec: str) -> None:
    """Remove what builds of SPEC have kept; the site stays, and the next build works everything out again.

    \b
    Example:
      atlas clean
    """
    from generator.build import store_of
    from generator.spec import load_spec

    store = store_of(load_spec(spec))
    files, size = store.clear()
    click.echo(
        f"{files:,} files, {size / 1e6:.1f} MB removed from {store.folder}" if files else f"nothing is kept in {store.folder}"
    )
