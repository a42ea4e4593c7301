"""How long Chromium takes to sort and filter the page of a layer of 2,048 neurons, layout included.

python benchmarks/layer_page.py [--repeat N]

Needs the Chromium that `tests/browser` finds; without one it says so and measures nothing. Prints the sizes of the page and its
sprite, and for each control the median and the longest of N changes there and back, in milliseconds. Other load disturbs it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
CONTROLS = (("sort", "norm"), ("sort", "similarity"), ("reversed", "1"), ("norm", "0.5"))
CHANGE = """([name, to, times]) => {
  const field = document.querySelector(`#sift [name=${name}]`), took = [];
  for (let change = 0; change < 2 * times; change++) {
    const value = change % 2 ? '' : to;
    if (field.type === 'checkbox') field.checked = !!value; else field.value = value;
    const before = performance.now();
    field.dispatchEvent(new Event('input', {bubbles: true}));
    document.body.offsetHeight;
    took.push(performance.now() - before);
  }
  return took;
}"""


def wide_layer(folder: Path) -> Path:
    """The folder of a layer of 2,048 neurons with numbers of their own, in a site written to `folder`."""
    from browser.sites import WIDE, wide_facts, write
    from test_layer_page import statistics as made_up

    facts, random = wide_facts(), np.random.default_rng(0)
    model, numbers = facts.models[0], made_up(random.random(WIDE), random.permutation(WIDE))
    layers = tuple(replace(one, statistics=numbers) for one in model.layers)
    return write(replace(facts, models=(replace(model, layers=layers),)), folder) / model.name / "here"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--json", type=Path, help="write the figures there")
    given = parser.parse_args()
    repeat, figures = given.repeat, []
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from browser.programs import CHROMIUM_ARGUMENTS, find_chromium, missing

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = find_chromium(playwright)
        if not chromium:
            print(missing("chromium"), file=sys.stderr)
            return 0
        layer = wide_layer(Path(folder))
        for name in ("index.html", "faces.png"):
            print(f"{name}: {(layer / name).stat().st_size:,} bytes")
        page = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS).new_page()
        page.goto((layer / "index.html").as_uri())
        page.wait_for_timeout(500)
        for name, to in CONTROLS:
            took = page.evaluate(CHANGE, [name, to, repeat])
            print(f"{name} {to}: median {statistics.median(took):.0f} ms, longest {max(took):.0f} ms")
            told = f"longest {max(took):.0f} ms"
            figures.append({"name": f"{name} {to}", "value": statistics.median(took), "goal": "", "unit": "ms", "note": told})
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
