"""What a site will be, held against the `budget` of its spec."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from generator.forecasting.forecast import Forecast
from generator.forecasting.hosts import in_bytes
from generator.progress import duration
from generator.spec import Spec


def past_budget(spec: Spec, site: Forecast, seconds: float, memory: float, models: Sequence[Forecast] = ()) -> list[str]:
    """A line for each limit that the site is past, or the faces of one of its models, with its place in the file."""
    own = [spec.problem(("budget", key), text) for key, text in _exceeded(spec, site, seconds, memory)]
    return [*own, *spec.past_faces({one.name: one.faces for one in models}, "about ")]


def _exceeded(spec: Spec, site: Forecast, seconds: float, memory: float) -> Iterator[tuple[str, str]]:
    limits = spec.budget
    if limits.bytes and site.bytes > limits.bytes:
        yield "bytes", f"found about {in_bytes(site.bytes)}, expected at most {in_bytes(limits.bytes)}"
    if limits.files and site.files > limits.files:
        yield "files", f"found {site.files:,} files, expected at most {limits.files:,}"
    if limits.seconds and seconds > limits.seconds:
        yield "seconds", f"found about {duration(seconds)}, expected at most {duration(limits.seconds)}"
    if limits.memory and memory > limits.memory:
        yield "memory", f"found about {in_bytes(memory)}, expected at most {in_bytes(limits.memory)}"
