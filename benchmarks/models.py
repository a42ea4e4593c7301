"""Many models in one spec, on a cluster of two workers on this machine; and what a thousand would take.

python benchmarks/models.py [--json FILE] [--models N] [--few N] [--folder DIR]

Twenty architectures of torchvision with random weights, every layer that `auto` takes and every neuron of them, in one cold
build with `--cluster`; before it the smallest few of them, on one worker and on two. Told are wall-clock and processor time and
the peak memory (its part of what it shares included, sampled twice a second) of each process. What a thousand would take is
drawn from the growth between the few and all. Needs Dask, /proc (Linux) and 8 GB of disk; set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builds import ROOT, processor, proportional

MODELS = (  # smallest first
    "squeezenet1_1 squeezenet1_0 shufflenet_v2_x0_5 resnet18 googlenet mobilenet_v3_small shufflenet_v2_x1_0 alexnet "
    "densenet121 mnasnet0_5 shufflenet_v2_x1_5 resnet34 mobilenet_v3_large mnasnet0_75 shufflenet_v2_x2_0 regnet_y_400mf "
    "mobilenet_v2 regnet_y_800mf mnasnet1_0 efficientnet_b0"
).split()
FEW, MANY = 5, 1000
WORKERS = 100  # of the cluster that the thousand are told for
STEP = 0.5  # seconds between two looks at the processes


@dataclass(frozen=True)
class Process:
    """What one process took."""

    cpu: float  # seconds
    memory: int  # bytes at its peak


@dataclass(frozen=True)
class Size:
    """A model on disk."""

    layers: int
    pages: int
    files: int
    bytes: int


@dataclass(frozen=True)
class Run:
    """One build."""

    wall: float  # seconds
    processes: dict[str, Process]  # 'atlas build', 'scheduler', 'worker 1', ...
    models: dict[str, Size]
    cache: int  # bytes

    @property
    def total(self) -> Size:
        """All models together."""
        sizes = [vars(each) for each in self.models.values()]
        return Size(**{name: sum(each[name] for each in sizes) for name in ("layers", "pages", "files", "bytes")})

    @property
    def work(self) -> float:
        """Seconds of processor time of the workers."""
        return sum(each.cpu for name, each in self.processes.items() if name.startswith("worker"))


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[tuple[str, dict[str, int]]]:
    """The address of a scheduler on this machine with so many workers, and the numbers of their processes."""
    file, started = folder / "scheduler.json", {}
    try:
        started["scheduler"] = dask(folder, "scheduler", "--port", "0", "--scheduler-file", str(file))
        while not (file.exists() and file.stat().st_size):
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        for number in range(1, workers + 1):
            own = folder / f"worker{number}"
            own.mkdir()
            started[f"worker {number}"] = dask(
                own, "worker", address, "--nthreads", "1", "--no-nanny", "--local-directory", str(own)
            )
        yield address, {name: process.pid for name, process in started.items()}
    finally:
        for process in reversed(started.values()):
            process.terminate()
            process.wait()


def dask(folder: Path, kind: str, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "dask", kind, "--no-dashboard", "--host", "127.0.0.1", *arguments]
    with open(folder / "log", "w") as log:
        return subprocess.Popen(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log)


def build(folder: Path, models: list[str], workers: int) -> Run:
    """Build an atlas of some models on a cluster of its own, in a new folder."""
    folder.mkdir()
    lines = [f"  - {{name: {name}, source: 'torchvision:{name}', weights: none}}" for name in models]
    (folder / "atlas.yaml").write_text("\n".join(["title: Many models", "models:", *lines, ""]))
    with cluster(folder, workers) as (address, pids):
        began = time.perf_counter()
        command = [sys.executable, "-m", "generator", "build", "--cluster", address]
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})
        found = watched(process, {"atlas build": process.pid, **pids})
        wall = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"the build in {folder} failed")
    cache = sum(path.stat().st_size for path in (folder / ".atlas-cache").rglob("*") if path.is_file())
    return Run(wall, found, {name: size_of(folder / "site" / name) for name in models}, cache)


def watched(process: subprocess.Popen, pids: dict[str, int]) -> dict[str, Process]:
    """What each process takes until the first ends."""
    before = {name: processor(pid) for name, pid in pids.items()}
    spent, memory = dict.fromkeys(pids, 0.0), dict.fromkeys(pids, 0)
    while process.poll() is None:
        for name, pid in pids.items():
            spent[name] = max(spent[name], processor(pid) - before[name])
            memory[name] = max(memory[name], proportional(pid))
        time.sleep(STEP)
    return {name: Process(spent[name], memory[name]) for name in pids}


def size_of(folder: Path) -> Size:
    """The pages of a model."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    pages = sum(path.suffix == ".html" for path in files)
    layers = sum(path.name == "layer.json" for path in files)
    return Size(layers, pages, len(files), sum(path.stat().st_size for path in files))


def thousand(few: Run, all_: Run) -> dict[str, float]:
    """What `MANY` models of the mean size of all would take.

    The workers' time and the bytes go with the pages. What the process that leads takes is drawn as a straight line through few
    and all, over the models for its memory and over the pages for its time.
    """
    pages = all_.total.pages / len(all_.models) * MANY
    leader, before = all_.processes["atlas build"], few.processes["atlas build"]
    a_page = (leader.cpu - before.cpu) / (all_.total.pages - few.total.pages)
    a_model = max(0.0, (leader.memory - before.memory) / (len(all_.models) - len(few.models)))
    lead = leader.cpu + a_page * (pages - all_.total.pages)
    work = all_.work / all_.total.pages * pages
    return {
        "pages": pages,
        "hours of work": work / 3600,
        "hours of leading": lead / 3600,
        "hours on the cluster": max(lead, work / WORKERS) / 3600,
        "GB of site": all_.total.bytes / all_.total.pages * pages / 1e9,
        "GB of cache": all_.cache / all_.total.pages * pages / 1e9,
        "GB of memory, leading": (leader.memory + a_model * (MANY - len(all_.models))) / 1e9,
        "GB of memory, a worker": max(each.memory for name, each in all_.processes.items() if name.startswith("worker")) / 1e9,
    }


def figures(one: Run, few: Run, all_: Run) -> list[dict[str, Any]]:
    """Every figure of the table of all benchmarks."""
    count, small = len(all_.models), len(few.models)
    told = thousand(few, all_)
    found = [
        (f"{count} models on two workers", all_.wall, "s", f"{all_.total.pages:,} pages, {all_.work:.0f} s of processor time"),
        (f"{small} models, two workers against one", one.wall / few.wall, "times", f"one: {one.wall:.1f} s"),
        ("work a page, all models against few", all_.work / all_.total.pages / (few.work / few.total.pages), "times", ""),
        (f"{MANY:,} models on {WORKERS} workers", told["hours on the cluster"], "h", f"{told['hours of work']:.1f} h of work"),
    ]
    return [{"name": name, "value": value, "goal": "", "unit": unit, "note": note} for name, value, unit, note in found]


def tell(name: str, run: Run) -> None:
    """Print what one build took."""
    total = run.total
    print(f"\n{name}: {run.wall:.1f} s, {total.pages:,} pages, {total.files:,} files, {total.bytes / 1e6:,.0f} MB")
    print(f"  {run.work / total.pages * 1e3:.2f} ms of the workers' processor time a page; cache {run.cache / 1e6:,.0f} MB")
    for who, each in run.processes.items():
        print(f"  {who:12} {each.cpu:8.1f} s of processor time {each.memory / 1e6:8,.0f} MB at its peak")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--models", type=int, default=len(MODELS), help="how many of them")
    parser.add_argument("--few", type=int, default=FEW)
    parser.add_argument("--folder", type=Path, help="where the sites go; they are removed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        one = build(Path(place) / "one", MODELS[: given.few], 1)
        few = build(Path(place) / "few", MODELS[: given.few], 2)
        all_ = build(Path(place) / "all", MODELS[: given.models], 2)
    print(f"\n{'model':20} {'layers':>7} {'pages':>8} {'files':>8} {'MB':>8} {'bytes a page':>13}")
    for name, size in all_.models.items():
        each = size.bytes / size.pages
        print(f"{name:20} {size.layers:7} {size.pages:8,} {size.files:8,} {size.bytes / 1e6:8.1f} {each:13,.0f}")
    tell(f"{len(one.models)} models, one worker", one)
    tell(f"{len(few.models)} models, two workers", few)
    tell(f"{len(all_.models)} models, two workers", all_)
    print(f"\n{MANY:,} models of the mean size of these, with {WORKERS} workers:")
    for name, value in thousand(few, all_).items():
        print(f"  {name:26} {value:12,.1f}")
    if given.json:
        given.json.write_text(json.dumps(figures(one, few, all_), indent=1))


if __name__ == "__main__":
    main()
