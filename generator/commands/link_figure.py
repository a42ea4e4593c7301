"""`atlas link-figure`: links from a drawn figure to the pages of an atlas."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(name="link-figure", short_help="Link the neurons of an SVG figure to an atlas.")
@click.argument("figure", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--atlas", metavar="DIR-OR-URL", required=True, help="Folder or address of a built atlas.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="FIGURE-linked.svg unless given.")
@click.option(
    "--move-images", metavar="DIR", type=click.Path(path_type=Path), help="Write pictures over 4 KB to files in DIR instead."
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it fails.")
def link_figure(figure: Path, atlas: str, output: Path | None, move_images: Path | None, quiet: bool) -> None:
    """Make every element of FIGURE whose id is an address (mixed3b_379, model.mixed3b_379) a link to the page of that neuron.

    Ids that stand twice are made unique and pixels of small pictures stay pixels; all else is kept, byte by byte. An id that
    looks like an address, but is that of no neuron with a page, is an error; those of layers alone are counted. To
    a folder the links are relative, so that figure and atlas are published together; to an address they are absolute.

    \b
    Example:
      atlas link-figure curves.svg --atlas https://example.org/atlas -o linked/curves.svg --move-images linked
    """
    from generator.errors import AtlasError
    from generator.taking.figures import link_figure as link
    from generator.taking.published import published

    target = output or figure.with_name(f"{figure.stem}-linked.svg")
    try:
        content = figure.read_bytes()
        done = link(figure, content, published(atlas), target, move_images)
        files = {target: done.content, **{(move_images or Path()) / name: held for name, held in done.moved.items()}}
        for path, held in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(held)
    except OSError as error:
        raise AtlasError(f"{error.filename}: {error.strerror}") from None
    if not quiet:
        click.echo(f"{target}: {done}")
