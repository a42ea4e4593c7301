"""Checks beyond the suite, on the whole demo: `make check-pages` and `make test-browsers`.

`pages` holds every page against the Nu checker and html-validate, and one page of each kind against Lighthouse.
`firefox` uses the demo in Firefox, over http under a sub-path and over file:// with the strict policy on.
What they need from npm is installed beside this file once, in the versions of package.json. ATLAS_DEMO spares the build.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from browser.host import Host
from browser.kinds import KINDS, examples
from browser.programs import find, missing
from browser.sites import write_demo

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
LEAST = 95  # of Lighthouse's hundred, in every category
CHUNK = 200  # pages to one run of html-validate
NEWER = ("container-type", "@container", "vector-effect")  # in CSS, that the Nu checker's part for style sheets does not know
CHROME = "--headless=new --no-sandbox --disable-gpu --disable-background-networking"


def main(check: str) -> int:
    """Run one of CHECKS; 0 where nothing was found, 1 where something was."""
    needed, run = CHECKS[check]
    absent = [missing(program) for program in needed if not find(program)]
    if absent:
        print("\n".join(absent), file=sys.stderr)
        return 1
    install()
    with tempfile.TemporaryDirectory() as folder:
        print("Building the demo.", flush=True)
        return int(not run(write_demo(Path(folder) / "site")))


def install() -> None:
    """What package.json names, unless it is there already."""
    made = MODULES / ".package-lock.json"
    if made.exists() and made.stat().st_mtime > (HERE / "package.json").stat().st_mtime:
        return
    print("Installing what package.json names, once: half a minute, 240 MB.", flush=True)
    options = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    subprocess.run([find("npm"), "install", *options], cwd=HERE, check=True, stdout=subprocess.DEVNULL)


def table(rows: Iterable[Sequence[object]]) -> None:
    """Rows of cells, in columns; the first row is the head."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), flush=True)


# -- the pages themselves -----------------------------------------------------------------------------------------------


def check_pages(site: Path) -> bool:
    """Every page by the Nu checker and html-validate, one of each kind by Lighthouse."""
    pages = sorted(site.rglob("*.html"))
    print(f"{len(pages):,} pages. The Nu checker: half a minute. html-validate: a minute or two.", flush=True)
    found = {"Nu checker": nu(site), "html-validate": html_validate(pages)}
    table([("checker", "pages", "errors"), *((name, len(pages), len(errors)) for name, errors in found.items())])
    for name, errors in found.items():
        show(name, errors, site)
    print("Lighthouse, one page of each kind: two minutes.", flush=True)
    return lighthouse(site) and not any(found.values())


def show(name: str, errors: list[tuple[str, str]], site: Path) -> None:
    """The errors by kind, commonest first, each with a page that has it."""
    first: dict[str, str] = {}
    for page, message in errors:
        first.setdefault(message, os.path.relpath(page, site))
    for message, count in Counter(message for _, message in errors).most_common(20):
        print(f"  {name}: {count} x {message}, as on {first[message]}", flush=True)


def nu(site: Path) -> list[tuple[str, str]]:
    """(page, message) of each error that the Nu checker finds in pages and style sheets."""
    jar = MODULES / "vnu-jar" / "build" / "dist" / "vnu.jar"
    options = ("--errors-only", "--format", "json", "--skip-non-html", "--also-check-css")
    command = [find("java"), "-jar", str(jar), *options, str(site)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    found = [(one.get("url", "").removeprefix("file:"), one["message"]) for one in json.loads(said)["messages"]]
    return [one for one in found if not (one[0].endswith(".css") and any(name in one[1] for name in NEWER))]


def html_validate(pages: list[Path]) -> list[tuple[str, str]]:
    """(page, message) of each error that html-validate finds under htmlvalidate.mjs."""
    chunks = [pages[start : start + CHUNK] for start in range(0, len(pages), CHUNK)]
    with ThreadPoolExecutor(os.cpu_count()) as several:
        return [error for errors in several.map(html_validate_chunk, chunks) for error in errors]


def html_validate_chunk(pages: list[Path]) -> list[tuple[str, str]]:
    """The same by one run of html-validate."""
    command = [str(MODULES / ".bin" / "html-validate"), "--config", str(HERE / "htmlvalidate.mjs"), "--formatter", "json"]
    with tempfile.TemporaryFile("w+") as said:  # a pipe would be cut off: html-validate ends without emptying it
        subprocess.run([*command, *map(str, pages)], stdout=said, check=False)
        said.seek(0)
        reports = json.load(said)
    return [(one["filePath"], f"{it['ruleId']}: {it['message']}") for one in reports for it in one["messages"]]


def lighthouse(site: Path) -> bool:
    """Whether the longest page of each kind reaches LEAST in each of CATEGORIES; prints all of their scores."""
    host = Host(site)
    rows: list[tuple] = [("kind", *CATEGORIES, "page")]
    short = []
    for kind in KINDS:
        pages = [] if kind == "alias" else sorted(examples(site, kind), key=lambda page: (page.stat().st_size, page))[-1:]
        for page in pages:
            address = page.relative_to(site).as_posix()
            scores, failed = score(host.url + address)
            rows.append((kind, *scores.values(), address))
            short += [f"  {kind}: {line}" for line in failed if min(scores.values()) < LEAST]
    host.close()
    table(rows)
    print("\n".join(short))
    return all(value >= LEAST for row in rows[1:] for value in row[1:-1])


def score(address: str) -> tuple[dict[str, int], list[str]]:
    """Lighthouse's scores for an address by category, and the audits that it fails."""
    options = ("--quiet", "--output=json", f"--chrome-flags={CHROME}", f"--only-categories={','.join(CATEGORIES)}")
    environment = {**os.environ, "CHROME_PATH": find("chromium")}
    command = [str(MODULES / ".bin" / "lighthouse"), address, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"Lighthouse: {address}: {done.stderr[-2_000:]}")
    report = json.loads(done.stdout)
    scores = {name: round(100 * (report["categories"][name]["score"] or 0)) for name in CATEGORIES}
    weighed = {one["id"] for name in CATEGORIES for one in report["categories"][name]["auditRefs"] if one["weight"]}
    audits = [audit for name, audit in report["audits"].items() if name in weighed and (audit["score"] or 0) < 0.9]
    return scores, [f"{one['id']}: {one.get('displayValue', '')} {one['title']}" for one in audits if one["score"] is not None]


# -- in Firefox ------------------------------------------------------------------------------------------------------------


def check_firefox(site: Path) -> bool:
    """Whether firefox.mjs found everything in order."""
    host = Host(site)
    with tempfile.TemporaryDirectory() as folder:
        outside = Host(Path(folder), "/host/")  # pages that frame ours: another folder, another origin
        asked = {"firefox": find("firefox"), "outside": folder, "places": {"file": site.as_uri() + "/", "http": host.url}}
        asked["pages"] = [page.relative_to(site).as_posix() for kind in KINDS for page in examples(site, kind)]
        asked["hosts"] = {"file": Path(folder).as_uri() + "/", "http": outside.url}
        done = subprocess.run(["node", str(HERE / "firefox.mjs"), json.dumps(asked)], check=False)
        outside.close()
    host.close()
    return done.returncode == 0


CHECKS: dict[str, tuple[tuple[str, ...], Callable[[Path], bool]]] = {
    "pages": (("java", "npm", "chromium"), check_pages),
    "firefox": (("npm", "firefox"), check_firefox),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
