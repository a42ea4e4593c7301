"""How long the pages of neurons take, beside Hugo for the same rows and bytes.

python benchmarks/pages.py [--neurons N] [--repeat N] [--json FILE]

Renders N neurons with two tables of 20 rows, their 3 x 3 kernels, a factored picture, histograms and statistics, on one
process and on two, from facts in memory to files on a disk; then Hugo with the same pages. Times are the least of the repeats,
which take turns. Processor time is that of all processes together.

Of the same: the HTML of every page, byte for byte but for a line feed at its end. Not of the same: Hugo is handed finished
records, a JSON front matter for each page, in which numbers are words already, kernels and pictures are data addresses, and
links to neurons, factors, the histograms' paths and the rules of style are finished pieces. Making these (ranks to rows,
numbers to words, PNG files) is in our time and not in Hugo's; reading its front matter is in Hugo's. Without Hugo its part
is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # a process is to be one core
import numpy as np  # noqa: E402

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
import sample_facts as sample  # noqa: E402

from generator.analyses.statistics import statistics  # noqa: E402
from generator.look import Renderer  # noqa: E402
from generator.pages.common import ModelContext  # noqa: E402
from generator.pages.neuron import NeuronPage, NeuronPages  # noqa: E402
from generator.records import AtlasFacts, LayerFacts, ModelFacts  # noqa: E402

PAGES, GOAL = 27_560, 20.0  # of a ResNet-50; seconds on two cores
WIDTH, ROWS = 200, 20  # neurons of a layer, rows of a table


class Figure(NamedTuple):
    """A measured figure beside its goal."""

    value: float
    goal: float | None
    unit: str
    note: str = ""


class Took(NamedTuple):
    """Seconds: on the clock, and of processors."""

    wall: float
    cpu: float


# -- facts ----------------------------------------------------------------------------------------------------------------


def chain(neurons: int) -> AtlasFacts:
    """A chain of layers behind a colour picture. Those measured, `middle`, each have a layer before and one behind."""
    random = np.random.default_rng(0)
    names = ["input", *(f"layer{number}.conv" for number in range(max(1, neurons // WIDTH) + 2))]
    shapes = [(WIDTH, 3), *[(WIDTH, WIDTH)] * (len(names) - 2)]
    pairs = [
        sample.pair_of(sample.weights(*ends, random.standard_normal((*shape, 3, 3), np.float32)), ROWS)
        for *ends, shape in zip(names[:-1], names[1:], shapes, strict=True)
    ]
    first = sample.facts_of(sample.layer("input", "input", 3), pairs)
    layers = (first, *(facts_of(name, pairs) for name in names[1:]))
    return sample.atlas(ModelFacts("chain", sample.provenance(), (3, 64, 64), layers))


def middle(facts: AtlasFacts) -> range:
    """The places of the layers whose pages are measured."""
    return range(2, len(facts.models[0].layers) - 1)


def facts_of(name: str, pairs: list[Any]) -> LayerFacts:
    """A layer with everything that a page can say of its neurons."""
    bias, scale = np.random.default_rng(1).standard_normal((2, WIDTH)).astype(np.float32)
    reads = [pair.weights for pair in pairs if pair.weights.target == name]
    numbers = statistics(reads, bias, scale) if reads else None
    return sample.facts_of(sample.layer(name, "Conv2d", WIDTH, (3, 3)), pairs, statistics=numbers)


# -- ours -----------------------------------------------------------------------------------------------------------------


def render(facts: AtlasFacts, places: range, folder: Path) -> int:
    """Writes the pages of the neurons of some layers; returns their bytes."""
    context, renderer, size = ModelContext(facts, facts.models[0]), Renderer(facts), 0
    for place in places:
        view = context.views[facts.models[0].layers[place].layer.address]
        (folder / view.folder).mkdir(parents=True, exist_ok=True)
        for unit, page in NeuronPages(context, place).pages():
            content = renderer.html("neuron.html", page=page)
            (folder / view.page(unit)).write_bytes(content)
            size += len(content)
    return size


def ours(processes: int, facts: AtlasFacts, folder: Path) -> int:
    """All pages, on so many processes, which share the facts as they came (by fork)."""
    layers = middle(facts)
    if processes == 1:
        return render(facts, layers, folder)
    global SHARED
    SHARED = facts
    with ProcessPoolExecutor(processes, get_context("fork")) as pool:
        return sum(pool.map(part, [layers[start::processes] for start in range(processes)], [folder] * processes))


SHARED: AtlasFacts


def part(places: range, folder: Path) -> int:
    """One process's share."""
    return render(SHARED, places, folder)


# -- Hugo -----------------------------------------------------------------------------------------------------------------

CONFIG = """baseURL = "https://example.org/"
uglyURLs = true
disablePathToLower = true
disableKinds = ["taxonomy", "term", "RSS", "sitemap", "robotsTXT", "404", "home", "section"]
"""
STYLES = "<link rel=stylesheet href={0}theme.css>\n<link rel=stylesheet href={0}atlas.css>\n<script src={0}atlas.js></script>"
ROW = re.compile(r"<tr><th>(.*?)<td>([^<]*)<td>([^<]*)<td(?: class=(.))?>(\w+)</tr>\n")


@cache
def layout() -> str:
    """Hugo's template: ours for a neuron, written out in its language."""
    return (Path(__file__).with_name("hugo_neuron.html")).read_text("utf-8")


def hugo_site(facts: AtlasFacts, folder: Path) -> None:
    """The source of Hugo's site: its settings, one template, a content file for each page."""
    context = ModelContext(facts, facts.models[0])
    (folder / "layouts/_default").mkdir(parents=True)
    (folder / "layouts/_default/single.html").write_text(layout(), "utf-8")
    (folder / "config.toml").write_text(CONFIG, "utf-8")
    for place in middle(facts):
        view = context.views[facts.models[0].layers[place].layer.address]
        (folder / "content" / view.folder).mkdir(parents=True)
        for unit, page in NeuronPages(context, place).pages():
            text = json.dumps(front_matter(facts, page), ensure_ascii=False)
            (folder / "content" / view.folder / f"{unit}.md").write_text(text + "\n", "utf-8")


def front_matter(facts: AtlasFacts, page: NeuronPage) -> dict[str, Any]:
    """A page's record as Hugo reads it."""
    common = page.common
    said = {name: value for name, value in page._asdict().items() if name not in ("common", "reads", "writes")}
    said |= {"picture": page.picture._asdict() if page.picture else None}
    said |= {"reads": [table_of(one) for one in page.reads], "writes": [table_of(one) for one in page.writes]}
    said |= {f"common_{name}": value for name, value in common._asdict().items()}
    said["sheet"] = page.sheet.strip()
    said["styles"] = STYLES.format(common.root)
    said |= {"authors": facts.authors, "licence": facts.licence, "atlas": facts.title, "title": common.title, "families": []}
    return said


def table_of(table: Any) -> dict[str, Any]:
    """A table with its rows cell by cell."""
    names = ("link", "norm", "share", "side", "word")
    rows = [dict(zip(names, found, strict=True)) for found in ROW.findall(table.rows)]
    assert len(rows) == table.rows.count("<tr>") - 1
    spread = table.spread._asdict() if table.spread else None
    place = re.match(r"<table id=\S+ ([^>]*)>", table.rows)
    return {**table._asdict(), "rows": rows, "spread": spread, "place": place[1] if place else ""}


def hugo(source: Path, target: Path) -> int:
    """Hugo's build of that site; returns the bytes of its pages."""
    command = ["hugo", "--source", str(source), "--destination", str(target), "--quiet", "--noTimes"]
    subprocess.run(command, check=True, capture_output=True)
    return sum(path.stat().st_size for path in target.rglob("*.html"))


# -- measuring ------------------------------------------------------------------------------------------------------------


def timed(run: Callable[[Path], int]) -> tuple[Took, int]:
    """What a run takes that writes to a new folder, and the bytes that it says it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        before, start = _cpu(), time.perf_counter()
        size = run(Path(folder))
        return Took(time.perf_counter() - start, _cpu() - before), size


def _cpu() -> float:
    """Processor time of this process and of those that it has waited for."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measure(neurons: int = 2000, repeat: int = 3) -> dict[str, Figure]:
    """Every figure of this benchmark by name."""
    facts = chain(neurons)
    pages = WIDTH * len(middle(facts))
    with tempfile.TemporaryDirectory() as folder:
        runs: dict[str, Callable[[Path], int]] = {
            "one process": lambda to: ours(1, facts, to),
            "two processes": lambda to: ours(2, facts, to),
        }
        if shutil.which("hugo"):
            hugo_site(facts, Path(folder))
            runs["Hugo"] = lambda to: hugo(Path(folder), to)
        took: dict[str, list[Took]] = {name: [] for name in runs}
        sizes = {}
        for _ in range(repeat):
            for name, run in runs.items():
                one, sizes[name] = timed(run)
                took[name].append(one)
    return dict(_figures(took, sizes, pages))


def _figures(took: dict[str, list[Took]], sizes: dict[str, int], pages: int) -> Iterator[tuple[str, Figure]]:
    for name, every in took.items():
        wall, cpu = min(one.wall for one in every), min(one.cpu for one in every)
        yield f"{name}, clock", Figure(1e3 * wall / pages, None, "ms a page")
        yield f"{name}, processors", Figure(1e3 * cpu / pages, 1.45 if name == "one process" else None, "ms a page")
        note = f"from {pages:,} pages of {sizes[name] / pages:,.0f} bytes"
        yield f"{name}, {PAGES:,} pages, processors", Figure(PAGES * cpu / pages, None, "s", "two cores share it")
        yield f"{name}, {PAGES:,} pages", Figure(PAGES * wall / pages, GOAL if name == "two processes" else None, "s", note)
    if "Hugo" not in took:
        yield "ours over Hugo", Figure(float("nan"), 1.0, "times", "Hugo is not installed (Debian: apt-get install hugo)")
        return
    best = {name: (min(one.wall for one in every), min(one.cpu for one in every)) for name, every in took.items()}
    note = f"Hugo's pages have {sizes['Hugo'] / sizes['one process']:.1%} of our bytes; it makes no PNG and words no number"
    yield "two processes over Hugo, clock", Figure(best["two processes"][0] / best["Hugo"][0], 1.0, "times", note)
    yield "one process over Hugo, processors", Figure(best["one process"][1] / best["Hugo"][1], 1.0, "times", note)


def main() -> int:
    """Measure, print, write JSON where asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = measure(given.neurons, given.repeat)
    for name, one in figures.items():
        goal = "" if one.goal is None else f"goal {one.goal:g}"
        print(f"{name:36} {one.value:8.3f} {one.unit:10} {goal:10} {one.note}")
    if given.json:
        given.json.write_text(json.dumps([{"name": name, **one._asdict()} for name, one in figures.items()], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
