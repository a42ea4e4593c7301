"""Pictures of every kind of page of the demo: `make screenshots` puts them into screenshots/, to be looked at and for the README.

`python -m browser.screenshots FOLDER [KIND ...]` takes those of some kinds only. The first 4,000 pixels of a page are shown.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from browser.kinds import KINDS, examples
from browser.programs import CHROMIUM_ARGUMENTS, find_chromium, missing
from browser.sites import write_demo

WIDTHS, THEMES, MOST = (1280, 390), ("light", "dark"), 4_000


def main(target: Path, kinds: tuple[str, ...]) -> int:
    """Take the pictures; 1 where there is no Chromium."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        path = find_chromium(playwright)
        if not path:
            print(missing("chromium"), file=sys.stderr)
            return 1
        target.mkdir(parents=True, exist_ok=True)
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        site = write_demo(Path(folder) / "site")
        taken = [take(browser, page, kind, target) for kind in kinds if kind != "alias" for page in shown(site, kind)]
        browser.close()
    print(f"{len(taken) * len(WIDTHS) * len(THEMES)} pictures in {target.resolve()}")
    return 0


def shown(site: Path, kind: str) -> list[Path]:
    """The longest page of a kind; of neurons one of each sort of layer."""
    pages = examples(site, kind)
    return pages if kind == "neuron" else sorted(pages, key=lambda page: page.stat().st_size)[-1:]


def take(browser: Browser, page: Path, kind: str, target: Path) -> None:
    """One page in both widths and themes: neuron-conv0-3-1280-dark.png."""
    name = f"{kind}-{page.parent.name}-{page.stem}" if kind == "neuron" else kind
    for width in WIDTHS:
        for theme in THEMES:
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce")
            view = context.new_page()
            view.goto(page.as_uri())
            view.wait_for_load_state("networkidle")
            tall = min(MOST, view.evaluate("document.documentElement.scrollHeight"))
            view.set_viewport_size({"width": width, "height": max(900, tall)})
            view.screenshot(path=target / f"{name}-{width}-{theme}.png")
            context.close()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(main(Path(arguments[0] if arguments else "screenshots"), tuple(arguments[1:]) or KINDS))
