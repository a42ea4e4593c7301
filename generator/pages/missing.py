"""The page that hosts answer a missing address with."""

from __future__ import annotations

from urllib.parse import urlsplit

from generator.pages.common import Common, Link
from generator.records import AtlasFacts


def missing_page(atlas: AtlasFacts) -> Common:
    """What 404.html has in common with other pages.

    It is answered at addresses of any depth, so its ways begin at the root of the host: at the path of site_url. Without one
    the page links nowhere.
    """
    root = urlsplit(atlas.site_url).path if atlas.site_url else ""
    trail = (Link(f"{root}index.html", atlas.title),) if root else ()
    return Common(root, f"No page here · {atlas.title}", trail, "No page here", "", f"A missing page of {atlas.title}")
