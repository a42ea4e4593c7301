"""A built atlas in a notebook: `open_atlas("site")["tiny-inception"]["mixed3a"][47]` shows a neuron's card and has its numbers.

All is read from the site itself, from its folder or from where it is published; neither torch nor the model is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from markupsafe import Markup

from generator.addresses import folder
from generator.errors import AtlasError, nearest
from generator.pages import wording
from generator.photos import read_pixels
from generator.pictures import data_uri, png, tiles_of
from generator.taking.published import TWIN, Published, published

SHOWN = 6  # connections on a card, of each neighbouring layer
FACE, TILE = 112, 28  # CSS pixels of the picture on a card, and of those in its rows


class MissingError(AtlasError, KeyError):
    """A model, layer or neuron that the atlas has not; says what is nearest."""

    __str__ = Exception.__str__  # KeyError would show the message in quotes


class Atlas(Mapping[str, "Model"]):
    """A built atlas: its models by name."""

    def __init__(self, site: Published) -> None:
        self.site = site
        self.models = {name: Model(self, name) for name in site.layers}

    def __getitem__(self, name: str) -> Model:
        if name not in self.models:
            raise MissingError(f"the atlas has no model '{name}', it has: {', '.join(self.models)}")
        return self.models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.models)

    def __len__(self) -> int:
        return len(self.models)

    def __repr__(self) -> str:
        return f"Atlas({self.site.where!r}: {', '.join(self.models)})"


class Model(Mapping[str, "Layer"]):
    """A model of an atlas: its layers by address, in their order in the network."""

    def __init__(self, atlas: Atlas, name: str) -> None:
        self.atlas, self.name, self.site = atlas, name, atlas.site
        self.layers = {address: Layer(self, address) for address in self.site.layers[name]}

    def __getitem__(self, address: str) -> Layer:
        if address in self.layers:
            return self.layers[address]
        for whole, start, stop in self._branches(str(address)):
            raise MissingError(f"{address} is part of {whole}: its neurons are {start} to {stop - 1} there")
        like = nearest(str(address), self.layers) or f", it has: {', '.join(self.layers)}"
        raise MissingError(f"{self.name} has no layer '{address}'{like}")

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        return f"Model({self.name!r}, {wording.counted(len(self), 'layer')})"

    def _branches(self, address: str) -> Iterator[tuple[str, int, int]]:
        """The layer that holds the neurons of a second address, and which they are there; nothing for any other address."""
        if address in self.site.pages.get(self.name, {}):
            for layer in self.layers.values():
                for one in layer.twin["branches"]:
                    if one["layer"] == address:
                        yield layer.address, one["start"], one["stop"]


class Layer:
    """A layer of an atlas: its neurons that have a page, by unit; `twin` is its layer.json as it stands."""

    def __init__(self, model: Model, address: str) -> None:
        self.model, self.address = model, address
        self.pages = model.site.pages.get(model.name, {}).get(address, {})
        self.units = tuple(sorted(self.pages))

    @overload
    def __getitem__(self, unit: int) -> Neuron: ...
    @overload
    def __getitem__(self, unit: slice) -> list[Neuron]: ...
    def __getitem__(self, unit: int | slice) -> Neuron | list[Neuron]:
        """The neuron of a unit; of a slice of units those that have a page."""
        if isinstance(unit, slice):
            return [self[one] for one in range(int(self.twin["neurons"]))[unit] if one in self.pages]
        if unit not in self.pages:
            raise MissingError(f"{self.address} has no page for {unit!r}{_close(unit, self.units)}")
        return Neuron(self, int(unit))

    def __iter__(self) -> Iterator[Neuron]:
        return (self[unit] for unit in self.units)

    def __len__(self) -> int:
        return len(self.units)

    def __repr__(self) -> str:
        return f"Layer('{self.model.name}/{self.address}', {wording.counted(len(self), 'neuron')} with a page)"

    @cached_property
    def path(self) -> str:
        """The layer's folder, from the site's."""
        return f"{folder(self.model.name)}/{folder(self.address)}"

    @cached_property
    def twin(self) -> dict[str, Any]:
        """The numbers of the layer's pages, as in its layer.json."""
        said: dict[str, Any] = json.loads(self.model.site.read(f"{self.path}/{TWIN}"))
        return said

    @cached_property
    def faces(self) -> np.ndarray | None:
        """Every neuron's picture, uint8 `[unit, row, col, RGB]`; None where the layer has none.

        As in the grid of the layer's page: the pictures of large layers are drawn in fewer colours there.
        """
        try:
            content = self.model.site.read(f"{self.path}/faces.png")
        except AtlasError:
            return None
        return tiles_of(read_pixels(content), int(self.twin["neurons"]))


def _close(unit: object, units: Sequence[int]) -> str:
    """`; nearest: 145, 148` by number."""
    if not isinstance(unit, (int, np.integer)) or not units:
        return ", expected a unit or a slice of units"
    return f"; nearest: {', '.join(map(str, sorted(sorted(units, key=lambda one: abs(one - unit))[:2])))}"


@dataclass(frozen=True)
class Connections:
    """The largest connections of one neuron with one neighbouring layer, largest first."""

    layer: str  # address of the layer at the other end
    other: np.ndarray  # int [rank]: the neuron at the other end
    norm: np.ndarray  # float [rank]: L2 norm of the kernel
    excitation: np.ndarray  # float [rank]: sum of its positive weights
    inhibition: np.ndarray  # float [rank]: sum of its negative weights
    share: np.ndarray  # float [rank]: part of the neuron's squared weight with that layer, 0..1
    cancellation: np.ndarray | None  # float [rank]: what cancelling paths leave, 0..1; None for kernels of the layer's own
    shown: float  # sum of share
    left_out: int  # connections with that layer that are not among these


class Neuron:
    """A neuron of an atlas. In a notebook it shows its card."""

    def __init__(self, layer: Layer, unit: int) -> None:
        self.layer, self.unit = layer, unit
        self.address = f"{layer.address}:{unit}"

    def __repr__(self) -> str:
        return f"Neuron('{self.layer.model.name}/{self.address}', {self.page!r})"

    @property
    def page(self) -> str:
        """Where its page is: an address, or a path on this machine."""
        return self.layer.model.site.place(self.layer.pages[self.unit])

    @cached_property
    def position(self) -> int:
        """Its place in the lists of the layer's twin."""
        at: int = self.layer.twin["units"].index(self.unit)
        return at

    @property
    def label(self) -> str:
        """The name of the class it stands for, '' unless it is of a classifier."""
        labels = self.layer.twin["labels"]
        return str(labels[self.position]) if labels else ""

    @property
    def face(self) -> np.ndarray | None:
        """Its picture, uint8 `[row, col, RGB]`; None where there is none."""
        return None if self.layer.faces is None else self.layer.faces[self.unit]

    @property
    def explained(self) -> float:
        """Share of its squared weight that its picture explains, 0..1; NaN where nothing was factored."""
        return self._of_picture("explained")

    @property
    def bound(self) -> float:
        """The most that any picture of so many factors could explain, 0..1; NaN where nothing was factored."""
        return self._of_picture("bound")

    @cached_property
    def statistics(self) -> dict[str, Any]:
        """What its page says of it in numbers: norm, sparsity, ... ; empty where the layer reads none of the atlas."""
        return {name: values[self.position] for name, values in (self.layer.twin.get("statistics") or {}).items() if values}

    @cached_property
    def reads(self) -> tuple[Connections, ...]:
        """Its largest connections with each layer it reads."""
        return tuple(self._connections(table) for table in self.layer.twin["reads"])

    @cached_property
    def writes(self) -> tuple[Connections, ...]:
        """Its largest connections with each layer that reads it."""
        return tuple(self._connections(table) for table in self.layer.twin["writes"])

    def _of_picture(self, name: str) -> float:
        values = self.layer.twin["picture"].get(name)
        return float("nan") if not values or values[self.position] is None else float(values[self.position])

    def _connections(self, table: Mapping[str, Any]) -> Connections:
        """One table of the twin, of this neuron."""
        numbers = {
            name: np.array(table[name][self.position], float)
            for name in ("norm", "excitation", "inhibition", "share", "cancellation")
            if name in table
        }
        shown = table["shown"][self.position]
        return Connections(
            layer=table["layer"],
            other=np.array(table["other"][self.position], int),
            cancellation=numbers.pop("cancellation", None),
            shown=float("nan") if shown is None else float(shown),
            left_out=int(table["left_out"]),
            **numbers,
        )

    # -- its card ---------------------------------------------------------------------------------------------------------

    def _repr_html_(self) -> str:
        """Its card, self-contained: picture, address, what is explained, and the largest connections with each neighbour."""
        model = self.layer.model
        name = (
            Markup('<a href="{}">{}</a>').format(self._href(), self.address)
            if self._href()
            else Markup("{}").format(self.address)
        )
        head = Markup("<div><b>{}</b> {} <small>{}</small><br><small>{}</small></div>").format(
            name, self.label, model.name, self._explained()
        )
        face = _tile(self.face, FACE)
        tables = [self._table("reads", one) for one in self.reads] + [self._table("writes to", one) for one in self.writes]
        row = Markup('<div style="display:flex;flex-wrap:wrap;gap:4px 24px;align-items:flex-start;{}">{}</div>')
        return str(row.format("margin-bottom:8px", face + head) + row.format("", Markup("").join(filter(None, tables))))

    def _href(self) -> str:
        """The address of its page; '' in a folder, which a notebook may not lead to."""
        return self.page if self.layer.model.site.is_remote else ""

    def _explained(self) -> str:
        if not np.isfinite(self.explained):
            return ""
        said = self.layer.twin["picture"]
        noise = said["noise"] if isinstance(said["noise"], (int, float)) else float("nan")
        return wording.explained_line(int(said["factors"]), self.explained, self.bound, noise)

    def _table(self, word: str, one: Connections) -> Markup:
        """The largest connections with one layer, as a table; '' where every one is zero."""
        kept = [rank for rank in range(len(one.other)) if one.norm[rank] != 0][:SHOWN]
        norms = wording.norm_cells(one.norm[kept].tolist())
        rows = (
            Markup("<tr><td>{}<td>{}<td>{}<td>{}").format(
                _tile(self._face_of(one.layer, int(one.other[rank])), TILE),
                one.other[rank],
                norm,
                wording.share_cell(float(one.share[rank])),
            )
            for rank, norm in zip(kept, norms, strict=True)
        )
        head = Markup('<div><small>{} <b>{}</b></small><table style="{}"><tr><th><th>neuron<th>norm<th>share %').format(
            word, one.layer, "margin:0;font-size:inherit;text-align:right"
        )
        return head + Markup("").join(rows) + Markup("</table></div>") if kept else Markup("")

    def _face_of(self, address: str, unit: int) -> np.ndarray | None:
        """The picture of a neuron of another layer; None where it has none or the layer has no pages."""
        model = self.layer.model
        faces = model[address].faces if address in model else None
        return None if faces is None else faces[unit]


def _tile(pixels: np.ndarray | None, size: int) -> Markup:
    """Pixels uint8 `[row, col, RGB]` as a picture that holds itself, at a whole number of CSS pixels each; '' for none."""
    if pixels is None:
        return Markup("")
    rows, cols = pixels.shape[:2]
    times = max(1, round(size / max(rows, cols)))
    text = '<img alt="" src="{}" width="{}" height="{}" style="image-rendering:pixelated;margin:0">'
    return Markup(text).format(data_uri(png(pixels)), cols * times, rows * times)


def open_atlas(where: Path | str) -> Atlas:
    """The atlas built in a folder, or published at an address: `open_atlas("site")["tiny-inception"]["mixed3a"][47]`.

    Raises:
        SiteError: there is no atlas.
        AtlasError: it cannot be read.
    """
    return Atlas(published(where))
