"""The statistics of neurons, their alike neighbours and their order, against loops, scikit-learn and planted answers."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from real_models import real_model
from sample_facts import sample_model
from sklearn.metrics.pairwise import cosine_similarity

from generator.affine import own_bias_and_scale, own_weights
from generator.analyses.likeness import streams_of
from generator.analyses.statistics import NEIGHBOURS, statistics
from generator.expand import weights_between
from generator.pages.twin import layer_json
from generator.records import Weights


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def weights(kernel: np.ndarray, source: str = "below", direct: bool = True) -> Weights:
    return Weights(source, "above", kernel, "sliding", (1, 1), (0, 0), direct, (), (), source, None, None)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def roughness(rows: np.ndarray, place: np.ndarray) -> float:
    """Mean cosine of neurons that stand side by side."""
    ordered = rows[np.argsort(place)]
    return float(np.diagonal(cosine_similarity(ordered), 1).mean())


def test_the_numbers_are_those_of_a_plain_loop():
    kernel, other = noise(5, 4, 3, 2), noise(5, 2, 1, 1)
    kernel[2, 1] = 0
    found = statistics([weights(kernel), weights(other, "beside")])
    for unit in range(5):
        own = np.concatenate([kernel[unit].ravel(), other[unit].ravel()]).astype(float)
        norm = np.sqrt(sum(w * w for w in own))
        root = np.sqrt(len(own))
        assert found.norm[unit] == pytest.approx(norm, rel=1e-6)
        assert found.sparsity[unit] == pytest.approx((root - sum(abs(w) for w in own) / norm) / (root - 1), rel=1e-5)
        assert found.zeros[unit] == pytest.approx(sum(w == 0 for w in own) / len(own), abs=1e-6)
        assert found.positive[unit] == pytest.approx(sum(w for w in own if w > 0) / sum(abs(w) for w in own), rel=1e-5)
    assert found.bias is None and found.norm_scale is None


def test_sparsity_runs_from_nought_to_one_and_signs_are_shared_out():
    kernel = np.zeros((4, 9, 1, 1), np.float32)
    kernel[0], kernel[1, 3], kernel[2], kernel[3, :3] = 0.5, -2, -1, [[[3]], [[-1]], [[0]]]
    found = statistics([weights(kernel)], stored=np.full(4, 9))
    assert found.sparsity[:3].tolist() == pytest.approx([0, 1, 0], abs=1e-6)
    assert found.positive.tolist() == [1, 0, 0, 0.75]
    assert found.zeros.tolist() == pytest.approx([0, 8 / 9, 0, 7 / 9])


def test_padding_is_no_weight():
    kernel = np.zeros((2, 6, 5, 5), np.float32)
    kernel[0, :, 2, 2], kernel[1] = noise(6), noise(6, 5, 5)
    kernel[0, 4] = 0
    bare = statistics([weights(kernel[:1, :, 2:3, 2:3])])
    for found in (statistics([weights(kernel, direct=False)]), statistics([weights(kernel)], stored=np.array([6, 150]))):
        assert found.zeros.tolist() == pytest.approx([1 / 6, 0])
        assert found.sparsity[0] == pytest.approx(bare.sparsity[0])


def test_the_inputs_of_other_groups_are_no_weights():
    kernel = np.zeros((4, 4, 3, 3), np.float32)
    kernel[range(4), range(4)] = 1
    kernel[0, 0, 0] = 0
    found = statistics([weights(kernel)], stored=np.full(4, 9))
    assert found.zeros.tolist() == pytest.approx([1 / 3, 0, 0, 0])
    assert found.sparsity[1:].tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert (found.alike == -1).all()  # they read different inputs


def test_zero_and_broken_neurons_are_like_no_other_and_stand_last():
    kernel = noise(9, 6, 3, 3)
    kernel[2], kernel[4, 0, 0, 0], kernel[7, 1, 1, 1] = 0, np.nan, np.inf
    found = statistics([weights(kernel)])
    assert found.norm[2] == 0 and np.isnan(found.norm[4]) and np.isinf(found.norm[7])
    assert found.zeros[2] == 1
    for unit in (2, 4, 7):
        assert np.isnan([found.sparsity[unit], found.positive[unit]]).all()
        assert (found.alike[unit] == -1).all() and np.isnan(found.cosine[unit]).all()
        assert unit not in found.alike
    assert sorted(found.place.tolist()) == list(range(9))
    assert found.place[[2, 4, 7]].tolist() == [6, 7, 8]


def test_alike_neurons_are_those_of_scikit_learn():
    kernel, other = noise(40, 5, 3, 3), noise(40, 7, 1, 1)
    found = statistics([weights(kernel), weights(other, "beside")])
    rows = np.concatenate([kernel.reshape(40, -1), other.reshape(40, -1)], 1)
    exact = cosine_similarity(rows.astype(float))
    np.fill_diagonal(exact, -2)
    for unit in range(40):
        order = np.argsort(-exact[unit])[:NEIGHBOURS]
        assert found.alike[unit].tolist() == order.tolist()
        assert found.cosine[unit] == pytest.approx(exact[unit, order], abs=2e-5)


def test_sources_that_are_read_through_the_same_weights_count_as_often_as_they_are():
    kernel, scales = noise(60, 40, 1, 1), np.random.default_rng(5).uniform(-2, 2, (3, 40)).astype(np.float32)
    scales[1, 7] = 0
    reads = [weights(kernel * scale[:, None, None], str(place)) for place, scale in enumerate(scales)]
    reads.append(weights(kernel[::-1].copy(), "other"))
    rows = [each.kernel.reshape(60, -1) for each in reads]
    assert [stream.square is not None for stream in streams_of(rows)] == [True, False]
    found = statistics(reads)
    exact = cosine_similarity(np.concatenate(rows, 1).astype(float))
    np.fill_diagonal(exact, -2)
    assert np.allclose(found.cosine[:, 0], exact.max(1), atol=2e-5)
    assert (found.alike[:, 0] == exact.argmax(1)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.001])
@pytest.mark.parametrize("size", [1e-30, 1e-9, 1])
def test_weights_that_differ_in_one_place_are_not_the_same(value: float, size: float):
    one = noise(60, 40)
    one[50] *= np.float32(size)
    other = 2 * one
    assert len(streams_of([one, other])) == 1
    other[50, 3] *= value
    assert len(streams_of([one, other])) == 2


def test_neurons_that_do_not_point_the_same_way_are_not_alike():
    kernel = np.array([[1, 0], [2, 0], [-1, 0], [0, 1]], np.float32)[:, :, None, None]
    found = statistics([weights(kernel)])
    assert found.alike.tolist() == [[1, -1, -1], [0, -1, -1], [-1, -1, -1], [-1, -1, -1]]
    assert found.cosine[0, 0] == 1 and np.isnan(found.cosine[0, 1:]).all()


def test_ties_go_to_the_smaller_index():
    found = statistics([weights(np.ones((9, 30, 3, 3), np.float32) * noise(9)[:, None, None, None] ** 2)])
    assert found.alike[0].tolist() == [1, 2, 3, 4, 5, 6]
    assert found.alike[4].tolist() == [0, 1, 2, 3, 5, 6]
    assert (found.cosine == 1).all()


def test_planted_groups_stand_together_in_the_order():
    random = np.random.default_rng(3)
    group = random.permutation(np.repeat(np.arange(8), 10))
    rows = random.standard_normal((8, 200))[group] + 0.5 * random.standard_normal((80, 200))
    place = statistics([weights(rows.astype(np.float32)[:, :, None, None])]).place
    assert sorted(place.tolist()) == list(range(80))
    assert (np.diff(group[np.argsort(place)]) != 0).sum() == 7


def test_a_ring_of_orientations_comes_in_order():
    turn = np.random.default_rng(4).permutation(64) / 64 * np.pi
    rows = np.stack([np.cos(turn), np.sin(turn)], 1).astype(np.float32)
    place = statistics([weights(rows[:, :, None, None])]).place
    assert roughness(rows, place) > 0.99


@pytest.mark.parametrize("shape", [(1, 4, 3, 3), (2, 1, 1, 1), (0, 4, 3, 3), (3, 0, 1, 1)])
def test_small_layers_have_statistics(shape: tuple[int, ...]):
    found = statistics([weights(np.ones(shape, np.float32))])
    assert found.norm.shape == found.place.shape == found.sparsity.shape == shape[:1]
    assert found.alike.shape == found.cosine.shape == (shape[0], max(0, shape[0] - 1))
    assert sorted(found.place.tolist()) == list(range(shape[0]))


def test_a_single_weight_has_no_sparsity():
    assert np.isnan(statistics([weights(noise(3, 1, 1, 1))]).sparsity).all()


@pytest.mark.parametrize("scale", [1e-30, 1e18, 1e30])
def test_statistics_keep_any_scale(scale: float):
    kernel = noise(8, 4, 3, 3)
    plain, found = statistics([weights(kernel)]), statistics([weights((kernel.astype(float) * scale).astype(np.float32))])
    assert np.allclose(found.norm / scale, plain.norm, rtol=1e-5)
    for name in ("sparsity", "positive", "cosine"):
        assert np.allclose(getattr(found, name), getattr(plain, name), atol=1e-4, equal_nan=True)
    assert (found.alike == plain.alike).all()


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch):
    kernel = noise(30, 6, 3, 3)
    whole = statistics([weights(kernel, direct=False)])
    monkeypatch.setattr("generator.analyses.statistics.ELEMENTS", 100)
    monkeypatch.setattr("generator.analyses.likeness.COLUMNS", 100)
    monkeypatch.setattr("generator.analyses.likeness.ELEMENTS", 100)
    parts = statistics([weights(kernel, direct=False)])
    for name in ("sparsity", "zeros", "alike", "place"):
        assert (getattr(whole, name) == getattr(parts, name)).all()


def test_of_a_layer_too_large_to_order_the_neighbours_are_the_same(monkeypatch: pytest.MonkeyPatch):
    kernel = noise(50, 6, 3, 3)
    kernel[7] = 0
    whole = statistics([weights(kernel)])
    monkeypatch.setattr("generator.analyses.statistics.MOST", 24)
    parts = statistics([weights(kernel)])
    assert (parts.alike == whole.alike).all()
    assert np.allclose(parts.cosine, whole.cosine, atol=2e-5, equal_nan=True)
    assert parts.place.tolist() == list(range(50))


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [("bundled", "conv0", "conv1"), ("squeezenet", "features.3", "features.4"), ("vgg16", "features.0", "features.2")],
)
def test_real_layers_have_the_neighbours_of_scikit_learn_and_a_better_order_than_their_own(name, source, target):
    graph = real_model(name)[1]
    found = statistics([weights_between(graph, source, target)])
    rows = weights_between(graph, source, target).kernel.reshape(len(found.norm), -1)
    exact = cosine_similarity(rows)
    np.fill_diagonal(exact, -2)
    living = found.norm > 0
    assert np.allclose(
        np.where(exact.max(1) > 0, exact.max(1), np.nan)[living], found.cosine[living, 0], atol=2e-5, equal_nan=True
    )
    assert roughness(rows, found.place) > roughness(rows, np.arange(len(rows))) + 0.05


def test_a_layer_has_its_own_bias_and_no_zeros_that_are_padding():
    graph = real_model("bundled")[1]
    reads = [weights_between(graph, "conv1", "mixed3a")]
    bias, scale = own_bias_and_scale(graph, "mixed3a")
    found = statistics(reads, bias, scale, own_weights(graph, "mixed3a"))
    assert (found.bias == bias).all() and (found.norm_scale == scale).all()
    assert found.zeros.max() < 0.01  # though its branch of 1x1 stands in kernels of 5x5


def test_the_twin_of_a_layer_holds_its_statistics_with_null_for_what_is_not_defined():
    model = sample_model()
    first, _, mixed, _ = model.layers
    assert json.loads(layer_json(model, first))["statistics"] is None
    twin = json.loads(layer_json(model, mixed))
    said, units = twin["statistics"], mixed.chosen
    for name in ("norm", "sparsity", "zeros", "positive", "bias", "norm_scale", "alike", "cosine", "place"):
        assert len(said[name]) == len(units)
    assert said["sparsity"][list(units).index(6)] is None
    assert said["alike"] == mixed.statistics.alike[units].tolist()
    table = twin["reads"][0]
    assert table["spread"] == mixed.reads[0].reads.spread[units].tolist()
    assert len(table["reach"]) == len(table["floor"]) == len(units)
