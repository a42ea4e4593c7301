"""Whole builds, from spec to site: cold, again, after a change; time and memory against neurons; where the time goes.

python benchmarks/builds.py [--json FILE] [--growth FILE.svg] [--largest N] [--quick]

ResNet-50 (every convolution and the classifier, random weights in a file): cold on one worker and on two, then a build of the
same, one with other rows in its tables, one with another template and one with other weights in one layer. Each is a process of
its own, as a user runs it; told are wall-clock and processor time of it and its workers, and the peak of what they hold in
memory together, with what they share counted once (PSS), sampled ten times a second. Then plain networks of growing size, for
the graph. The profile is of a cold build in one process: time spent in each module itself, not in those it calls.
Memory and processor time need /proc (Linux).
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

SPEC = """
title: ResNet-50
models:
  - name: resnet50
    source: torchvision:resnet50
    weights: resnet50.pt
    layers: [conv1, "layer*.*.conv?", "layer*.*.downsample.0", fc]
"""
CHANGED = "layer3.2.conv2.weight"
PLAIN = """
from torch import nn

def make(depth, width=256):
    layers = [nn.Conv2d(3, width, 3, padding=1)]
    for _ in range(depth - 1):
        layers += [nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)]
    return nn.Sequential(*layers)
"""
PLAIN_SPEC = "title: Plain\nmodels:\n  - {{name: plain, source: 'plain:make', arguments: {{depth: {depth}}}, input_size: 32}}\n"
WIDTH = 256  # neurons of a layer of the plain networks
SIZES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)  # neurons
COLD, AGAIN, MEMORY, TWICE, TWO, BYTES = 45.0, 1.5, 1.2e9, 2.1, 1.7, 12_288


@dataclass(frozen=True)
class Run:
    """What one build took."""

    wall: float  # seconds
    cpu: float  # seconds of all its processes
    memory: int  # bytes, at most, of all of them
    files: int
    bytes: int
    pages: int


def build(folder: Path, *arguments: str, jobs: int = 2) -> Run:
    """`atlas build` in a folder, watched."""
    command = [sys.executable, "-m", "generator", "build", "-q", "-j", str(jobs), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment)
    spent: dict[int, float] = {}
    memory = 0
    while process.poll() is None:
        tree = family(process.pid)
        memory = max(memory, sum(map(proportional, tree)))
        spent |= {pid: found for pid in tree if (found := processor(pid))}
        time.sleep(0.1)
    wall = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"the build in {folder} failed")
    files = [path for path in (folder / "site").rglob("*") if path.is_file()]
    pages = sum(path.suffix == ".html" for path in files)
    return Run(wall, sum(spent.values()), memory, len(files), sum(path.stat().st_size for path in files), pages)


def family(pid: int) -> list[int]:
    """A process and all below it."""
    try:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(each for child in below for each in family(int(child)))]


def proportional(pid: int) -> int:
    """What a process holds in memory in bytes, its part of what it shares included."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def processor(pid: int) -> float:
    """Seconds of processor time of a process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def save_weights(folder: Path, factor: float = 1.0) -> None:
    """The checkpoint, with one layer's weights times a factor."""
    import torch
    import torchvision

    torch.manual_seed(0)
    state = torchvision.models.resnet50(weights=None).state_dict()
    state[CHANGED] *= factor
    torch.save(state, folder / "resnet50.pt")


def resnet(folder: Path) -> tuple[dict[str, Run], int]:
    """The builds of ResNet-50, and its neurons."""
    folder.mkdir()
    (folder / "atlas.yaml").write_text(SPEC)
    save_weights(folder)
    runs = {"cold, one worker": build(folder, "--fresh", jobs=1), "cold, two workers": build(folder, "--fresh")}
    runs["again"] = build(folder)
    (folder / "atlas.yaml").write_text(SPEC + "connections: {show: 19}\n")
    runs["rows of the tables"] = build(folder)
    (folder / "own").mkdir()
    (folder / "own" / "layer.html").write_text('{% extends "ours/layer.html" %}{% block title %}mine{% endblock %}')
    (folder / "atlas.yaml").write_text(SPEC + "connections: {show: 19}\ntemplates: own\n")
    runs["a template"] = build(folder)
    save_weights(folder, 1.5)
    runs["one layer's weights"] = build(folder)
    return runs, 27_560


def plain(folder: Path, neurons: int) -> Run:
    """A cold build of a plain network of about so many neurons."""
    folder.mkdir()
    (folder / "plain.py").write_text(PLAIN)
    (folder / "atlas.yaml").write_text(PLAIN_SPEC.format(depth=max(2, round(neurons / WIDTH))))
    run = build(folder)
    shutil.rmtree(folder)
    return run


def profile(folder: Path) -> list[tuple[str, float]]:
    """Seconds of a cold build in one process by module, most first."""
    from generator.build import Want
    from generator.build import build as run
    from generator.progress import Progress
    from generator.spec import load_spec

    watched = cProfile.Profile()
    watched.runcall(run, load_spec(folder / "atlas.yaml"), folder / "profiled", Progress(quiet=True), Want(fresh=True))
    spent: Counter[str] = Counter()
    for (file, _, name), (_, _, own, _, _) in pstats.Stats(watched).stats.items():  # type: ignore[attr-defined]
        spent[module_of(file, name)] += own
    return spent.most_common(16)


def module_of(file: str, name: str) -> str:
    """`generator.pages.neuron`, `numpy`, `built in: dot`."""
    path = Path(file)
    if path.is_relative_to(ROOT):
        return ".".join(path.relative_to(ROOT).with_suffix("").parts)
    parts = path.parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    return f"built in: {name.strip('<>').rpartition(' of ')[0] or name.strip('<>')}" if file == "~" else "Python's own library"


def figures(runs: dict[str, Run], neurons: int, growth: dict[int, Run]) -> list[dict[str, Any]]:
    """Every figure beside its goal."""
    cold, alone, again = runs["cold, two workers"], runs["cold, one worker"], runs["again"]
    found = [
        ("ResNet-50, cold, two workers", cold.wall, f"<= {COLD}", "s", f"{cold.cpu:.0f} s of processor time"),
        ("two workers against one", alone.wall / cold.wall, f">= {TWO}", "times", f"one: {alone.wall:.1f} s"),
        ("ResNet-50 again, nothing changed", again.wall, f"<= {AGAIN}", "s", f"{again.cpu:.1f} s of processor time"),
        ("memory of all processes, one worker", alone.memory / 1e6, f"<= {MEMORY / 1e6:.0f}", "MB", "proportional set size"),
        ("memory of all processes, two workers", cold.memory / 1e6, f"<= {MEMORY / 1e6:.0f}", "MB", "proportional set size"),
        ("bytes a neuron, every file counted", cold.bytes / neurons, f"<= {BYTES}", "bytes", f"{cold.files:,} files"),
    ]
    found += [
        (f"other {name}", runs[name].wall, "", "s", f"{runs[name].cpu:.1f} s of processor time")
        for name in ("rows of the tables", "a template", "one layer's weights")
    ]
    sizes = sorted(growth)
    for small, large in pairwise(sizes):
        if large == 2 * small:
            ratio = growth[large].wall / growth[small].wall
            found.append((f"{large:,} neurons against {small:,}", ratio, f"<= {TWICE}", "times", f"{growth[large].wall:.1f} s"))
    return [dict(zip(("name", "value", "goal", "unit", "note"), each, strict=True)) for each in found]


def drawn(growth: dict[int, Run]) -> str:
    """Time and memory against neurons, as an SVG: both axes linear, so that a straight line is a constant time a neuron."""
    wide, high, left, top = 340, 220, 52, 26
    most = max(growth)
    parts = []
    for number, (name, values) in enumerate(
        (
            ("seconds", {size: run.wall for size, run in growth.items()}),
            ("megabytes of memory", {size: run.memory / 1e6 for size, run in growth.items()}),
        )
    ):
        x0, peak = left + number * (wide + 70), max(values.values())
        points = [(x0 + wide * size / most, top + high * (1 - value / peak)) for size, value in sorted(values.items())]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts += [
            f'<text x="{x0}" y="{top - 10}">{name}, at most {peak:,.0f}</text>',
            f'<path d="M{x0} {top}V{top + high}H{x0 + wide}" stroke="currentColor" fill="none"/>',
            f'<polyline points="{line}" stroke="currentColor" stroke-width="2" fill="none"/>',
            *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points),
            f'<text x="{x0 + wide}" y="{top + high + 18}" text-anchor="end">{most:,} neurons</text>',
        ]
    style = "font:13px system-ui,sans-serif;color:#555;fill:#555"
    size = f'viewBox="0 0 {2 * wide + 140} {high + 60}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{style}">\n' + "\n".join(parts) + "\n</svg>\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--growth", type=Path, help="where the graph goes, as SVG")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="neurons of the largest plain network")
    parser.add_argument("--quick", action="store_true", help="leave the plain networks out")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        runs, neurons = resnet(folder / "resnet50")
        spent = profile(folder / "resnet50")
        growth = {} if given.quick else {size: plain(folder / str(size), size) for size in SIZES if size <= given.largest}
    found = figures(runs, neurons, growth)
    for each in found:
        print(f"{each['name']:42} {each['value']:10.2f} {each['unit']:6} {each['goal']:>10}  {each['note']}")
    for size, run in growth.items():
        print(f"{size:>9,} neurons: {run.wall:7.1f} s, {run.cpu:7.1f} s of processor time, {run.memory / 1e6:6.0f} MB")
    print("where the time of a cold build goes, in one process and watched:")
    for name, seconds in spent:
        print(f"  {seconds:7.2f} s  {name}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    if given.growth and growth:
        given.growth.write_text(drawn(growth))


if __name__ == "__main__":
    main()
