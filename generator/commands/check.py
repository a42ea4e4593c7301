"""`atlas check`: is a spec right? Is a built site whole?"""

from __future__ import annotations

from pathlib import Path

import click

from generator.errors import FAILED


@click.command()
@click.argument("spec", required=False)
@click.option("--site", metavar="DIR", type=click.Path(path_type=Path), help="Check a built site in place of a spec.")
def check(spec: str | None, site: Path | None) -> None:
    """Check SPEC, its models and their layers; compute nothing. Or check the site in DIR.

    Of a site: every link, anchor, picture and file it refers to is there, no request leaves it, and every row of a table says
    what its layer's numbers and its mirror on the other page say.

    \b
    Examples:
      atlas check examples/vgg16.yaml
      atlas check --site site
    """
    if site is not None and spec is not None:
        raise click.UsageError("--site takes no SPEC: it checks a site that is built.")
    if site is not None:
        _check_site(site)
        return
    if spec is not None and Path(spec).is_dir():
        raise click.UsageError(f"{spec} is a folder, not a spec. A built site? atlas check --site {spec}")
    from generator.spec import load_spec

    loaded = load_spec(spec or "atlas.yaml")
    from generator.build import check as run

    for line in run(loaded):
        click.echo(line)


def _check_site(folder: Path) -> None:
    """One line for each problem, or one that sums up what was found good."""
    from generator.pages import wording
    from generator.publishing.sitecheck import SHOWN, check_site

    report = check_site(folder)
    if not report.problems:
        click.echo(report.summary)
        return
    for line in report.problems[:SHOWN]:
        click.echo(line)
    more = len(report.problems) - SHOWN
    many = wording.counted(len(report.problems), "problem")
    click.echo(f"{many}{f', {more:,} of them not shown' if more > 0 else ''}", err=True)
    raise SystemExit(FAILED)
