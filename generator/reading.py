"""The weights of one layer on all chosen layers that it reads, as records; what cannot be read is told, not passed over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from generator.affine import own_bias_and_scale, own_weights
from generator.cancellation import with_cancellation
from generator.errors import LayerError, RefusedError
from generator.expand import weights_into
from generator.graph import Graph
from generator.records import LayerPlan, LayerWeights, Weights


def layer_weights(graph: Graph, plan: LayerPlan, units: Sequence[int] = ()) -> LayerWeights:
    """The weights of a layer on every chosen layer it reads, those outside of it first; and what was refused.

    units: the neurons that are asked for, in order; all of them unless given.
    """
    address = plan.layer.address
    outside, refused = read_or_refuse(graph, address, plan.outside, (), units)
    inside, refused_inside = read_or_refuse(graph, address, plan.inside, plan.outside, units)
    reasons = (*refused, *refused_inside)
    bias, scale = own_bias_and_scale(graph, address) if outside else (None, None)
    stored = own_weights(graph, address) if outside and not reasons else None
    bias, scale, stored = (each if each is None or not len(units) else each[list(units)] for each in (bias, scale, stored))
    return LayerWeights((*outside, *inside), len(outside), reasons, bias, scale, stored)


def read_or_refuse(
    graph: Graph, target: str, sources: Sequence[str], blocked: Iterable[str], units: Sequence[int] = ()
) -> tuple[list[Weights], list[str]]:
    """The weights on several sources at once; where one path is refused, on each that is not."""
    if not sources:
        return [], []
    try:
        return with_cancellation(graph, weights_into(graph, target, sources, blocked, units), blocked, units), []
    except RefusedError as reason:
        if len(sources) == 1:
            return [], [f"weights on {sources[0]}: {reason}"]
    parts = [
        read_or_refuse(graph, target, [source], [*blocked, *(other for other in sources if other != source)], units)
        for source in sources
    ]
    return [each for weights, _ in parts for each in weights], [line for _, lines in parts for line in lines]


def expanded_or_none(graph: Graph, address: str, sources: Sequence[str], units: Sequence[int] = ()) -> list[Weights]:
    """Expanded weights for a picture; none where a path on the way cannot be read."""
    try:
        return weights_into(graph, address, sources, units=units)
    except (RefusedError, LayerError):
        return []
