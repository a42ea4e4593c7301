"""The factoring of kernels: exact where it says so, a function of the weights alone, calm where nothing is to factor."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.decomposition import NMF

from generator.analyses.cone import simplex
from generator.analyses.group import factor_group
from generator.analyses.nmf import factor_layers, factor_neurons, noise_share
from generator.analyses.positive import COST, positive_span
from generator.analyses.templates import match_factors
from generator.records import NeuronFactors

SHARED = Path(__file__).parents[1].parent / "shared" / "models"


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def planted(units: int = 6, inputs: int = 20, side: int = 3, factors: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Kernels made of non-negative maps, each zero where another is not, so that no other maps fit."""
    random = np.random.default_rng(5)
    maps = random.uniform(0.2, 1, (units, side * side, factors))
    for factor in range(factors):
        maps[:, factor, [f for f in range(factors) if f != factor]] = 0
    mixes = random.standard_normal((units, inputs, factors))
    return (mixes @ maps.transpose(0, 2, 1)).reshape(units, inputs, side, side).astype(np.float32), maps


def flat(factors: NeuronFactors) -> np.ndarray:
    return factors.maps.reshape(len(factors.maps), -1, factors.maps.shape[-1]).astype(float)


def rebuilt(factors: NeuronFactors) -> np.ndarray:
    """The kernel that maps and mixes stand for: [unit, input, position]."""
    return factors.mixes.astype(float) @ flat(factors).transpose(0, 2, 1)


def worst_cosine(one: np.ndarray, two: np.ndarray, any_order: bool = True) -> float:
    """Of the best matching of two sets of columns, the smallest cosine; columns that are both zero agree."""

    def unit(a: np.ndarray) -> np.ndarray:
        return a / np.where(np.linalg.norm(a, axis=0) > 0, np.linalg.norm(a, axis=0), 1)

    cosines = unit(one).T @ unit(two)
    both = np.linalg.norm(one, axis=0)[:, None] + np.linalg.norm(two, axis=0)[None] == 0
    cosines[both] = 1
    orders = itertools.permutations(range(one.shape[1])) if any_order else [tuple(range(one.shape[1]))]
    return max(min(cosines[i, j] for i, j in enumerate(order)) for order in orders)


def refit(weights: np.ndarray, maps: np.ndarray) -> float:
    """Share of weights [position, input] that maps explain with mixes fitted, by numpy alone."""
    mixes = np.linalg.lstsq(maps, weights, rcond=None)[0]
    return 1 - float(((weights - maps @ mixes) ** 2).sum() / (weights**2).sum())


def most(weights: np.ndarray, factors: int, push: float = 0.0) -> float:
    """The most that a span of `factors` dimensions with a non-negative vector explains of weights [position, input], less a
    barrier on that vector's entries; found by scipy from many starts, on the vector alone.
    """
    gram = weights @ weights.T / (weights**2).sum()

    def loss(entries: np.ndarray) -> float:
        vector = entries**2 + 1e-12
        vector /= np.linalg.norm(vector)
        across = np.eye(len(vector)) - np.outer(vector, vector)
        others = np.linalg.eigvalsh(across @ gram @ across)[::-1][: factors - 1].sum()
        return -float(vector @ gram @ vector + others + 2 * push / len(vector) * np.log(vector).sum())

    random = np.random.default_rng(0)
    return max(-minimize(loss, random.standard_normal(len(gram))).fun for _ in range(20))


@pytest.mark.parametrize("factors", [1, 2, 3])
def test_planted_factors_come_back(factors: int):
    kernel, maps = planted(factors=factors)
    found = factor_neurons(kernel, factors)
    assert np.allclose(found.explained, 1, atol=1e-5)
    for unit in range(len(kernel)):
        assert worst_cosine(maps[unit], flat(found)[unit]) > 0.9999


@pytest.mark.parametrize("shape", [(5, 12, 3, 3), (4, 30, 5, 5), (4, 7, 1, 7), (3, 2, 3, 3), (4, 1, 3, 3), (4, 6, 1, 2)])
@pytest.mark.parametrize("factors", [1, 2, 3])
def test_maps_are_not_negative_and_the_figures_are_what_numpy_says_of_them(shape: tuple[int, ...], factors: int):
    kernel = noise(*shape)
    found = factor_neurons(kernel, factors)
    weights = kernel.reshape(*shape[:2], -1).astype(float)
    left = ((weights - rebuilt(found)) ** 2).sum((1, 2)) / (weights**2).sum((1, 2))
    assert (found.maps >= 0).all()
    assert np.allclose(found.explained, 1 - left, atol=1e-5)
    singular = np.linalg.svd(weights, compute_uv=False) ** 2
    assert np.allclose(found.bound, singular[:, :factors].sum(1) / singular.sum(1), atol=1e-5)
    assert (found.explained <= found.bound + 1e-5).all()
    assert all(np.isclose(length, 1, atol=1e-4) or length == 0 for length in np.linalg.norm(found.mixes, axis=1).ravel())


def test_where_a_cone_is_there_the_bound_is_reached():
    vectors = np.linalg.qr(np.concatenate([np.eye(3), np.random.default_rng(1).uniform(0, 1, (6, 3))]))[0][None]
    found, maps = simplex(vectors)
    assert found.all()
    assert np.allclose(vectors @ (vectors.transpose(0, 2, 1) @ maps), maps, atol=1e-6)
    assert not simplex(np.linalg.qr(np.random.default_rng(3).standard_normal((1, 9, 3)))[0])[0].any()


def test_the_simplex_does_not_depend_on_the_basis_of_the_span():
    random = np.random.default_rng(2)
    basis = np.linalg.qr(random.uniform(0, 1, (20, 9, 3)) ** 3)[0]
    turned = basis @ np.linalg.qr(random.standard_normal((20, 3, 3)))[0]
    (found, one), (again, two) = simplex(basis), simplex(turned)
    assert found.sum() > 5
    assert (found == again).all()
    assert min(worst_cosine(a, b) for a, b in zip(one[found], two[found], strict=True)) > 0.99999


@pytest.mark.parametrize("factors", [1, 2, 3])
def test_brute_force_finds_hardly_more(factors: int):
    kernel = noise(6, 10, 1, 6, seed=3)
    found = factor_neurons(kernel, factors)
    lost = [
        most(weights, factors) - share
        for weights, share in zip(kernel.reshape(6, 10, 6).transpose(0, 2, 1).astype(float), found.explained, strict=True)
    ]
    assert min(lost) > -1e-5  # no maps explain more: one non-negative vector is all that they need in common
    assert max(lost) < (1e-5 if factors == 1 else 2 * COST)


def test_the_search_ends_at_the_optimum_of_what_it_climbs():
    kernel = noise(24, 10, 1, 6, seed=4).reshape(24, 10, 6).astype(float)
    gram = np.einsum("uip,uiq->upq", kernel, kernel)
    gram /= np.trace(gram, axis1=1, axis2=2)[:, None, None]
    values, vectors = np.linalg.eigh(gram)
    basis, inner = positive_span(gram, values[:, -2:], vectors[:, :, -2:], 2)
    positive = (basis @ inner[:, :, None])[:, :, 0]
    assert (positive > 0).all()
    assert np.allclose(basis.transpose(0, 2, 1) @ basis, np.eye(2), atol=1e-9)
    reached = np.einsum("upr,upq,uqr->u", basis, gram, basis) + 2 * COST / 6 * np.log(positive).sum(1)
    short = [most(weights.T, 2, COST) - value for weights, value in zip(kernel, reached, strict=True)]
    assert np.median(short) < 1e-5
    assert np.max(short) < 5e-3  # or a neighbouring one


def test_layers_together_give_what_each_gives_alone_on_any_number_of_threads():
    layers = [noise(70, 8, 3, 3), planted(units=9)[0], noise(5, 4, 1, 1), noise(3, 6, 5, 5), np.zeros((2, 3, 3, 3), np.float32)]
    for threads in (1, 2, 3):
        for kernel, whole in zip(layers, factor_layers(layers, threads=threads), strict=True):
            alone = factor_neurons(kernel)
            assert whole.maps.tobytes() == alone.maps.tobytes()
            assert whole.mixes.tobytes() == alone.mixes.tobytes()
            assert np.array_equal(whole.explained, alone.explained, equal_nan=True)
            assert (whole.notes, whole.bound.tobytes()) == (alone.notes, alone.bound.tobytes())


def test_a_neuron_is_factored_alike_in_whatever_company_and_place_in_memory():
    kernel = noise(40, 7, 3, 3)
    whole = factor_neurons(kernel)
    shifted = np.frombuffer(b"0000" + kernel.tobytes(), np.float32, offset=4).reshape(kernel.shape)  # and not to be written to
    assert factor_neurons(shifted).maps.tobytes() == whole.maps.tobytes()
    one, two = (factor_neurons(kernel[part]) for part in (slice(0, 13), slice(13, 40)))
    parted = np.concatenate([one.explained, two.explained])
    assert parted.tobytes() == whole.explained.tobytes()
    for unit in range(40):
        own = flat(one)[unit] if unit < 13 else flat(two)[unit - 13]
        assert worst_cosine(own, flat(whole)[unit]) > 1 - 1e-12  # the colours are the company's


def test_fewer_dimensions_than_factors_are_explained_whole():
    kernel = noise(30, 2, 3, 3, seed=6)
    found = factor_neurons(kernel)
    assert np.allclose(found.explained, 1, atol=1e-5)
    assert np.allclose(rebuilt(found).reshape(kernel.shape), kernel, atol=1e-3)


def test_positions_that_nobody_reads_stay_dark():
    kernel = np.zeros((30, 12, 5, 5), np.float32)
    kernel[:, :, 1:4, 1:4] = noise(30, 12, 3, 3, seed=2)
    maps, alone = factor_neurons(kernel).maps, factor_neurons(np.ascontiguousarray(kernel[:, :, 1:4, 1:4]))
    inside = maps[:, 1:4, 1:4].reshape(30, 9, 3)
    assert maps.sum() == inside.sum()
    assert np.median([worst_cosine(a.astype(float), b) for a, b in zip(inside, flat(alone), strict=True)]) > 0.999


def test_at_least_what_scikit_learn_explains():
    kernel = noise(12, 16, 3, 3, seed=4)
    found = factor_neurons(kernel)
    for unit, weights in enumerate(kernel.reshape(12, 16, 9).transpose(0, 2, 1).astype(float)):
        halves = np.concatenate([np.maximum(weights, 0), np.maximum(-weights, 0)], 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            maps = NMF(3, init="nndsvda", max_iter=200).fit_transform(halves)
        assert found.explained[unit] >= refit(weights, maps) - 1e-6


def test_shuffled_inputs_shuffle_the_mixes_and_leave_the_maps():
    kernel = np.concatenate([planted()[0], noise(10, 20, 3, 3)])
    order = np.random.default_rng(0).permutation(20)
    one, two = factor_neurons(kernel), factor_neurons(np.ascontiguousarray(kernel[:, order]))
    assert np.allclose(one.maps, two.maps, atol=5e-3)
    assert np.allclose(one.mixes[:, order], two.mixes, atol=5e-3)


def test_turned_inputs_leave_the_maps():
    kernel = planted()[0]
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 20)))[0]
    turned = np.einsum("ij,ujrc->uirc", turn, kernel).astype(np.float32)
    assert np.allclose(factor_neurons(kernel).maps, factor_neurons(turned).maps, atol=1e-3)


def test_flipped_signs_keep_the_maps_and_flip_the_mixes():
    kernel = planted()[0]
    one, two = factor_neurons(kernel), factor_neurons(-kernel)
    assert np.allclose(one.maps, two.maps, atol=1e-4)
    assert np.allclose(one.mixes, -two.mixes, atol=1e-4)


def test_the_same_call_gives_the_same_bytes():
    kernel = noise(20, 8, 3, 3)
    one, two = factor_neurons(kernel), factor_neurons(kernel.copy())
    assert one.maps.tobytes() == two.maps.tobytes()
    assert one.mixes.tobytes() == two.mixes.tobytes()


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-15, 1e15, 1e30])
def test_pictures_do_not_depend_on_scale(scale: float):
    kernel = noise(8, 9, 3, 3)
    one, two = factor_neurons(kernel), factor_neurons((kernel.astype(float) * scale).astype(np.float32))
    assert np.allclose(one.maps, two.maps.astype(float) / scale, rtol=1e-2, atol=1e-2)
    assert np.allclose(one.mixes, two.mixes, atol=1e-2)
    assert np.allclose(one.explained, two.explained, atol=1e-3)


def test_zero_nan_and_inf_get_a_note_and_disturb_nobody():
    kernel = noise(6, 8, 3, 3)
    broken = kernel.copy()
    broken[1] = 0
    broken[2, 3, 1, 1] = np.nan
    broken[4, 0, 0, 0] = -np.inf
    found, well = factor_neurons(broken), factor_neurons(kernel)
    assert found.notes == ("", "all its weights are zero", "its weights hold NaN", "", "its weights hold Inf", "")
    for unit in (1, 2, 4):
        assert not found.maps[unit].any()
        assert not found.mixes[unit].any()
        assert np.isnan([found.explained[unit], found.bound[unit]]).all()
    for unit in (0, 3, 5):
        assert worst_cosine(flat(found)[unit], flat(well)[unit]) > 0.999


@pytest.mark.parametrize("shape", [(3, 5, 1, 1), (0, 5, 3, 3), (2, 0, 3, 3)])
def test_nothing_to_factor_is_said_and_not_computed(shape: tuple[int, ...]):
    found = factor_neurons(np.ones(shape, np.float32))
    assert found.maps.shape == (shape[0], *shape[2:], 3)
    assert found.mixes.shape == (*shape[:2], 3)
    assert np.isnan(found.explained).all()
    assert all(found.notes)


def test_one_input_becomes_its_positive_and_its_negative_part():
    kernel = np.array([[[[1, -2], [0, 4]]]], np.float32)
    found = factor_neurons(kernel)
    assert found.explained[0] == pytest.approx(1)
    assert rebuilt(found).reshape(2, 2) == pytest.approx(kernel[0, 0], abs=1e-5)
    assert (np.count_nonzero(flat(found)[0], axis=0) > 0).sum() == 2


def test_as_many_factors_as_positions_explain_everything():
    found = factor_neurons(noise(5, 9, 1, 3))
    assert np.allclose(found.explained, 1, atol=1e-5)
    assert (np.count_nonzero(flat(found) > 1e-4, axis=1) == 1).all()


def test_units_with_the_same_weights_have_the_same_picture():
    kernel = np.repeat(noise(3, 8, 3, 3), 2, axis=0)
    maps = factor_neurons(kernel).maps
    assert np.allclose(maps[::2], maps[1::2], atol=1e-5)


def test_a_layer_cut_in_chunks_gives_the_same_maps(monkeypatch: pytest.MonkeyPatch):
    kernel = planted(units=9)[0]
    whole = factor_neurons(kernel)
    monkeypatch.setattr("generator.analyses.nmf.BYTES", 8 * 81 * 2)
    assert whole.maps.tobytes() == factor_neurons(kernel).maps.tobytes()


def test_a_colour_means_one_mix_within_the_layer():
    random = np.random.default_rng(7)
    templates = np.linalg.qr(random.standard_normal((16, 3)))[0]
    mixes = np.stack([templates[:, random.permutation(3)] for _ in range(40)]) + 0.05 * random.standard_normal((40, 16, 3))
    mixes = (mixes / np.linalg.norm(mixes, axis=1, keepdims=True)).astype(np.float32)
    order = match_factors(mixes, random.uniform(0.5, 1, (40, 3)))
    matched = np.take_along_axis(mixes, order[:, None, :], 2)
    mean = matched.mean(0)
    assert (np.einsum("uif,if->uf", matched, mean) > 0.9).all()


def test_posneg_is_what_scikit_learn_gives_and_explains_no_more():
    kernel = noise(4, 10, 3, 3)
    ours, theirs = factor_neurons(kernel), factor_neurons(kernel, method="posneg")
    left = ((kernel.reshape(4, 10, 9) - rebuilt(theirs)) ** 2).sum((1, 2)) / (kernel**2).sum((1, 2, 3))
    assert np.allclose(theirs.explained, 1 - left, atol=1e-4)
    assert (theirs.explained <= ours.explained + 1e-6).all()
    assert theirs.method == "posneg"


def test_noise_is_explained_as_drawn_noise_is():
    drawn = np.median(factor_neurons(noise(64, 20, 3, 3, seed=9)).explained)
    assert noise_share(9, 20, 3) == pytest.approx(drawn, abs=0.02)
    assert noise_share(9, 20, 1) < noise_share(9, 20, 2) < noise_share(9, 20, 3)
    assert np.isnan(noise_share(1, 20, 3))


@pytest.mark.parametrize("bad", [{"factors": 0}, {"factors": 4}, {"method": "pca"}])
def test_wrong_arguments_are_refused(bad: dict):
    with pytest.raises(ValueError):
        factor_neurons(noise(2, 3, 3, 3), **bad)
    with pytest.raises(ValueError):
        factor_neurons(noise(2, 3, 9))


def test_planted_groups_of_inputs_come_back():
    random = np.random.default_rng(8)
    channels = np.zeros((24, 3))
    for factor in range(3):
        channels[8 * factor : 8 * factor + 8, factor] = random.uniform(0.3, 1, 8)
    kernel = np.einsum("if,uprf->uipr", channels, random.standard_normal((10, 3, 3, 3))).astype(np.float32)
    found = factor_group(kernel)
    assert worst_cosine(channels, found.mixes[0].astype(float)) > 0.9999
    assert np.allclose(found.explained, 1, atol=1e-4)
    assert np.allclose(rebuilt(found).reshape(kernel.shape), kernel, atol=1e-4)
    assert (found.maps < 0).any()


def test_a_group_survives_broken_units():
    kernel = noise(6, 8, 3, 3)
    kernel[0], kernel[1, 0, 0, 0] = 0, np.nan
    found = factor_group(kernel, 2)
    assert found.notes[:3] == ("all its weights are zero", "its weights hold NaN", "")
    assert np.isfinite(found.maps).all()
    assert not factor_group(np.zeros((2, 4, 3, 3), np.float32)).maps.any()


def vgg_layers() -> dict[str, np.ndarray]:
    path = SHARED / "vgg16_features-hed.safetensors"
    if not path.exists():
        pytest.skip("needs ../shared/models/vgg16_features-hed.safetensors")
    from safetensors.numpy import load_file

    kernels = {name: weight for name, weight in load_file(path).items() if weight.ndim == 4 and weight.shape[1] > 3}
    return {name: kernels[name].astype(np.float32) for name in sorted(kernels, key=lambda name: int(name.split(".")[1]))}


def test_on_vgg_16_pictures_reach_the_bound_and_do_not_depend_on_the_seed():
    same = []
    for name, kernel in vgg_layers().items():
        one, two = factor_neurons(kernel, seed=1), factor_neurons(kernel, seed=2)
        assert np.median(one.explained / one.bound) >= 0.99, name
        same += [worst_cosine(a, b, any_order=False) >= 0.99 for a, b in zip(flat(one), flat(two), strict=True)]
    assert np.mean(same) >= 0.99


def test_a_very_large_kernel_is_factored():
    kernel = np.cumsum(np.cumsum(np.random.default_rng(3).standard_normal((2, 16, 11, 11)), 2), 3).astype(np.float32)
    found = factor_neurons(kernel)
    assert (found.maps >= 0).all()
    assert (found.explained > 0.97 * found.bound).all()
    assert (found.explained <= found.bound + 1e-6).all()
