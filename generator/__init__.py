"""A static, cross-linked atlas of the weights of a vision network.

The stages, in order; each hands the next one frozen records (`records`), numpy from `expand` on:

1. `spec` reads atlas.yaml, or tells every mistake in it with its line and column (`values`, `positions`, `mistakes`, `errors`);
   `authored` reads what the user says of groups of neurons and of single ones, in Markdown.
2. `models` builds each model that the spec names and loads its weights: the bundled network, torchvision's, one's own.
3. `trace` records the operations of one run, `sites` finds which of their results hold the same neurons, `naming` gives those
   addresses; `graph` is the table of layers, which of them a spec names (`globs`), and which feeds which.
4. `expand` reads off the weights between two layers, by pulling a `field` back from the target through the linear stand-in of
   every operation on the way (`linear`). Torch stops there. `cancellation` says how much of an indirect weight is left,
   `affine` what bias and scale a layer's own modules add.
5. `analyses` make facts of weights: the largest connections, the factors of a neuron's kernel, every neuron's picture.
   `context` shows neurons by what they respond to, which takes torch and much longer.
6. `pages` turns the facts into what each page says, in words, `pictures` and `photos`, under `addresses` that stay.
7. `render` fills the templates with it, one layer at a time, in our `look` or the user's.
8. `site` writes the files beside the target and swaps them in whole.

`publishing` serves a site while its sources change, checks it whole, and makes what hosts ask for. `taking` reads a built site
back, to link drawings to it and to show its neurons in a notebook:
`generator.open_atlas("site")["tiny-inception"]["mixed3a"][47]`.

`build` runs them all and reads as a table of contents; `__main__` is the command `atlas`, `commands` what it can do; `progress`
says how far it is and `starter` writes a first spec. Nothing is imported here, so that help and mistakes come at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generator.taking.notebook import Atlas


def open_atlas(where: Path | str) -> Atlas:
    """The atlas built in a folder, or published at an address, for a notebook."""
    from generator.taking.notebook import open_atlas as read

    return read(where)
