"""What a group of neurons reads and writes, against sums written out one weight at a time."""

import numpy as np
import pytest
import sample_facts as sample

from generator.analyses.flow import flow


def by_hand(weights, members, reading, scaled):
    """The sums of squares, one weight after the other."""
    units, inputs, rows, cols = weights.kernel.shape
    others = inputs if reading else units
    sums = {1: [0.0] * others, -1: [0.0] * others}
    for member in members:
        for other in range(others):
            unit, source = (member, other) if reading else (other, member)
            for row in range(rows):
                for col in range(cols):
                    weight = float(weights.kernel[unit, source, row, col])
                    weight *= float(weights.source_scale[source]) if scaled and weights.source_scale is not None else 1.0
                    if weight:
                        sums[1 if weight > 0 else -1][other] += weight * weight
    return sums[1], sums[-1]


@pytest.fixture
def weights():
    kernel = np.random.default_rng(5).standard_normal((7, 4, 3, 2))
    return sample.weights("below", "above", kernel, scale=True)


@pytest.mark.parametrize("reading", [True, False])
@pytest.mark.parametrize("scaled", [True, False])
def test_a_group_reads_and_writes_the_sum_of_its_squares_signs_apart(weights, reading, scaled):
    members = (3, 0, 2)
    found = flow(weights, members, reading, scaled)
    positive, negative = by_hand(weights, members, reading, scaled)
    np.testing.assert_allclose(found.positive, positive, rtol=1e-6)
    np.testing.assert_allclose(found.negative, negative, rtol=1e-6)
    np.testing.assert_allclose(found.total, np.add(positive, negative), rtol=1e-6)


@pytest.mark.parametrize("reading", [True, False])
def test_all_members_together_hold_all_of_the_squared_weight(weights, reading):
    members = range(weights.kernel.shape[0 if reading else 1])
    assert flow(weights, members, reading).total.sum() == pytest.approx(float(np.square(weights.kernel.astype(float)).sum()))


def test_what_one_group_reads_of_another_is_what_the_other_writes_to_it(weights):
    readers, written = (1, 4, 6), (0, 3)
    reads = flow(weights, readers, True, scaled=True).among(written)
    writes = flow(weights, written, False, scaled=True).among(readers)
    assert reads == pytest.approx(writes)
    assert reads[0] > 0 and reads[1] > 0


def test_a_negative_scale_changes_no_square(weights):
    other = sample.weights("below", "above", weights.kernel, scale=True)
    other.source_scale[:] *= -1
    np.testing.assert_array_equal(flow(weights, (1,), True, True).positive, flow(other, (1,), True, True).positive)


def test_a_group_without_weights_has_zeros(weights):
    weights.kernel[2] = 0
    assert not flow(weights, (2,), True).total.any()
    assert not flow(weights, (), False).total.any()
    assert flow(weights, (1,), True).among(()) == (0.0, 0.0)


def test_weights_that_are_not_numbers_spoil_their_own_connection_alone(weights):
    weights.kernel[1, 2, 0, 0], weights.kernel[1, 3, 0, 0] = np.nan, np.inf
    found = flow(weights, (0, 1), True)
    assert np.isnan(found.positive[2]) and np.isnan(found.negative[2])
    assert np.isinf(found.positive[3]) and np.isfinite(found.negative[3])
    assert np.isfinite(found.total[:2]).all()


def test_very_large_weights_do_not_overflow():
    huge = sample.weights("below", "above", np.full((2, 2, 1, 1), 3e38))
    assert flow(huge, (0, 1), True).positive[0] == pytest.approx(2 * 9e76, rel=1e-6)
