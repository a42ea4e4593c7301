"""The variant of Lucid and Captum, for comparison: ordinary NMF of the positive and negative parts laid side by side.

It minimises ||[relu(X), relu(-X)] - A [B+, B-]||, not ||X - AB||, so it explains less of X than the semi-NMF does.
"""

from __future__ import annotations

import warnings

import numpy as np


def posneg(weights: np.ndarray, factors: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One neuron's maps [position, factor] >= 0 and mixes [input, factor] of either sign, from weights [input, position]."""
    from sklearn.decomposition import NMF  # takes longer to import than all else of the program but torch
    from sklearn.exceptions import ConvergenceWarning

    positive = np.concatenate([np.maximum(weights.T, 0.0), np.maximum(-weights.T, 0.0)], 1)
    maps, mixes = np.zeros((weights.shape[1], factors)), np.zeros((len(weights), factors))
    rank = min(factors, *positive.shape)
    model = NMF(n_components=rank, init="nndsvda", max_iter=200, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        maps[:, :rank] = model.fit_transform(positive)
    halves = model.components_.reshape(rank, 2, -1)
    mixes[:, :rank] = (halves[:, 0] - halves[:, 1]).T
    return maps, mixes
