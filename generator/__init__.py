"""A static, cross-linked atlas of the weights of a vision network.

The stages, in order; each hands the next one frozen records (`records`), numpy from `expand` on:

1. `spec` reads atlas.yaml, or tells every mistake in it with its line and column (`facespec`, `values`, `positions`,
   `mistakes`, `errors`); `authored` reads what the user says of groups of neurons and of single ones, in Markdown.
2. `models` builds each model that the spec names and loads its weights: the bundled network, torchvision's, one's own.
3. `trace` records the operations of one run, `sites` finds which of their results hold the same neurons, `naming` gives those
   addresses; `graph` is the table of layers, which of them a spec names (`globs`), and which feeds which.
4. `expand` reads off the weights between two layers, by pulling a `field` back from the target through the linear stand-in of
   every operation on the way (`linear`). Torch stops there. `dependence` digests all they depend on, `cancellation` says how
   much of an indirect weight is left, `affine` what bias and scale a layer's own modules add; `reach` lays weights over weights
   down to the pixels, `logits` up to the classes.
5. `analyses` make facts of weights: the largest connections, the factors of a neuron's kernel, every neuron's picture.
   `context` shows neurons by what they respond to, which takes torch and much longer.
6. `plans` surveys each model once (`survey`), from `inputs` that tell what it is made of; `analysis` works out a layer (its
   weights by `reading`) and `picturing` the faces beside them, each result kept under a key (`keeping`), by as many `workers`
   as there are, on a `cluster` too; `facts` puts together what is kept.
7. `pages` turns the facts into what each page says, in words, `pictures`, `sheets` of them and `photos`, under `addresses`
   that stay.
8. `render` fills the templates with it, one layer at a time, in our `look` or the user's; `parts` says which are due, by what
   each has `shown`, and `rendering` does one.
9. `site` writes the files beside the target and swaps them in whole.

`publishing` serves a site while its sources change, checks it whole, and makes what hosts ask for. `taking` reads a built site
back, to link drawings to it and to show its neurons in a notebook:
`generator.open_atlas("site")["tiny-inception"]["mixed3a"][47]`.

`build` runs them all and reads as a table of contents; `__main__` is the command `atlas`, `commands` what it can do; `progress`
says how far it is, `forecasting` what a build will make and take, `interrupts` what Ctrl-C does, and `starter` writes a first
spec. Nothing is imported here, so that help and mistakes come at once.
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
