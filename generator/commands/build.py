"""`atlas build`: the site of a spec."""

from __future__ import annotations

from pathlib import Path

import click

from generator.commands import jobs_option, spec_argument


@click.command()
@spec_argument
@click.option(
    "-o", "--output", metavar="DIR", type=click.Path(path_type=Path), help="Folder of the site, in place of the spec's."
)
@jobs_option
@click.option("--cluster", metavar="ADDRESS", default="", help="A Dask scheduler whose workers do the work: tcp://host:8786.")
@click.option(
    "--only", metavar="MODEL/LAYER", default="", help="Nothing but one layer and the faces of its neighbours, into SITE-only."
)
@click.option("--fresh", is_flag=True, help="Forget what was worked out before, and do it all again.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless it fails.")
def build(spec: str, output: Path | None, jobs: int | None, cluster: str, only: str, fresh: bool, quiet: bool) -> None:
    """Build the site of SPEC.

    What has not changed since the last build is not done again. The site is made in a folder beside the target and takes its
    place when it is whole.

    \b
    Examples:
      atlas build examples/squeezenet.yaml -o /tmp/squeezenet
      atlas build --only tiny-inception/mixed3a
      atlas build --cluster tcp://10.0.0.1:8786
    """
    from generator.build import Want
    from generator.build import build as run
    from generator.progress import Progress
    from generator.spec import load_spec
    from generator.workers import workers_of

    loaded = load_spec(spec)
    folder = loaded.folder / loaded.output.folder
    target = output or (folder.with_name(f"{folder.name}-only") if only else folder)
    summary = run(loaded, target, Progress(quiet), Want(workers_of(jobs, cluster), only, fresh))
    if not quiet:
        click.echo(f"{summary}\nto look at it, open {target / 'index.html'}")
