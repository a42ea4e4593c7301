"""The command `atlas`: arguments in, one call out, the user's mistakes in one line each."""

from __future__ import annotations

import sys

import click

from generator.commands.build import build
from generator.commands.check import check
from generator.commands.clean import clean
from generator.commands.init import init
from generator.commands.layers import layers
from generator.commands.link_figure import link_figure
from generator.commands.plan import plan
from generator.commands.schema import schema
from generator.commands.serve import serve
from generator.errors import SPEC, AtlasError
from generator.interrupts import INTERRUPTED

COMMANDS = (init, check, plan, build, serve, layers, schema, link_figure, clean)


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
      atlas serve                          look at it while editing

    \b
    Exit codes:
      0    good
      1    failed
      2    the command line or the spec is wrong
      3    the site will be past the budget of its spec
      130  interrupted (Ctrl-C)
    """
    if version:
        click.echo(_version())
        context.exit()
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(SPEC)


for _command in COMMANDS:
    atlas.add_command(_command)


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
