"""`atlas schema`: the JSON Schema of a spec."""

from __future__ import annotations

import json

import click


@click.command(short_help="Print the JSON Schema of a spec, for editors.")
def schema() -> None:
    """Print the JSON Schema of a spec, for completion and checks in an editor.

    \b
    Example:
      atlas schema > atlas.schema.json
      then, as the first line of atlas.yaml:
      # yaml-language-server: $schema=atlas.schema.json
    """
    from generator.spec import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
