"""A module as a graph of operations: the one door for torch.fx.

torch.nn modules are single operations, everything else is traced through. What the graph knows beyond torch.fx: the shape of
every tensor, which tensors depend on the image, the values of those that do not, and which module call made each tensor.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from generator.errors import ModelError
from generator.linear import OPENINGS, function_name

BATCH = 2  # images in the dry run that finds the shapes; two, so that a view that mixes images is seen


@dataclass
class Traced:
    """The operations of a model in order of computation."""

    module: nn.Module  # the traced copy; its parameters are the model's own
    nodes: tuple[fx.Node, ...]
    input: fx.Node
    shapes: dict[fx.Node, Any]  # a tensor's shape without its batch; a list of them for several tensors; else the plain value
    live: frozenset[fx.Node]  # tensors that depend on the image
    outputs: tuple[tuple[str, fx.Node], ...]  # (module path, the tensor it gave) for every module call, inner ones first
    scopes: dict[fx.Node, str]  # path of the module within whose call the operation stands
    constants: dict[fx.Node, Any] = field(default_factory=dict)  # values worked out so far

    def submodule(self, node: fx.Node) -> nn.Module | None:
        """The torch.nn module a node calls; None for a function."""
        return self.module.get_submodule(str(node.target)) if node.op == "call_module" else None

    def where(self, node: fx.Node) -> str:
        """Module path to name to the reader."""
        return str(node.target) if node.op == "call_module" else self.scopes.get(node) or "the model itself"

    def operation(self, node: fx.Node) -> str:
        """Class or function name."""
        module = self.submodule(node)
        return type(module).__name__.removeprefix("Parametrized") if module is not None else function_name(node.target)

    def constant(self, argument: Any) -> Any:
        """The value of an argument that does not depend on the image: worked out with the model's own weights."""
        if isinstance(argument, tuple | list):
            return type(argument)(self.constant(item) for item in argument)
        if not isinstance(argument, fx.Node):
            return argument
        if argument not in self.constants:
            self.constants[argument] = self.evaluate(argument)
        return self.constants[argument]

    def evaluate(self, node: fx.Node) -> Any:
        """Run one operation on constants."""
        value = self.shapes[node]
        if isinstance(value, torch.Size) or not isinstance(value, tuple | list):
            return value  # a size or a plain number, known from the dry run
        args = fx.node.map_arg(node.args, self.constant)
        kwargs = fx.node.map_arg(node.kwargs, self.constant)
        with torch.no_grad():
            return getattr(fx.Interpreter(self.module), node.op)(node.target, args, kwargs)

    def opening(self, node: fx.Node) -> float | None:
        """The value of an open gate that this tensor holds: the top of the function that squashed it, as scaled since."""
        name = self.operation(node)
        if name in OPENINGS:
            return OPENINGS[name]
        if name in ("mul", "div", "truediv") and isinstance(node.args[0], fx.Node) and node.args[1] not in self.live:
            below, factor = self.opening(node.args[0]), self.constant(node.args[1])
            if below is None or isinstance(factor, Tensor):
                return None
            return below * factor if name == "mul" else below / factor
        return None


class PathTracer(fx.Tracer):
    """A tracer that keeps what every module call gave and in whose call each operation stands."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[tuple[str, fx.Node]] = []
        self.stack: list[str] = [""]
        self.scopes: dict[fx.Node, str] = {}
        self.broken = ""  # the module whose forward raised

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """Trace one call; the path is that of the module's first name."""
        path = self.path_of_module(m)
        self.stack.append(path)
        try:
            result = super().call_module(m, forward, args, kwargs)
        except Exception:
            self.broken = self.broken or path
            raise
        finally:
            self.stack.pop()
        if isinstance(result, fx.Proxy):
            self.outputs.append((path, result.node))
        return result

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        """Keep the scope of a new operation."""
        node = super().create_node(*args, **kwargs)
        self.scopes[node] = self.stack[-1]
        return node


def trace_module(module: nn.Module, input_shape: tuple[int, int, int]) -> Traced:
    """Trace a model in eval mode at one input size.

    Args:
        module: any vision network whose forward takes one image tensor `[image, channel, row, col]`.
        input_shape: channels, rows, cols.

    Raises:
        ModelError: torch.fx cannot follow its forward, or it does not run at this input size.
    """
    refuse_hooks(module)
    tracer = PathTracer()
    try:
        graph = tracer.trace(module, concrete_args=other_arguments(module))
    except Exception as reason:  # any code of the user's may run here
        raise ModelError(f"{tracer.broken or 'the model'}: cannot be traced by torch.fx: {first_line(reason)}") from reason
    drop_other_inputs(graph)
    traced = fx.GraphModule(tracer.root, graph)
    shapes = find_shapes(traced, input_shape)
    # The nodes of a GraphModule are the tracer's own, so the tracer's records hold for them.
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    return Traced(
        traced,
        tuple(graph.nodes),
        inputs[0],
        shapes,
        find_live(graph.nodes, inputs[0], shapes),
        tuple(tracer.outputs),
        tracer.scopes,
    )


def first_line(reason: BaseException) -> str:
    """The first line of an exception's message."""
    return (str(reason).strip() or type(reason).__name__).splitlines()[0]


def other_arguments(module: nn.Module) -> dict[str, Any]:
    """The defaults of every argument of forward but the image."""
    parameters = list(inspect.signature(module.forward).parameters.values())[1:]
    plain = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    missing = [p.name for p in plain if p.default is p.empty]
    if missing:
        raise ModelError(f"forward of {type(module).__name__} needs {', '.join(missing)} beside the image; wrap it in a module")
    return {p.name: p.default for p in plain}


def drop_other_inputs(graph: fx.Graph) -> None:
    """Take away the placeholders that torch.fx makes for fixed arguments, and its checks of them."""
    for node in [n for n in graph.nodes if n.op == "placeholder"][1:]:
        for check in list(node.users):
            for last in list(check.users):
                graph.erase_node(last)
            graph.erase_node(check)
        graph.erase_node(node)


KNOWN_HOOKS = ("WeightNorm", "SpectralNorm")  # these only prepare the weight that is read


def refuse_hooks(module: nn.Module) -> None:
    """A hook may change what a module computes, out of the graph's sight."""
    for path, part in module.named_modules():
        hooks = [*part._forward_hooks.values(), *part._forward_pre_hooks.values()]
        if any(type(hook).__name__ not in KNOWN_HOOKS for hook in hooks):
            raise ModelError(f"{path or 'the model'}: has a forward hook, whose effect cannot be read; remove it first")


def find_shapes(traced: fx.GraphModule, input_shape: tuple[int, int, int]) -> dict[fx.Node, Any]:
    """Shapes of all tensors by a dry run on the meta device, without weights or arithmetic; for real where that fails."""
    image = torch.zeros(BATCH, *input_shape)
    try:
        return run_for_shapes(without_weights(traced), image.to("meta"), traced.graph.nodes)
    except Exception:  # an operation without a meta kernel, or code that looks at values
        pass
    try:
        return run_for_shapes(traced, image, traced.graph.nodes)
    except Exception as reason:
        size = "x".join(map(str, input_shape))
        raise ModelError(f"does not run on an image of {size}: {first_line(reason)}") from reason


def without_weights(traced: fx.GraphModule) -> fx.GraphModule:
    """A copy whose parameters and buffers have shapes only, made without copying the numbers."""
    memo: dict[int, Any] = {}
    for tensor in (*traced.parameters(), *traced.buffers()):
        bare = tensor.detach().to("meta")
        memo[id(tensor)] = nn.Parameter(bare, requires_grad=False) if isinstance(tensor, nn.Parameter) else bare
    return copy.deepcopy(traced, memo)


def run_for_shapes(traced: fx.GraphModule, image: Tensor, nodes: Any) -> dict[fx.Node, Any]:
    """Run the operations one by one and keep what each gave, by the operations of the original graph."""
    kept: list[Any] = []

    class Shapes(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            kept.append(shape_of(value))
            return value

    with torch.no_grad():
        Shapes(traced).run(image)
    return dict(zip(nodes, kept, strict=True))


def shape_of(value: Any) -> Any:
    """A tensor's shape without its batch, as a plain tuple; a list for several tensors; any other value as it is."""
    if isinstance(value, Tensor):
        return tuple(value.shape[1:]) if value.ndim and value.shape[0] == BATCH else ("unbatched", *value.shape)
    if isinstance(value, tuple | list) and not isinstance(value, torch.Size) and any(isinstance(v, Tensor) for v in value):
        return [shape_of(v) for v in value]
    return value


def find_live(nodes: Any, image: fx.Node, shapes: dict[fx.Node, Any]) -> frozenset[fx.Node]:
    """Tensors that depend on the image's numbers (a size read off a tensor does not)."""
    live = {image}
    for node in nodes:
        tensors = isinstance(shapes[node], list) or (type(shapes[node]) is tuple and node.op != "output")
        sized = node.op == "call_method" and node.target in ("size", "dim")
        if tensors and not sized and any(parent in live for parent in node.all_input_nodes) and node.op != "output":
            live.add(node)
    return frozenset(live)


def parents(traced: Traced, node: fx.Node) -> Iterator[fx.Node]:
    """The tensors an operation reads that depend on the image."""
    return (parent for parent in node.all_input_nodes if parent in traced.live)
