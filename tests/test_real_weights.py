"""The weights between layers on real networks, against the stored numbers and against autograd on the linearized network."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from real_models import REAL, real_model
from torch import nn

from generator.expand import neighbours, weights_between
from generator.graph import choose

FAR = {  # pairs further apart than neighbours
    "bundled": [
        ("conv0", "mixed3a"),
        ("conv1", "mixed3b"),
        ("input", "mixed3a"),
        ("mixed3a", "mixed4a"),
        ("mixed3b", "mixed4b"),
    ],
    "squeezenet": [
        ("features.3", "features.5"),
        ("features.0", "features.3"),
        ("features.5", "features.8"),
        ("input", "features.4"),
    ],
    "vgg16": [
        ("features.0", "features.5"),
        ("features.10", "features.19"),
        ("features.17", "features.26"),
        ("input", "features.7"),
    ],
    "resnet20": [
        ("layer1.0", "layer2.0"),
        ("input", "layer1.2"),
        ("layer2.0", "layer3.1"),
        ("layer1.0.conv1", "layer2.1.conv2"),
    ],
}


def linearized(model: nn.Module) -> nn.Module:
    """A copy whose activations are the identity and whose max pools are average pools."""
    copied = copy.deepcopy(model)
    for part in copied.modules():
        for name, child in part.named_children():
            if isinstance(child, nn.ReLU):
                setattr(part, name, nn.Identity())
            if isinstance(child, nn.MaxPool2d):
                pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
                setattr(part, name, pool)
    return copied


def jacobian(
    model: nn.Module, source: str, target: str, unit: int, image: tuple[int, ...]
) -> tuple[np.ndarray, tuple[int, int]]:
    """Gradient [input, row, col] of the centre of one unit of one module with respect to another module's output."""
    kept: dict[str, torch.Tensor] = {}

    def leaf(module, inputs, output):
        kept["source"] = output.detach().requires_grad_()
        return kept["source"]

    def keep(module, inputs, output):
        kept["target"] = output

    x = torch.zeros(1, *image)
    handles = [model.get_submodule(target).register_forward_hook(keep)]
    if source == "input":
        kept["source"] = x.requires_grad_()
    else:
        handles.append(model.get_submodule(source).register_forward_hook(leaf))
    model(x)
    for handle in handles:
        handle.remove()
    y = kept["target"]
    centre = (y.shape[2] // 2, y.shape[3] // 2)
    (gradient,) = torch.autograd.grad(y[0, unit, centre[0], centre[1]], kept["source"])
    return gradient[0].numpy(), centre


def last_module(graph, address: str) -> str:
    """The last module before any pool that gives a layer's neurons: behind its norm; activations are the identity here."""
    site = graph.site(address)
    chain = site.nodes[: site.nodes.index(site.end) + 1]
    own = ["input"] + [path for path, node in graph.traced.outputs if node in chain]
    return own[-1]


@pytest.fixture(autouse=True)
def _relu_is_the_identity_where_it_is_a_function(monkeypatch):
    monkeypatch.setattr(torch.nn.functional, "relu", _kept_relu)


def _kept_relu(x, inplace=False):
    """ReLU for torch.fx, which must see it; the identity for tensors, so that a functional network is linear too."""
    return torch.relu(x) if isinstance(x, torch.fx.Proxy) else x


@pytest.mark.parametrize("name", list(REAL))
def test_kernels_of_direct_convolutions_are_the_stored_weights_times_batch_norm(name):
    loaded, graph = real_model(name)
    convolutions = 0
    modules = dict(loaded.module.named_modules())
    for site in graph.sites:
        module = graph.traced.submodule(site.head)
        if not isinstance(module, nn.Conv2d):
            continue
        own = {name for name in site.names if isinstance(modules.get(name), nn.BatchNorm2d)}
        norms = [modules[n] for n in own]
        source = graph.layers[site.name].reads[0]
        weights = weights_between(graph, source, site.name)
        assert weights.direct, (source, site.name)
        expected = module.weight.double()
        for norm in norms:
            expected = expected * (norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps))[:, None, None, None]
        assert np.abs(weights.kernel - expected.numpy()).max() <= 1e-6 * max(1.0, float(expected.abs().max()))
        convolutions += 1
    assert convolutions >= 13


@pytest.mark.parametrize("name", list(REAL))
def test_weights_between_neighbours_and_far_layers_are_the_jacobian_at_the_centre(name):
    loaded, graph = real_model(name)
    linear = linearized(loaded.module)
    chosen = choose(graph, ("auto",))
    pairs = {(s, t) for t, both in neighbours(graph, chosen).items() for sources in both for s in sources} | set(FAR[name])
    random = np.random.default_rng(0)
    compared = 0
    for source, target in sorted(pairs):
        weights = weights_between(graph, source, target)
        if weights.grid != "sliding":
            continue
        place = weights.read_at if weights.read_at != source else last_module(graph, source)
        for unit in random.choice(weights.kernel.shape[0], 2, replace=False):
            expected, centre = jacobian(linear, place, last_module(graph, target), int(unit), loaded.input_shape)
            full = np.zeros_like(expected)
            top, left = (int(s * c) + o for s, c, o in zip(weights.stride, centre, weights.offset, strict=True))
            rows, cols = weights.kernel.shape[2:]
            full[:, top : top + rows, left : left + cols] = weights.kernel[unit]
            assert np.abs(full - expected).max() <= 1e-5 * np.abs(expected).max(), (source, target, unit)
            compared += 1
    assert compared >= 2 * len(FAR[name])


def test_a_stack_of_real_convolutions_is_the_closed_form_composition():
    _, graph = real_model("vgg16")
    one, two = (graph.traced.module.get_submodule(f"features.{n}").weight.double().numpy() for n in (5, 7))
    closed = np.zeros((128, 64, 5, 5))
    for row in range(3):
        for col in range(3):
            closed[:, :, row : row + 3, col : col + 3] += np.einsum("um,mirc->uirc", two[:, :, row, col], one)
    found = weights_between(graph, "features.2", "features.7")
    assert found.through == ("features.5",)
    assert np.abs(found.kernel - closed).max() <= 1e-5 * np.abs(closed).max()


def test_classifier_of_squeezenet_reads_its_pooled_source_as_stored():
    _, graph = real_model("squeezenet")
    found = weights_between(graph, "features.12", "classifier.1")
    np.testing.assert_allclose(found.kernel, graph.traced.module.get_submodule("classifier.1").weight, rtol=1e-6)
    assert found.direct
