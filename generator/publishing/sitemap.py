"""sitemap.xml: the addresses of all pages, for search engines; split where there are too many for one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

MOST = 50_000  # addresses that one file may hold (sitemaps.org, protocol 0.9)
_OPENING = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


def sitemaps(site_url: str, pages: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The sitemap of `pages`, relative to `site_url`: one file, or an index and its parts; none without a site_url.

    Yields:
        (relative path, bytes).
    """
    if not site_url:
        return
    parts = [pages[at : at + MOST] for at in range(0, len(pages), MOST)] or [pages]
    if len(parts) == 1:
        yield "sitemap.xml", _listing("urlset", "url", site_url, pages)
        return
    names = [f"sitemap/{number}.xml" for number in range(len(parts))]
    yield "sitemap.xml", _listing("sitemapindex", "sitemap", site_url, names)
    for name, part in zip(names, parts, strict=True):
        yield name, _listing("urlset", "url", site_url, part)


def count_sitemaps(site_url: str, pages: int) -> int:
    """How many files `sitemaps` yields for so many pages."""
    if not site_url:
        return 0
    return 1 if pages <= MOST else 1 + -(-pages // MOST)


def _listing(outer: str, inner: str, site_url: str, paths: Sequence[str]) -> bytes:
    """One file of addresses."""
    lines = [f"<{inner}><loc>{escape(site_url + path)}</loc></{inner}>" for path in paths]
    return "\n".join([f'{_OPENING}<{outer} xmlns="{_NAMESPACE}">', *lines, f"</{outer}>", ""]).encode("utf-8")
