"""What the jump box knows: the names of the atlas and the few rules that lead from a name to its page, as a small script.

No page is listed. A neuron's address follows from its layer's folder; which neurons have a page is told in ranges.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from generator.addresses import BLOCK, FAMILIES, FLAT, HOW_TO_READ, folder
from generator.records import AtlasFacts, LayerFacts

JUMP = "jump.js"


def jump_script(atlas: AtlasFacts) -> bytes:
    """The file `jump.js`: `window.__atlas = {...};`.

    `models` holds `[name, folder, layers]`; a layer is `[address, folder, neurons, pages, aliases, branches, labels]`, without
    the empty ones at its end. A folder of 0 is the address itself. `pages` is 0 where every neuron has one, else the first and
    the last unit of each run that has, `[0, -1]` where none has. An alias that begins with a full stop follows the layer's
    address. A branch is `[address, start, stop]`; `labels` is 1 + a place in the list of that name, 0 without class names.
    `families` holds `[name, file]`, `others` pages as `[name, address]`. Neurons of layers over `flat` lie in a folder for
    each `block` of them; where `joined` is 1 those of a layer stand on one page.
    """
    labels = list(dict.fromkeys(facts.labels for model in atlas.models for facts in model.layers if facts.labels))
    data = {
        "flat": FLAT,
        "block": BLOCK,
        "joined": int(atlas.per_layer),
        "models": [
            [model.name, _folder(model.name), [_layer(facts, labels) for facts in model.layers]] for model in atlas.models
        ],
        "families": [[family.name, f"{FAMILIES}/{family.file}"] for family in atlas.families],
        "labels": labels,
        "others": [["How to read this", HOW_TO_READ], [atlas.title, "index.html"]]
        + ([["Families", f"{FAMILIES}/index.html"]] if atlas.families else []),
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"window.__atlas = {text};\n".replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode("utf-8")


def _layer(facts: LayerFacts, labels: Sequence[tuple[str, ...]]) -> list[Any]:
    """A layer as the script lists it."""
    layer = facts.layer
    entry: list[Any] = [
        layer.address,
        _folder(layer.address),
        layer.neurons,
        (_runs(facts.chosen.tolist()) or [0, -1]) if len(facts.chosen) < layer.neurons else 0,
        [_short(alias, layer.address) for alias in layer.aliases],
        [[_short(branch.address, layer.address), branch.start, branch.stop] for branch in layer.branches],
        1 + labels.index(facts.labels) if facts.labels else 0,
    ]
    while not entry[-1]:
        entry.pop()
    return entry


def _folder(name: str) -> str | int:
    """The folder of a model or a layer; 0 where it is the name itself."""
    return 0 if folder(name) == name else folder(name)


def _short(name: str, address: str) -> str:
    """A second name of a layer: without the layer's address where it begins with that."""
    return name.removeprefix(address) if name.startswith(f"{address}.") else name


def _runs(units: Iterable[int]) -> list[int]:
    """Ascending units as the first and last of each run: 0, 1, 2, 5 as 0, 2, 5, 5."""
    runs: list[int] = []
    for unit in units:
        if runs and unit == runs[-1] + 1:
            runs[-1] = unit
        else:
            runs += [unit, unit]
    return runs
