"""What browser tests share: sites, a host, and pages that must be clean.

    def test_the_page_says_its_layer(visit, sample_site):
        page = visit(sample_site / "small/mixed/0.html", width=390, theme="dark")
        assert page.get_by_role("heading", level=1).inner_text() == "mixed:0"

`visit(place, width=1280, theme="light", **context)` opens a file (a Path, over file://) or an address (a string) in a
browser context of its own and gives Playwright's `Page`. When the test ends it fails if any page that it visited wrote an
error to the console, threw, asked for something that is not there or not on this machine, or can be scrolled sideways.
`page.problems` is the list of these so far; a test that provokes one clears it. With `clean=False` nothing is checked.

`at(folder, path)` gives the address of a page and makes the test run twice: over file://, and over http under a sub-path.
`host(folder, prefix="/sub/path/", squeeze=True)` serves a folder and gives its address, which ends in a slash.
Folders, written once a session: `sample_site` (of `sample_facts.py`, which see), `published_site` (the same with a
site_url), `demo_site` (the bundled network, ten seconds), `wide_site` (three layers of 2,048 neurons).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sample_facts as sample
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from browser.host import Host
from browser.programs import CHROMIUM_ARGUMENTS, find_chromium, missing
from browser.sites import wide_facts, write, write_demo

SITE_URL = "https://example.org/sub/path/"
NEAR = ("file:", "data:", "blob:", "about:", "http://127.0.0.1:")  # requests that do not leave this machine


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = find_chromium(playwright)
        if not path:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(missing("chromium"))
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Page]]:
    opened: list[Page] = []

    def visit(place: Path | str, width: int = 1280, theme: str = "light", clean: bool = True, **context: object) -> Page:
        size = {"width": width, "height": 844 if width < 600 else 900}
        page = browser.new_context(viewport=size, color_scheme=theme, **context).new_page()
        page.set_default_timeout(20_000)
        page.problems = []
        if clean:
            watch(page)
            opened.append(page)
        page.goto(place.as_uri() if isinstance(place, Path) else place)
        return page

    yield visit
    problems = [line for page in opened for line in told(page)]
    for context in browser.contexts:
        context.close()
    assert not problems, "\n".join(problems)


def watch(page: Page) -> None:
    """Keep a list of what goes wrong on a page."""

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            page.problems.append(f"console: {message.text} ({message.location.get('url', '')})")

    def on_request(request: Request) -> None:
        if not request.url.startswith(NEAR):
            page.problems.append(f"left the site: {request.url}")

    def on_response(response: Response) -> None:
        if response.status >= 400:
            page.problems.append(f"answered {response.status}: {response.url}")

    def on_failure(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left while it still loaded
            page.problems.append(f"failed: {request.url}: {request.failure}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: page.problems.append(f"threw: {error}"))
    page.on("request", on_request)
    page.on("response", on_response)
    page.on("requestfailed", on_failure)


def told(page: Page) -> list[str]:
    """What went wrong on a page, and whether it is wider than its window now."""
    if page.is_closed():
        return page.problems
    over = settled(page, "document.documentElement.scrollWidth - document.documentElement.clientWidth")
    wide = [f"{over} px wider than its window of {page.viewport_size['width']}"] if over > 0 else []
    return [f"{page.url}: {line}" for line in page.problems + wide]


def settled(page: Page, script: str) -> int:
    """What a script answers on a page that may still be on its way to another, as a key or a click may have asked for."""
    page.wait_for_load_state()
    try:
        return page.evaluate(script)
    except PlaywrightError:  # the page was left meanwhile
        page.wait_for_load_state()
        return page.evaluate(script)


@pytest.fixture(scope="package")
def host() -> Iterator[Callable[..., str]]:
    hosts: dict[tuple, Host] = {}

    def host(folder: Path, prefix: str = "/sub/path/", squeeze: bool = True) -> str:
        key = (folder, prefix, squeeze)
        if key not in hosts:
            hosts[key] = Host(*key)
        return hosts[key].url

    yield host
    for one in hosts.values():
        one.close()


@pytest.fixture(params=["file", "http"])
def at(request, host) -> Callable[[Path, str], str]:
    """The address of a page of a site: over file://, then over http under a sub-path."""
    if request.param == "file":
        return lambda folder, path: f"{folder.as_uri()}/{path}"
    return lambda folder, path: host(folder) + path


@pytest.fixture(scope="package")
def sample_site(tmp_path_factory) -> Path:
    return write(sample.sample_atlas(), tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="package")
def published_site(tmp_path_factory) -> Path:
    return write(sample.atlas(sample.sample_model(), site_url=SITE_URL), tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="package")
def demo_site(tmp_path_factory) -> Path:
    return write_demo(tmp_path_factory.mktemp("demo") / "site")


@pytest.fixture(scope="package")
def wide_site(tmp_path_factory) -> Path:
    return write(wide_facts(), tmp_path_factory.mktemp("wide"))
