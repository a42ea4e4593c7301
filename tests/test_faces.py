"""Every neuron's picture: the right kind, honest about what it shows, and something sensible for broken weights."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from generator.analyses.faces import FaceOptions, make_faces, nmf_pixels, side_by_side
from generator.records import Weights


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def weights(kernel: np.ndarray, source: str = "below", **changes: Any) -> Weights:
    fields: dict[str, Any] = {
        "grid": "sliding",
        "stride": (1, 1),
        "offset": (-1, -1),
        "direct": True,
        "through": (),
        "replaced": (),
    }
    fields |= {"read_at": source, "source_scale": None, "cancellation": None} | changes
    return Weights(source=source, target="above", kernel=kernel, **fields)


def test_three_colour_inputs_are_shown_as_they_are():
    kernel = np.zeros((2, 3, 2, 2), np.float32)
    kernel[0, 0, 0, 0], kernel[0, 2, 1, 1] = 0.5, -0.25
    faces = make_faces([weights(kernel, "input")], 2)
    assert faces.kind == "rgb"
    assert faces.pixels[0, 0, 0].tolist() == [255, 128, 128]
    assert faces.pixels[0, 1, 1, 2] in (64, 65)
    assert (faces.pixels[1] == 128).all()
    assert faces.notes[1].startswith("all its weights are zero")
    assert "mid-grey" in faces.scale


def test_three_inputs_that_are_not_the_image_are_factored():
    assert make_faces([weights(noise(2, 3, 3, 3), "conv0")], 2).kind == "nmf"


def test_one_input_is_shown_in_signed_colours():
    kernel = np.array([[[[1.0, -1.0], [0.0, 0.5]]]], np.float32)
    faces = make_faces([weights(kernel, "input")], 1)
    assert faces.kind == "signed"
    assert faces.pixels[0].reshape(4, 3).tolist()[:3] == [[0xCA, 0, 0x20], [0x05, 0x71, 0xB0], [0xF7] * 3]


def test_depthwise_kernels_are_shown_in_signed_colours():
    kernel = np.zeros((4, 4, 3, 3), np.float32)
    kernel[range(4), range(4)] = noise(4, 3, 3)
    faces = make_faces([weights(kernel)], 4)
    assert faces.kind == "signed"
    assert faces.pixels.shape == (4, 3, 3, 3)
    assert faces.notes == ("",) * 4


def test_other_kernels_are_factored_with_black_for_zero_and_a_full_colour():
    faces = make_faces([weights(noise(5, 8, 3, 3))], 5)
    assert (faces.kind, faces.expanded, faces.sources) == ("nmf", "", ("below",))
    assert faces.factors is not None
    assert (faces.pixels.max((1, 2, 3)) == 255).all()
    assert ((faces.factors.maps == 0) <= (faces.pixels == 0)).all()


@pytest.mark.parametrize("factors", [1, 2])
def test_fewer_factors_leave_colours_black(factors: int):
    faces = make_faces([weights(noise(3, 8, 3, 3))], 3, FaceOptions(factors=factors))
    assert not faces.pixels[..., factors:].any()


def test_more_factors_than_colours_are_refused():
    with pytest.raises(ValueError):
        nmf_pixels(np.ones((1, 2, 2, 4), np.float32))


def test_one_position_gives_way_to_expanded_weights_and_says_so():
    far = weights(noise(4, 6, 5, 5), "earlier", direct=False, through=("mixed3a.b3r",))
    faces = make_faces([weights(noise(4, 8, 1, 1)), far], 4)
    assert (faces.kind, faces.sources) == ("nmf", ("earlier",))
    assert "1x1" in faces.expanded
    assert "mixed3a.b3r" in faces.expanded


def test_a_layer_without_a_kernel_of_its_own_says_so():
    faces = make_faces([weights(noise(4, 6, 3, 3), direct=False, through=("conv1",))], 4)
    assert faces.expanded.startswith("it has no kernel of its own")


@pytest.mark.parametrize("grid", ["sliding", "mean"])
def test_one_position_and_nothing_upstream_gives_bars(grid: str):
    kernel = noise(3, 30, 1, 1)
    faces = make_faces([weights(kernel, grid=grid)], 3)
    assert faces.kind == "bars"
    assert faces.bars is not None
    assert faces.bar_inputs is not None
    assert faces.bars.shape == faces.bar_inputs.shape == (3, 12)
    for unit in range(3):
        order = sorted(range(30), key=lambda i: -abs(kernel[unit, i, 0, 0]))[:12]
        assert faces.bar_inputs[unit].tolist() == order
        assert faces.bars[unit] == pytest.approx(kernel[unit, order, 0, 0])


def test_no_weights_give_no_picture():
    faces = make_faces([], 7)
    assert (faces.kind, len(faces.notes), faces.pixels.shape) == ("none", 7, (7, 0, 0, 3))


def test_a_kernel_over_the_whole_map_is_a_picture():
    faces = make_faces([weights(noise(3, 10, 7, 7), grid="whole map")], 3)
    assert faces.pixels.shape == (3, 7, 7, 3)
    assert make_faces([weights(noise(2, 4, 12, 12), grid="whole map")], 2).pixels.shape == (2, 12, 12, 3)


def test_sources_on_one_grid_are_laid_side_by_side_by_their_offsets():
    small, large = noise(4, 2, 1, 1), noise(4, 5, 3, 3)
    pair = [weights(large, "left"), weights(small, "right", offset=(0, 0))]
    joined = side_by_side(pair)
    assert joined.shape == (4, 7, 3, 3)
    assert (joined[:, :5] == large).all()
    assert (joined[:, 5:, 1, 1] == small[..., 0, 0]).all()
    assert np.count_nonzero(joined[:, 5:]) == small.size
    assert make_faces(pair, 4).sources == ("left", "right")


def test_sources_of_another_stride_stay_out():
    pair = [weights(noise(4, 5, 3, 3), "left"), weights(noise(4, 5, 3, 3), "right", stride=(2, 2))]
    assert make_faces(pair, 4).sources == ("left",)


def test_signed_maps_of_a_group_stand_side_by_side():
    faces = make_faces([weights(noise(6, 8, 3, 3))], 6, FaceOptions(side="inputs", factors=2))
    assert faces.kind == "maps"
    assert faces.pixels.shape == (6, 3, 7, 3)
    assert (faces.pixels[:, :, 3] == 0xF7).all()
    assert faces.factors is not None


@pytest.mark.parametrize("shape", [(5, 8, 3, 3), (5, 3, 3, 3), (5, 1, 3, 3), (5, 8, 1, 1)])
def test_broken_and_dead_neurons_get_a_note_and_a_blank_picture(shape: tuple[int, ...]):
    kernel = noise(*shape)
    kernel[0], kernel[1, 0, 0, 0], kernel[2, 0, 0, 0] = 0, np.nan, np.inf
    faces = make_faces([weights(kernel, "input")], 5)
    assert "dead" in faces.notes[0]
    assert "NaN" in faces.notes[1]
    assert "Inf" in faces.notes[2]
    assert faces.notes[3:] == ("", "")
    if faces.bars is not None:
        assert not faces.bars[:3].any()
    else:
        assert len(np.unique(faces.pixels[:3])) == 1
        assert len(np.unique(faces.pixels[3])) > 1


def test_many_exact_zeros_are_counted_but_not_those_of_other_groups():
    pruned, grouped = noise(2, 10, 3, 3), np.zeros((2, 10, 3, 3), np.float32)
    pruned[0, 1:6] = 0
    grouped[0, :5], grouped[1, 5:] = noise(2, 5, 3, 3)
    assert make_faces([weights(pruned)], 2).notes == ("50% of its weights are exactly zero", "")
    assert make_faces([weights(grouped)], 2).notes == ("", "")


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="side"):
        make_faces([], 1, FaceOptions(side="outputs"))
    with pytest.raises(ValueError, match="units"):
        make_faces([weights(noise(4, 5, 3, 3))], 5)


def test_a_neuron_with_next_to_no_weight_is_said_to_be_all_but_dead():
    kernel = np.random.default_rng(5).standard_normal((6, 4, 3, 3)).astype(np.float32)
    kernel[2] *= 1e-5
    kernel[3] = 0
    notes = make_faces([weights(kernel)], 6).notes
    assert "all but dead" in notes[2]
    assert "all but dead" not in notes[3]
    assert notes[0] == ""
