"""Where everything of the site lies: stable names for files and folders, from the names of models, layers and neurons.

`{model}/{layer}/{unit}.html`, or where those of a layer stand on one page `{model}/{layer}/neurons.html#n{unit}`; the page
of a pair of layers is `{model}/{target}/from-{source}.html`, of a family `families/{family}.html`. Names are used as they are;
only what a host or a file system would not keep is written otherwise, and never so that two names become one.
"""

from __future__ import annotations

import re

HOW_TO_READ = "how-to-read.html"
NOT_FOUND = "404.html"  # what hosts answer a missing address with
CARD = "card.png"  # of a layer, in its folder
FACES = "faces.css"  # of a model, in its folder: the rules that show the faces of its layers on the pages of neurons
FAMILIES = "families"  # the folder of the families' pages, in the site's own
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]|[.]$")
_WRITTEN = re.compile(r"~([0-9a-f]+)~|~\d+$")  # a character that is not kept; the end of a folder for a thousand neurons
_LEADING = ("_", ".")  # hosts drop names that begin so: GitHub Pages' Jekyll the first, its artifact the second


def folder(name: str) -> str:
    """The folder of a model or a layer: its name, `~` before a leading `_` or `.`, other characters as `~hex~`."""
    safe = _UNSAFE.sub(lambda found: f"~{ord(found[0]):x}~", name)
    return f"~{safe}" if safe.startswith(_LEADING) else safe


def unfolded(name: str) -> str:
    """The name of a model or a layer from its folder, or from one of the folders that `neuron_folder` makes for its neurons."""
    led = name.startswith(tuple(f"~{sign}" for sign in _LEADING))
    return _WRITTEN.sub(lambda found: chr(int(found[1], 16)) if found[1] else "", name[led:])


FLAT = 2_900  # neurons whose pages lie in their layer's own folder; git and hosts are slow with over 3,000 entries
BLOCK = 1_000  # neurons to a folder in larger layers


def neuron_folder(address: str, unit: int, neurons: int) -> str:
    """The folder of a neuron's page, in the model's: its layer's, or in a layer of over FLAT neurons one for each thousand.

    It stands beside the layer's own, so that every neuron's page is as deep as any other: `classifier.0~3000/3147.html`.
    """
    return folder(address) if neurons <= FLAT else f"{folder(address)}~{unit // BLOCK * BLOCK}"


def neuron_file(unit: int) -> str:
    """The name of a neuron's page."""
    return f"{unit}.html"


NEURONS = "neurons.html"  # of a layer, in its folder: all of its neurons, where they have no pages of their own


def section(unit: int) -> str:
    """A neuron's place on the page of all neurons of its layer."""
    return f"n{unit}"


def neuron_page(address: str, unit: int, neurons: int, per_layer: bool = False) -> str:
    """The page of a neuron, or its place on that of its layer's neurons, from its model's folder."""
    if per_layer:
        return f"{folder(address)}/{NEURONS}#{section(unit)}"
    return f"{neuron_folder(address, unit, neurons)}/{neuron_file(unit)}"


def oembed_file(address: str, unit: int, neurons: int) -> str:
    """The oEmbed file of a neuron, from its model's folder: in a folder of its own beside the neuron's page."""
    return f"{neuron_folder(address, unit, neurons)}/oembed/{unit}.json"


def anchor(unit: int) -> str:
    """A neuron's place in the grid of its layer's page."""
    return f"u{unit}"


def pair_file(source: str) -> str:
    """The page of a layer's weights on the layer `source`, in the folder of the layer that reads."""
    return f"from-{folder(source)}.html"


def pair_picture(source: str) -> str:
    """The picture on such a page, beside it."""
    return f"from-{folder(source)}.png"


def family_file(name: str) -> str:
    """The page of a family, in the folder of families: its name in lower case, hyphens for what is not a letter or digit.

    A name that has none of these is written in numbers: the characters' own.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return f"{plain or '-'.join(f'{ord(character):x}' for character in name)[:80]}.html"
