"""One order of factors for a whole layer, so that a colour means the same mix of inputs on every neuron of it."""

from __future__ import annotations

from itertools import permutations

import numpy as np

RULE = (
    "Colours are matched within the layer: one template mix of inputs for each colour is fitted to its neurons together, "
    "and each neuron takes the order of its factors whose mixes, weighted by strength, agree best with the templates."
)
ROUNDS = 4  # of the joint fit
FITTED = 128  # neurons at most, evenly spread, to which templates are fitted: with more they agree by a hundredth more


def match_factors(mixes: np.ndarray, strength: np.ndarray, leading: np.ndarray | None = None) -> np.ndarray:
    """The order of each neuron's factors that agrees best with the layer's templates (spherical k-means under a permutation).

    mixes: float32 [unit, input, factor], columns of unit length or zero; strength: [unit, factor], >= 0, the norm of what each
    factor contributes; leading: bool [unit], the neurons to which the templates are fitted, all where it is None or empty.
    Returns order: int [unit, factor]; factor `order[u, j]` of neuron u takes colour j. Of equals the first permutation wins.
    The first colour is the one that carries most of the layer's weight.
    """
    units, inputs, factors = mixes.shape
    choices = np.array(list(permutations(range(factors))))
    if units == 0 or inputs == 0 or factors < 2:
        return np.tile(np.arange(factors), (units, 1))
    rows = np.ascontiguousarray(mixes.transpose(0, 2, 1)).reshape(-1, inputs)
    total = np.linalg.norm(strength, axis=1, keepdims=True)
    share = np.asarray(strength / np.where(total > 0, total, 1.0), dtype=np.float32)
    leads = np.arange(units) if leading is None or not leading.any() else np.nonzero(leading)[0]
    leads = leads[:: -(-len(leads) // FITTED)]
    few = rows.reshape(units, factors, inputs)[leads].reshape(-1, inputs)
    order = _best_orders(rows, share, choices, _fit(few, share[leads], choices))
    carried = (np.take_along_axis(share, order, 1)[leads] ** 2).sum(0)
    return order[:, np.argsort(-carried, kind="stable")]


def _fit(rows: np.ndarray, share: np.ndarray, choices: np.ndarray) -> np.ndarray:
    """Templates [colour, input] and orders in turn until the orders stay, beginning with the order of strength."""
    order = np.argsort(-share, axis=1, kind="stable")
    for _ in range(ROUNDS):
        templates = _templates(rows, share, order)
        new = _best_orders(rows, share, choices, templates)
        if (new == order).all():
            break
        order = new
    return templates


def _best_orders(rows: np.ndarray, share: np.ndarray, choices: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """The permutation of each neuron's factors that agrees best with the templates; of equals the first."""
    agreement = (rows @ templates.T).reshape(*share.shape, -1) * share[:, :, None]  # [unit, factor, colour]
    chosen = np.eye(share.shape[1], dtype=np.float32)[choices]  # [permutation, colour, factor]
    totals = agreement.reshape(len(share), -1) @ chosen.transpose(2, 1, 0).reshape(-1, len(choices))
    best = np.argmax(totals >= totals.max(1, keepdims=True) - 1e-6, axis=1)
    return np.asarray(choices[best])


def _templates(rows: np.ndarray, share: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The mean of the mixes given to each colour, weighted by strength, at unit length: [factor, input]."""
    units, factors = share.shape
    given = np.zeros((units, factors, factors), np.float32)
    np.put_along_axis(given, order[:, None, :], np.take_along_axis(share, order, 1)[:, None, :], axis=1)
    mean = given.reshape(-1, factors).T @ rows
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    return np.asarray(mean / np.where(length > 0, length, 1.0))
