"""The command `atlas`: arguments in, one call out, the user's mistakes in one line each."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from generator.errors import SPEC, AtlasError, SpecError, nearest

if TYPE_CHECKING:  # torch is imported inside the commands that need it, so that help and mistakes come at once
    from generator.graph import Graph
    from generator.spec import ModelSpec

INTERRUPTED = 130
HEADS = ("address", "kind", "neurons", "kernel", "map", "auto", "reads", "other addresses")

_spec_argument = click.argument("spec", default="atlas.yaml")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
)
@click.option("--version", is_flag=True, help="Show the version and exit.")
@click.pass_context
def atlas(context: click.Context, version: bool) -> None:
    """A static, cross-linked atlas of the weights of a vision network.

    SPEC is a YAML file that names the models, atlas.yaml unless given.

    \b
    Examples:
      atlas init torchvision:googlenet     write a first atlas.yaml
      atlas check                          is it right?
      atlas build                          make the site

    \b
    Exit codes:
      0    good
      1    failed
      2    the command line or the spec is wrong
      130  interrupted (Ctrl-C)
    """
    if version:
        click.echo(_version())
        context.exit()
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(SPEC)


@atlas.command()
@_spec_argument
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
    with _leaving_at_once():
        from generator.build import build as run
    from generator.progress import Progress

    summary = run(loaded, output or loaded.folder / loaded.output.folder, Progress(quiet))
    if not quiet:
        click.echo(str(summary))


@atlas.command()
@_spec_argument
def check(spec: str) -> None:
    """Check SPEC, its models and their layers; compute nothing.

    \b
    Example:
      atlas check examples/vgg16.yaml
    """
    from generator.spec import load_spec

    loaded = load_spec(spec)  # before torch, as above
    with _leaving_at_once():
        from generator.build import check as run

    for line in run(loaded):
        click.echo(line)


@atlas.command()
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

    models, folder = ([lone_model(source)], Path()) if source else _of_spec(spec or "atlas.yaml", name)
    several = len(models) > 1
    for model in models:
        _print_table(_rows(_traced(model, folder)[1]), title=model.name if several or sys.stdout.isatty() else "")


@atlas.command(short_help="Print the JSON Schema of a spec, for editors.")
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


@atlas.command()
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
    shape, graph = _traced(model, Path(output).parent)
    text = starter(model, weights, shape, _auto(graph), output)
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise AtlasError(f"{output}: cannot be written: {error.strerror}") from None
    click.echo(f"{output}: written; next: atlas build {output}")


@contextmanager
def _leaving_at_once() -> Iterator[None]:
    """While torch is imported an interrupt ends the program on the spot: its code does not survive one, and nothing has been
    written yet.
    """
    before = signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _leave(*_: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)


def _of_spec(spec: str, name: str | None) -> tuple[list[ModelSpec], Path]:
    """The models of a spec, or the one of that name; and the spec's folder."""
    from generator.spec import load_spec

    loaded = load_spec(spec)
    names = [model.name for model in loaded.models]
    if name and name not in names:
        raise click.UsageError(f"{spec} has no model '{name}', it has: {', '.join(names)}{nearest(name, names)}")
    return [model for model in loaded.models if name in (None, model.name)], loaded.folder


def _traced(model: ModelSpec, folder: Path) -> tuple[tuple[int, int, int], Graph]:
    """The model's input shape (channels, rows, cols) and its graph."""
    with _leaving_at_once():
        from generator.graph import trace
        from generator.models import load_model

    loaded = load_model(model, folder)
    return loaded.input_shape, trace(loaded.module, loaded.input_shape)


def _auto(graph: Graph) -> tuple[str, ...]:
    from generator.graph import choose

    return choose(graph, ("auto",))


def _rows(graph: Graph) -> list[tuple[str, ...]]:
    """A row of text for each layer, under HEADS."""
    auto = set(_auto(graph))
    return [
        (
            layer.address,
            layer.kind,
            str(layer.neurons),
            _times(layer.kernel),
            _times(layer.map_size),
            "auto" if layer.address in auto else "",
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


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("weight-atlas")
    except metadata.PackageNotFoundError:
        return "not installed: running from a checkout"


def _usage(error: click.ClickException) -> str:
    """click's own message in one line: the command, what is wrong with it, and where help is."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context else "atlas"
    return f"{command}: {error.format_message()} (help: {command} --help)"


def main(arguments: list[str] | None = None) -> None:
    """The entry point: runs a command and ends with its exit code."""
    try:
        code = atlas.main(args=arguments, prog_name="atlas", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        # An interrupt inside an exec of text (torch.fx compiles so) makes Python under -m end by the signal, whatever the exit
        # code; another exec forgets it.
        exec("")
        code = INTERRUPTED
    except click.ClickException as error:
        click.echo(_usage(error), err=True)
        code = error.exit_code
    except AtlasError as error:
        click.echo("\n".join(error.lines), err=True)
        code = error.exit_code
    sys.exit(code or 0)


if __name__ == "__main__":
    main()
