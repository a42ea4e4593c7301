"""What hosts of static sites take, and whether a site fits.

As their documentation says (see `source`), of the plans that cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from generator.forecasting.forecast import Forecast
from generator.pages.wording import counted


class Host(NamedTuple):
    """A host and its limits; 0 where it names none."""

    name: str
    files: int
    bytes: int  # of the site
    largest: int  # bytes of a file
    seconds: int
    source: str


HOSTS = (
    # The ten minutes are those of a deployment; a branch that is published by itself must be built in them too.
    Host(
        "GitHub Pages",
        files=0,
        bytes=10**9,
        largest=100 * 10**6,
        seconds=600,
        source="https://docs.github.com/en/pages/getting-started-with-github-pages/github-pages-limits",
    ),
    Host(
        "Cloudflare Pages, free",
        files=20_000,
        bytes=0,
        largest=25 * 2**20,
        seconds=0,
        source="https://developers.cloudflare.com/pages/platform/limits/",
    ),
    Host("Vercel", files=15_000, bytes=0, largest=0, seconds=0, source="https://vercel.com/docs/limits"),
)


class Fit(NamedTuple):
    """Whether a site fits a host."""

    host: Host
    exceeded: tuple[str, ...]  # a line for each limit that it is past; () where it fits


def fits_of(site: Forecast, seconds: float) -> tuple[Fit, ...]:
    """Each host, with the limits that a site is past that takes `seconds` to build."""
    return tuple(Fit(host, tuple(_exceeded(host, site, seconds))) for host in HOSTS)


def _exceeded(host: Host, site: Forecast, seconds: float) -> Iterator[str]:
    files = site.files + 1  # with the list of them that stands in the site
    if host.files and files > host.files:
        yield f"{files:,} files, {host.files:,} at most"
    if host.bytes and site.bytes > host.bytes:
        yield f"{in_bytes(site.bytes)}, {in_bytes(host.bytes)} at most"
    if host.largest and site.largest > host.largest:
        yield f"a file of {in_bytes(site.largest)}, {in_bytes(host.largest)} at most"
    if host.seconds and seconds > host.seconds:
        yield f"{counted(round(seconds / 60), 'minute')}, {host.seconds // 60} at most"


UNITS = ("KB", "MB", "GB", "TB")  # powers of 1,000


def in_bytes(count: float) -> str:
    """950 -> '950 bytes'; 1_250_000 -> '1.2 MB'; 25 * 2**20 -> '25 MiB'."""
    if count >= 2**20 and count % 2**20 == 0:
        return f"{count / 2**20:,.0f} MiB"
    power = 0
    while count >= 999.5 and power < len(UNITS):
        count, power = count / 1000, power + 1
    if not power:
        return f"{count:.0f} bytes"
    return f"{count:.1f} {UNITS[power - 1]}" if count < 9.95 else f"{count:,.0f} {UNITS[power - 1]}"
