"""`atlas schema`: the JSON Schema of a spec, or of the file of families beside it."""

from __future__ import annotations

import json

import click


@click.command(short_help="Print the JSON Schema of a spec, for editors.")
@click.option("--families", is_flag=True, help="That of the file of families.")
def schema(families: bool) -> None:
    """Print the JSON Schema of a spec, for completion and checks in an editor.

    \b
    Example:
      atlas schema > atlas.schema.json
      then, as the first line of atlas.yaml:
      # yaml-language-server: $schema=atlas.schema.json
    """
    from generator import spec
    from generator.authored.families import json_schema as of_families

    click.echo(json.dumps(of_families() if families else spec.json_schema(), indent=2, ensure_ascii=False))
