"""All chosen layers in one pass: the largest activation of every neuron on every picture, and where on its map it is."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
import torch
from torch import Tensor, fx

from generator.errors import ModelError
from generator.graph import Graph

WIDE = 32  # columns of a map from which on rows are sought before positions: less to go through twice


@dataclass(frozen=True)
class Watch:
    """A model on its device, cut behind the last chosen layer, and how it is fed. May be used from several threads."""

    network: fx.GraphModule
    channels: int
    mean: Tensor  # [channel, 1, 1]
    std: Tensor
    device: torch.device
    turn: AbstractContextManager[object] = field(default_factory=nullcontext)  # held while the device computes

    def peaks(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Largest activations float32 and their positions int32, both `[image, unit]`, units of all layers in their order.

        pictures: uint8 `[image, row, col, RGB]`, of the model's input size. A position is row * cols + col, 0 without a map.
        """
        with self.turn, torch.inference_mode():
            images = torch.from_numpy(pictures).to(self.device).movedim(-1, 1)[:, : self.channels].float() / 255
            fed = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
            found = self.network(fed)
            values = torch.cat([each[0].float() for each in found], 1).cpu().numpy()
            return values, torch.cat([each[1].int() for each in found], 1).cpu().numpy()


def open_watch(graph: Graph, addresses: Sequence[str], mean: Sequence[float] | None, std: Sequence[float] | None) -> Watch:
    """Make ready.

    Raises:
        LayerError: there is no such layer.
        ModelError: the model does not read pictures.
    """
    channels = graph.traced.shapes[graph.traced.input][0]
    if channels not in (1, 3):
        raise ModelError(f"reads {channels} channels; photographs have 1 or 3")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # A copy: memory format and device would change under the model's own feet.
    network = copy.deepcopy(watching(graph, addresses)).to(device).to(memory_format=torch.channels_last)
    less, over = (
        torch.tensor(given or (plain,), dtype=torch.float32, device=device).view(-1, 1, 1)
        for given, plain in ((mean, 0.0), (std, 1.0))
    )
    return Watch(network, channels, less, over, device, Lock() if device.type == "cuda" else nullcontext())


def watching(graph: Graph, addresses: Sequence[str]) -> fx.GraphModule:
    """The model up to the last of these layers, giving (values, positions) of `peaks_of` for each.

    Each layer is looked at as soon as it is there, so that an operation that writes over it comes too late to matter.
    """
    wanted = {graph.site(address).end: graph.site(address) for address in addresses}
    needed = ancestors(list(wanted))
    made = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    seen: dict[fx.Node, fx.Node] = {}
    for node in graph.traced.nodes:
        if node not in needed:
            continue
        copies[node] = made.node_copy(node, copies.__getitem__)
        if node in wanted:
            seen[node] = made.call_function(peaks_of, (copies[node], wanted[node].axis != 0))
    made.output(tuple(seen[graph.site(address).end] for address in addresses))
    return fx.GraphModule(graph.traced.module, made).eval().requires_grad_(False)


def ancestors(nodes: Sequence[fx.Node]) -> set[fx.Node]:
    """Tensors and all that they are made from."""
    found, queue = set(nodes), list(nodes)
    while queue:
        fresh = [each for each in queue.pop().all_input_nodes if each not in found]
        found.update(fresh)
        queue += fresh
    return found


def peaks_of(neurons: Tensor, last: bool) -> tuple[Tensor, Tensor]:
    """The largest value over the map and its position, both `[image, unit]`; the first of equals.

    neurons: `[image, unit, row, col]`, `[image, row, col, unit]` where the channel is `last`, or `[image, unit]`.
    """
    if neurons.ndim == 2:
        return neurons, torch.zeros_like(neurons, dtype=torch.int64)
    maps = neurons if last else neurons.movedim(1, -1)  # [image, row, col, unit]
    cols = maps.shape[2]
    if cols < WIDE:
        values, positions = maps.movedim(-1, 1).flatten(2).max(2)
        return values, positions
    values, row = maps.amax(2).max(1)
    line = torch.take_along_dim(maps, row[:, None, None, :], 1)[:, 0]  # [image, col, unit]
    return values, row * cols + line.argmax(1)


def pictures_at_once(graph: Graph, most: int, floats: int) -> int:
    """How many pictures make a batch: so many that no tensor holds more than so many floats, the same on every machine."""
    sizes = [np.prod(shape) for shape in graph.traced.shapes.values() if type(shape) is tuple and "unbatched" not in shape]
    widest = max((int(size) for size in sizes), default=1)
    return max(1, min(most, floats // max(1, widest)))
