"""Torchvision classifiers from spec to site, `layers: auto`, random weights: does it build, how long, how much memory.

python benchmarks/torchvision_models.py [--only PATTERN ...] [--json FILE] [--seconds N]

Each model is built in a process of its own, with a page for the first neuron of each layer; all weights, tables and pictures
are worked out. A model that takes longer than --seconds is named and left.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FEW = "squeezenet1_0 mobilenet_v3_small shufflenet_v2_x0_5 mnasnet0_5 resnet18 densenet121 googlenet vit_b_32".split()
SPEC = """title: {name}
models:
  - name: model
    source: torchvision:{name}
    weights: none
    neurons: [0]
"""


def build(name: str) -> dict[str, Any]:
    """Build one model here; layers, pairs, refused paths, seconds, peak memory in MB."""
    sys.path.insert(0, str(ROOT))
    from generator.build import gather
    from generator.progress import Progress
    from generator.render import render_site
    from generator.site import write_site
    from generator.spec import load_spec

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "atlas.yaml")
        path.write_text(SPEC.format(name=name), "utf-8")
        facts = gather(load_spec(path), Progress(quiet=True))
        summary = write_site(render_site(facts), Path(folder, "site"))
    layers = facts.models[0].layers
    return {
        "layers": len(layers),
        "neurons": sum(each.layer.neurons for each in layers),
        "pairs": sum(len(each.reads) for each in layers),
        "refused": sum(len(each.refused) for each in layers),
        "pages": summary.pages,
        "seconds": round(time.monotonic() - started, 1),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def in_a_process(name: str, seconds: int) -> dict[str, Any]:
    """Build one model in a process of its own; {'failed': why} where it does not come to an end."""
    command = [sys.executable, __file__, "--one", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"longer than {seconds} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]}
    return json.loads(done.stdout)


def main() -> None:
    """Print a line a model, and write all as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=FEW, help="globs over model names; '*' for all, hours")
    parser.add_argument("--seconds", type=int, default=300, help="at most this long for one model")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(build(given.one)))
        return
    import torchvision

    found = {}
    every = torchvision.models.list_models(module=torchvision.models)
    names = [name for name in every if any(fnmatch.fnmatch(name, pattern) for pattern in given.only)]
    for name in names:
        found[name] = in_a_process(name, given.seconds)
        print(f"{name:20}", "  ".join(f"{key} {value}" for key, value in found[name].items()), flush=True)
    failed = [name for name, figures in found.items() if "failed" in figures]
    print(f"{len(names) - len(failed)} of {len(names)} built" + (f"; not: {', '.join(failed)}" if failed else ""))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
