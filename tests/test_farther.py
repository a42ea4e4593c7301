"""Neurons that read every position alike are shown by their expanded weights on a farther layer, and say so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sample_facts as sample

from generator.analyses.faces import make_faces
from generator.analyses.farther import flat_units, middle
from generator.analyses.nmf import factor_neurons

RANDOM = np.random.default_rng(0)


def concat_kernel() -> np.ndarray:
    """[unit, input, row, col]: unit 0 reads one position, unit 1 a 3x3 window alike, unit 2 differently, unit 3 nothing."""
    kernel = np.zeros((4, 6, 5, 5), np.float32)
    kernel[0, :, 2, 2] = RANDOM.standard_normal(6)
    kernel[1, :, 1:4, 1:4] = RANDOM.standard_normal((6, 1, 1))
    kernel[2] = RANDOM.standard_normal((6, 5, 5))
    return kernel


def test_flat_units_are_those_that_read_all_their_positions_alike():
    assert flat_units(concat_kernel()).tolist() == [True, True, False, False]


def test_a_unit_with_nan_is_not_flat():
    kernel = concat_kernel()
    kernel[0, 0, 2, 2] = np.nan
    assert flat_units(kernel).tolist() == [False, True, False, False]


def test_a_flat_unit_is_pictured_by_its_expanded_weights():
    near = sample.weights("near", "here", concat_kernel(), through=("bottleneck",))
    wide = RANDOM.standard_normal((4, 7, 5, 5)).astype(np.float32)
    faces = make_faces([near, sample.weights("far", "here", wide, through=("near", "bottleneck"))], 4)
    assert faces.sources == ("near", "far")
    alone = factor_neurons(wide[:2])
    np.testing.assert_allclose(faces.factors.explained[:2], alone.explained)
    np.testing.assert_allclose(faces.factors.maps[:2].max((1, 2)).sum(1), alone.maps.max((1, 2)).sum(1), rtol=1e-5)
    assert not faces.factors.mixes[:2, :6].any()
    assert not faces.factors.mixes[2, 6:].any()
    assert "reads every position alike, so its picture shows its expanded weights on far" in faces.notes[0]
    assert faces.notes[2] == ""
    assert faces.noise[0] != faces.noise[2]


def test_expanded_weights_too_large_for_the_tile_are_cut_and_the_note_says_how_much_is_left():
    near = sample.weights("near", "here", concat_kernel(), through=("bottleneck",))
    wide = np.zeros((4, 7, 9, 9), np.float32)
    wide[:, :, 2:7, 2:7] = RANDOM.standard_normal((4, 7, 5, 5))
    wide[0, 0, 0, 0] = wide[0, 0, 8, 8] = 0.1
    faces = make_faces([near, sample.weights("far", "here", wide, through=("near",))], 4)
    assert "cut to the middle 5x5, which hold" not in faces.notes[1]
    wide[0, 0, 0, 0] = wide[0, 0, 8, 8] = 2.0
    faces = make_faces([near, sample.weights("far", "here", wide, through=("near",))], 4)
    tile, share = middle(wide[0], 5, 5)
    np.testing.assert_array_equal(tile, wide[0, :, 2:7, 2:7])
    assert f"cut to the middle 5x5, which hold {share:.0%} of them" in faces.notes[0]


def test_without_room_or_a_farther_layer_a_flat_unit_says_that_it_is_flat():
    near = sample.weights("near", "here", concat_kernel(), through=("bottleneck",))
    assert make_faces([near], 4).notes[0] == "it reads every position alike: one map says all there is"
    wide = np.zeros((4, 7, 9, 9), np.float32)
    wide[:, :, 0, 0] = wide[:, :, 8, 8] = 1.0
    faces = make_faces([near, sample.weights("far", "here", wide, through=("near",))], 4)
    assert faces.sources == ("near",)
    assert "one map says all" in faces.notes[1]


@pytest.mark.parametrize("grid", ["mean", "whole map"])
def test_only_sliding_weights_stand_in(grid):
    near = sample.weights("near", "here", concat_kernel(), through=("bottleneck",))
    far = replace(sample.weights("far", "here", concat_kernel(), through=("near",)), grid=grid)
    assert make_faces([near, far], 4).sources == ("near",)
