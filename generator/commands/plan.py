"""`atlas plan`: what a build will make and take, before anything is made."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from generator.commands import jobs_option, spec_argument
from generator.errors import BudgetError

if TYPE_CHECKING:
    from generator.forecasting.forecast import Forecast
    from generator.forecasting.hosts import Fit

COUNTS = ("model", "layers", "neurons", "connections", "pages", "files")
HEADS = (*COUNTS, "bytes", "largest file", "widest folder", "seconds", "memory", "faces", "faces at most")
ALL = "the site"
AT_MOST = "at most, as feature visualizations may end before their last step"  # said of the time


@click.command()
@spec_argument
@jobs_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Do not tell how far it is.")
def plan(spec: str, jobs: int | None, as_json: bool, quiet: bool) -> None:
    """Tell what a build of SPEC will make and take, before anything is made.

    Files are counted; bytes, seconds and memory are told from a sample of every layer's neurons, seconds only roughly. "faces"
    are the bytes of all faces of a neuron. Past a limit of the spec's `budget`, or past its `faces.bytes` even at the lowest
    quality, it ends with 3. Piped, the columns are separated by tabs.

    \b
    Examples:
      atlas plan
      atlas plan examples/vgg16.yaml --json
    """
    from generator.forecasting.budget import past_budget
    from generator.forecasting.forecast import forecast, memory_with, seconds_with
    from generator.forecasting.hosts import fits_of
    from generator.progress import Progress
    from generator.spec import load_spec
    from generator.workers import workers_of

    loaded, workers = load_spec(spec), workers_of(jobs)
    site, models = forecast(loaded, workers, Progress(quiet or as_json))
    seconds, memory = seconds_with(site, len(models), workers.jobs), memory_with(site, workers.jobs)
    fits, past = fits_of(site, seconds), past_budget(loaded, site, seconds, memory, models)
    if as_json:
        click.echo(_json(site, models, fits, seconds, memory, workers.jobs, past))
    elif sys.stdout.isatty():
        _draw(site, models, fits, seconds, memory, workers.jobs)
    else:
        click.echo("\n".join(_plain(site, models, fits, seconds, memory)))
    if past:
        raise BudgetError(past)


def _json(
    site: Forecast, models: Sequence[Forecast], fits: Sequence[Fit], seconds: float, memory: int, jobs: int, past: Sequence[str]
) -> str:
    told = {"seconds": round(seconds, 1), "at_most": site.at_most, "kept": site.kept, "memory": memory}
    said = {
        "site": {**_row(site), "jobs": jobs, **told},
        "models": [{"name": one.name, **_row(one)} for one in models],
        "hosts": [
            {"name": one.host.name, "fits": not one.exceeded, "exceeded": one.exceeded, "source": one.host.source}
            for one in fits
        ],
        "past_budget": past,
    }
    return json.dumps(said, ensure_ascii=False, indent=2)


def _row(one: Forecast) -> dict[str, object]:
    """The numbers of a forecast by name."""
    said = {name: getattr(one, name) for name in ("layers", "neurons", "kernels", "pages", "files", "bytes", "faces")}
    if one.face_budget:
        said["faces_at_most"] = one.face_budget
    return {
        **said,
        "largest_file": one.largest,
        "widest_folder": {"path": one.where, "entries": one.widest},
        "processor_seconds": round(one.seconds, 1),
    }


def _plain(site: Forecast, models: Sequence[Forecast], fits: Sequence[Fit], seconds: float, memory: int) -> list[str]:
    """Lines of columns between tabs: the models and the site, then the hosts."""
    rows = ["\t".join(HEADS)]
    for one in (*models, site):
        numbers = (one.layers, one.neurons, one.kernels, one.pages, one.files, one.bytes, one.largest, one.widest)
        took, most = (round(one.seconds), "") if one.name else (round(seconds), str(memory))
        rows.append(
            "\t".join((one.name or ALL, *map(str, numbers), str(took), most, str(one.faces), str(one.face_budget or "")))
        )
    hosts = ("\t".join((one.host.name, "no" if one.exceeded else "yes", "; ".join(one.exceeded))) for one in fits)
    kept = f"# the seconds are without what is kept of its {' and '.join(site.kept)}"
    notes = [note for note, there in ((kept, site.kept), (f"# the seconds are {AT_MOST}", site.at_most)) if there]
    return [*rows, *notes, "", "\t".join(("host", "fits", "because")), *hosts]


def _draw(site: Forecast, models: Sequence[Forecast], fits: Sequence[Fit], seconds: float, memory: int, jobs: int) -> None:
    """The same as tables for a terminal, and a few lines."""
    from rich.console import Console
    from rich.table import Table

    from generator.forecasting.hosts import in_bytes
    from generator.progress import duration

    console = Console()
    table, hosts = (Table(box=None, header_style="bold") for _ in range(2))
    for head in (*COUNTS, "bytes", "a neuron’s faces", "largest file"):
        table.add_column(head, justify="left" if head == "model" else "right")
    for one in (*models, site):
        counts = (f"{number:,}" for number in (one.layers, one.neurons, one.kernels, one.pages, one.files))
        faces = in_bytes(one.faces) + (f" of {in_bytes(one.face_budget)}" if one.face_budget else "")
        table.add_row(one.name or ALL, *counts, in_bytes(one.bytes), faces, in_bytes(one.largest))
    for head in ("host", "fits", "because"):
        hosts.add_column(head)
    for fit in fits:
        hosts.add_row(fit.host.name, "no" if fit.exceeded else "yes", "; ".join(fit.exceeded))
    workers = "one process" if jobs == 1 else f"{jobs} processes"
    kept = f" but what is kept of its {' and '.join(site.kept)}" if site.kept else ""
    most = f"; {AT_MOST}" if site.at_most else ""
    held = f", {in_bytes(memory)} of memory" if memory else ""
    console.print(table, markup=False)
    click.echo(f"\nwidest folder: {site.where}, {site.widest:,} entries")
    click.echo(f"a build from nothing{kept}, roughly: {duration(seconds)} with {workers}{held}{most}\n")
    console.print(hosts, markup=False)
