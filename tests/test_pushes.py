"""The classes that neurons push up and down, against autograd on maps of ones and explicit sums."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from real_models import real_model
from torch import nn

from generator.analyses.pushes import chosen, pushes, strongest
from generator.cancellation import with_cancellation
from generator.expand import weights_into
from generator.graph import trace
from generator.logits import class_layer, pushed_classes


def chain(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(OrderedDict((f"l{number}", layer) for number, layer in enumerate(layers))).eval()


def small_classifier() -> nn.Sequential:
    return chain(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )


def every_weight(found, unit):
    """The class weights that a record tells of one unit, both ways."""
    ups = zip(found.up[unit].tolist(), found.up_weight[unit].tolist(), strict=True)
    downs = zip(found.down[unit].tolist(), found.down_weight[unit].tolist(), strict=True)
    return {each: weight for each, weight in [*ups, *downs] if each >= 0}


def test_a_layer_behind_the_mean_has_the_weights_of_the_classifier():
    module = small_classifier()
    found = pushed_classes(trace(module, (3, 10, 10)), ["l2"], 5)["l2"]
    weight = module.l6.weight.detach().numpy()
    for unit in range(8):
        told = every_weight(found, unit)
        assert told == pytest.approx(dict(enumerate(weight[:, unit].tolist())), rel=1e-5)
    assert found.classes == "l6"
    assert (found.up_kept, found.down_kept, found.through) == (None, None, ())
    assert [each.by for each in found.replaced] in ([], ["identity"])


def test_a_layer_farther_back_pushes_as_a_map_of_ones_does():
    module = small_classifier()
    found = pushed_classes(trace(module, (3, 30, 30)), ["l0"], 5)["l0"]
    ones = torch.zeros(1, 6, 1, 1, requires_grad=True)
    wide = ones.expand(1, 6, 30, 30)
    middle = module.l2(wide)[:, :, 15:16, 15:16]  # away from the border every position answers alike
    logits = module.l6(middle.flatten(1))
    jacobian = np.stack([torch.autograd.grad(logits[0, c], ones, retain_graph=True)[0].numpy()[0, :, 0, 0] for c in range(5)])
    for unit in range(6):
        assert every_weight(found, unit) == pytest.approx(dict(enumerate(jacobian[:, unit].tolist())), rel=1e-4)
    assert found.through == ("l2",)


def test_the_kept_share_is_the_cancellation_over_the_neurons_that_the_classes_read():
    graph = trace(small_classifier(), (3, 10, 10))
    found = pushed_classes(graph, ["l0"], 5)["l0"]
    (weights,) = with_cancellation(graph, weights_into(graph, "l6", ["l0"]))
    for unit in range(6):
        for classes, kept in ((found.up, found.up_kept), (found.down, found.down_kept)):
            there = classes[unit] >= 0
            assert np.allclose(kept[unit][there], weights.cancellation[classes[unit][there], unit], rtol=1e-3)


@pytest.mark.parametrize("name", ["bundled", "squeezenet", "resnet20"])
def test_real_networks_push_as_their_expanded_weights_say(name):
    _, graph = real_model(name)
    addresses = {
        "bundled": ["mixed4a", "mixed4b", "mixed4b.b3r"],
        "squeezenet": ["features.12", "features.12.squeeze"],
        "resnet20": ["layer3.2.conv1", "layer3.2", "layer3.1"],
    }[name]
    found = pushed_classes(graph, addresses, 3)
    assert set(found) == set(addresses)
    for address, record in found.items():
        (weights,) = weights_into(graph, record.classes, [address])
        expected = weights.kernel.sum((2, 3))
        for unit in range(0, expected.shape[1], 7):
            ordered = np.sort(expected[:, unit])
            highest, lowest = ordered[-3:][::-1], ordered[:3]
            highest, lowest = np.where(highest > 0, highest, np.nan), np.where(lowest < 0, lowest, np.nan)
            assert record.up_weight[unit] == pytest.approx(highest, rel=1e-3, nan_ok=True)
            assert record.down_weight[unit] == pytest.approx(lowest, rel=1e-3, nan_ok=True)
            for each, weight in every_weight(record, unit).items():
                assert expected[each, unit] == pytest.approx(weight, rel=1e-3)


def test_far_layers_and_the_classes_themselves_are_left_out():
    _, graph = real_model("bundled")
    found = pushed_classes(graph, ["input", "conv0", "mixed3b", "mixed4b", "classifier"], 5)
    assert set(found) == {"mixed4b"}


class Shortcut(nn.Module):
    """Two convolutions that reach the mean over one sum."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.one(x)
        x = x + self.two(x).relu()
        return self.fc(x.mean((2, 3)))


def test_all_paths_to_the_mean_count():
    torch.manual_seed(1)
    module = Shortcut().eval()
    found = pushed_classes(trace(module, (3, 9, 9)), ["one", "two"], 3)
    fc, two = module.fc.weight.detach().numpy(), module.two.weight.detach().numpy().sum((2, 3))
    for unit in range(4):
        assert every_weight(found["two"], unit) == pytest.approx(dict(enumerate(fc[:, unit].tolist())), rel=1e-5)
        whole = fc @ (np.eye(4) + two)
        assert every_weight(found["one"], unit) == pytest.approx(dict(enumerate(whole[:, unit].tolist())), rel=1e-4)


def test_a_map_laid_out_as_one_vector_pushes_nothing_that_can_be_told():
    module = chain(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 16, 5))
    assert pushed_classes(trace(module, (3, 6, 6)), ["l0"], 5) == {}


def test_hidden_linear_layers_push_too():
    module = chain(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 4))
    found = pushed_classes(trace(module, (3, 6, 6)), ["l2", "input"], 4)
    weight = module.l4.weight.detach().numpy()
    assert every_weight(found["l2"], 0) == pytest.approx(dict(enumerate(weight[:, 0].tolist())), rel=1e-5)
    both = weight @ module.l2.weight.detach().numpy()
    assert every_weight(found["input"], 1) == pytest.approx(dict(enumerate(both[:, 1].tolist())), rel=1e-4)


def test_a_network_without_classes_pushes_none():
    module = chain(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    graph = trace(module, (3, 9, 9))
    assert class_layer(graph) == ""
    assert pushed_classes(graph, ["l0"], 5) == {}
    assert pushed_classes(trace(small_classifier(), (3, 9, 9)), [], 5) == {}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_no_push(bad):
    weights = np.array([[1.0, bad], [bad, -2.0], [3.0, 0.0]], np.float32)
    assert strongest(weights, 2).tolist() == [[2, 0], [-1, -1]]
    assert strongest(-weights, 2).tolist() == [[-1, -1], [1, -1]]


@pytest.mark.filterwarnings("error")
def test_units_of_zeros_push_nothing_and_ties_go_to_the_smaller_class():
    weights = np.array([[0.0, 2.0], [0.0, 2.0], [0.0, 1.0]], np.float32)
    assert strongest(weights, 5).tolist() == [[-1] * 5, [0, 1, 2, -1, -1]]
    found = pushes([(weights, np.eye(2, dtype=np.float32))], 2, "fc", ("conv",))
    assert np.isnan(found.up_weight[0]).all()
    assert np.isnan(found.up_kept[0]).all()
    assert found.up_kept[1].tolist() == [1, 1]
    assert (found.down == -1).all()


def test_chosen_takes_the_values_of_the_classes():
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    got = chosen(values, np.array([[2, -1], [0, 1]], np.int32))
    assert got[0, 0] == 4
    assert np.isnan(got[0, 1])
    assert got[1].tolist() == [1, 3]
