"""What a layer's weights depend on, as a digest: what is kept under it need not be computed again.

The digest covers everything that decides the weights of a layer on its sources (`weights_into`), their cancellation, why they
are refused where they are, and the layer's own bias, scale and count (`affine`): of every operation that a sweep may meet its
kind, settings, connections, shapes, place in the model and the numbers it reads. It is the same in every process.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from generator.affine import WEIGHTED
from generator.expand import leads_to, nodes_between, stop_nodes
from generator.graph import Graph, own_heads
from generator.sites import SUMS, Site, is_activation

VERSION = 3  # to be raised with every change of the numbers that a sweep gives, or of what is said of them
UNREAD = frozenset({"num_batches_tracked"})  # tensors that no result reads
UNREAD_ON_PATHS = UNREAD | {"bias", "running_mean"}  # nor do the weights along a path: a shift is no weight
UNREAD_OF_HEADS = UNREAD | {"weight"}  # what a layer adds of its own is read from its bias; of its weights only their number
PLACES = {key: {"weight": 1, "bias": 2} for key in ("conv2d", "conv_transpose2d", "linear")}  # of these among the arguments
PLACES |= {"layer_norm": {"bias": 3}, "group_norm": {"bias": 3}}

Plain = Any  # nested tuples of str, int, float, complex, bool, bytes and None, whose repr is the same everywhere


def path_digest(graph: Graph, target: str, sources: Sequence[str], blocked: Iterable[str] = ()) -> str:
    """SHA-256, as hex, of everything that decides the weights of one layer on others, and the layer's own numbers.

    Two models that differ only in numbers beside the paths, or in the shifts along them, have the same digest. Digests of
    tensors are kept with the graph, whose numbers must stay as they are.

    Args:
        graph: of the model.
        target: address of the layer that reads.
        sources: addresses of the layers that are read; none for the layer's own numbers alone.
        blocked: addresses of layers that paths may not pass through.

    Raises:
        LayerError: no such layer.
    """
    reader, read = graph.site(target), [graph.site(source) for source in sources]
    stops = stop_nodes(graph, reader, read, [graph.site(address) for address in blocked])
    told = (
        VERSION,
        str(torch.__version__),
        _site(graph, reader),
        _own(graph, reader),
        tuple((_site(graph, site), _gammas(graph, site)) for site in read),
        _paths(graph, reader, read, stops),
    )
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _site(graph: Graph, site: Site) -> Plain:
    """A layer as the records of its weights name and measure it."""
    branches = tuple((branch.address, branch.start, branch.stop) for branch in graph.branches.get(site, ()))
    return site.name, site.shape, site.axis, branches


def _own(graph: Graph, site: Site) -> Plain:
    """What a layer's own bias, scale and count are read from: its head, what follows up to its norm, and its branches."""
    chain = [site.head, *site.nodes[1 : site.nodes.index(site.start) + 1]]
    branches = tuple(_own(graph, graph.of_name[branch.address]) for branch in graph.branches.get(site, ()))
    unread = [UNREAD_OF_HEADS if graph.traced.operation(node) in WEIGHTED else UNREAD for node in chain]
    return tuple(_operation(graph, node, {}, names) for node, names in zip(chain, unread, strict=True)), branches


def _gammas(graph: Graph, site: Site) -> Plain:
    """What the scale of a source is read from: the gains of its own norms, and of those of its branches."""
    chain = site.nodes[: site.nodes.index(site.end) + 1]
    modules = [(node, graph.traced.submodule(node)) for node in chain]
    norms = [(node, module) for node, module in modules if isinstance(module, nn.modules.batchnorm._NormBase)]
    found = tuple((module.running_var is None, _tensor_of(graph, node, module, "weight")) for node, module in norms)
    return found, tuple(_gammas(graph, graph.of_name[branch.address]) for branch in graph.branches.get(site, ()))


# -- the operations on the way ---------------------------------------------------------------------------------------------


def _paths(graph: Graph, target: Site, sources: Sequence[Site], stops: dict[fx.Node, Site]) -> Plain:
    """Every operation between the sources and the target, with the tensors at which a sweep stops."""
    paths = nodes_between(graph, target.start, set(stops))
    wanted = {node for node in paths if stops.get(node) in sources}
    useful = leads_to(graph, paths - set(stops), wanted)
    places = {node: place for place, node in enumerate(useful)}
    ends = [_end(graph, node, stops[node]) if node in wanted else None for node in useful]
    operations = [_operation(graph, node, places, UNREAD_ON_PATHS) if node not in wanted else None for node in useful]
    return tuple(zip(ends, operations, (_role(graph, target, node, places) for node in useful), strict=True))


def _end(graph: Graph, node: fx.Node, source: Site) -> Plain:
    """Where a source is read: at its own end or behind a pool."""
    return source.name, node is source.end, graph.traced.where(node), _plain(graph, graph.traced.shapes[node])


def _role(graph: Graph, target: Site, node: fx.Node, places: dict[fx.Node, int]) -> Plain:
    """What an operation is to the target, and which tensors its weights are carried on to."""
    heads = own_heads(graph, target)
    of_branch = any(node in graph.of_node[head].nodes for head in heads)
    return node is target.start, node in heads, of_branch, tuple(places.get(parent) for parent in graph.open_paths[node])


def _operation(graph: Graph, node: fx.Node, places: dict[fx.Node, int], unread: frozenset[str]) -> Plain:
    """One operation: what it is, what it reads, what it gives; of tensors with an `unread` name no numbers."""
    traced = graph.traced
    name = traced.operation(node)
    shapes_only = name in SUMS and "bias" in unread
    passed = {place for key, place in PLACES.get(name, {}).items() if key in unread}
    args = tuple(_plain(graph, arg, places, shapes_only or place in passed) for place, arg in enumerate(node.args))
    named = PLACES.get(name, {}).keys() & unread
    kwargs = tuple((key, _plain(graph, node.kwargs[key], places, shapes_only or key in named)) for key in sorted(node.kwargs))
    return _callee(graph, node, unread), args, kwargs


def _callee(graph: Graph, node: fx.Node, unread: frozenset[str]) -> str:
    """Everything of an operation that does not depend on what its operands are to a path, as a digest: worked out once."""
    key = f"{node.name} {' '.join(sorted(unread))} "
    if key not in graph.digests:
        traced = graph.traced
        name, module = traced.operation(node), traced.submodule(node)
        callee = _plain(graph, node.target) if module is None else _module(graph, node, module, unread)
        told = node.op, name, traced.where(node), callee, _plain(graph, traced.shapes[node]), _openings(graph, node, name)
        graph.digests[key] = hashlib.sha256(repr(told).encode()).hexdigest()
    return graph.digests[key]


def _openings(graph: Graph, node: fx.Node, name: str) -> Plain:
    """The values of the open gates among the factors of a product."""
    live = [parent for parent in node.all_input_nodes if parent in graph.traced.live]
    if name not in ("mul", "imul", "multiply") or len(live) < 2:
        return ()
    return tuple(graph.traced.opening(parent) for parent in live)


def _module(graph: Graph, node: fx.Node, module: nn.Module, unread: frozenset[str]) -> Plain:
    """The kind of a module, its settings and its numbers."""
    kinds = tuple(_named(kind) for kind in type(module).__mro__)
    settings = {key: value for key, value in vars(module).items() if not key.startswith("_") and not isinstance(value, Tensor)}
    names = set() if is_activation(graph.traced, node) else _tensor_names(module)
    numbers = tuple((name, _tensor_of(graph, node, module, name)) for name in sorted(names - unread))
    shapes = tuple((name, tuple(getattr(getattr(module, name), "shape", ()))) for name in sorted(names & unread))
    return kinds, _plain(graph, settings), numbers, shapes


def _tensor_names(module: nn.Module) -> set[str]:
    """The names under which a module's own numbers are read, those that it works out of others included."""
    parts = (module._parameters, module._buffers, getattr(module, "parametrizations", ()))
    plain = {key for key, value in vars(module).items() if isinstance(value, Tensor)}
    return plain.union(*(set(part.keys() if hasattr(part, "keys") else part) for part in parts))


def _tensor_of(graph: Graph, node: fx.Node, module: nn.Module, name: str) -> Plain:
    """The digest of one of a module's tensors; None where it has none of that name."""
    key = f"{node.target} {name}"
    if key not in graph.digests:
        value = getattr(module, name, None)
        graph.digests[key] = tensor_digest(value) if isinstance(value, Tensor) else ""
    return graph.digests[key] or None


# -- values as plain nested tuples -------------------------------------------------------------------------------------------


def tensor_digest(tensor: Tensor) -> str:
    """SHA-256, as hex, of a tensor's type, shape and numbers in C order."""
    bare = tensor.detach().cpu()
    bare = bare if bare.layout == torch.strided else bare.to_dense()
    sha = hashlib.sha256(f"{bare.dtype} {tuple(bare.shape)} ".encode())
    sha.update(bare.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def _plain(graph: Graph, value: Any, places: dict[fx.Node, int] | None = None, shapes_only: bool = False) -> Plain:
    """A value as what has the same repr in every process; `shapes_only` if the numbers of constants are not read."""
    if value is None or isinstance(value, bool | str | bytes):
        return value
    if isinstance(value, fx.Node):
        return _operand(graph, value, places or {}, shapes_only)
    if isinstance(value, enum.Enum):
        return "enum", _named(type(value)), value.name
    if isinstance(value, int | float | complex):
        return type(value).__name__, repr(value)
    if isinstance(value, slice):
        return "slice", *(_plain(graph, part, places, shapes_only) for part in (value.start, value.stop, value.step))
    if isinstance(value, tuple | list):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return kind, *(_plain(graph, part, places, shapes_only) for part in value)
    if isinstance(value, dict):
        pairs = (tuple(_plain(graph, part, places, shapes_only) for part in item) for item in value.items())
        return "dict", *sorted(pairs, key=repr)
    return _object(value, shapes_only)


def _object(value: Any, shapes_only: bool) -> Plain:
    """A value that is no plain Python one; of what no rule can read only its kind is told."""
    if isinstance(value, Tensor):
        return "tensor", tuple(value.shape), "" if shapes_only else tensor_digest(value)
    if isinstance(value, np.ndarray | np.generic):
        return "array", tuple(value.shape), hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    if isinstance(value, torch.dtype | torch.device | torch.layout | torch.memory_format) or value is Ellipsis:
        return "constant", str(value)
    if isinstance(value, set | frozenset):
        return "set", *sorted(repr(_object(part, shapes_only)) for part in value)
    return ("named", _named(value)) if hasattr(value, "__name__") else ("object", _named(type(value)))


def _operand(graph: Graph, node: fx.Node, places: dict[fx.Node, int], shapes_only: bool) -> Plain:
    """A tensor that an operation reads: one on the paths by its place there, another by its shape, a constant by its value."""
    traced = graph.traced
    shape = _plain(graph, traced.shapes[node])
    if node in traced.live:
        return "operand", places.get(node), shape
    if shapes_only:
        return "constant", shape
    key = f"{node.name} "
    if key not in graph.digests:
        graph.digests[key] = repr(_value(graph, node))
    return "constant", shape, graph.digests[key]


def _value(graph: Graph, node: fx.Node) -> Plain:
    """The value of a tensor that does not depend on the image; what makes it, where it cannot be worked out."""
    try:
        return _plain(graph, graph.traced.constant(node))
    except Exception:  # code of the user's may run here; a rule that reads the value will meet the same
        return "unknown", node.op, _plain(graph, node.target), _plain(graph, node.args), _plain(graph, node.kwargs)


def _named(value: Any) -> str:
    """Where a class or function is defined, and its name."""
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value.__name__)}"
