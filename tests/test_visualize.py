"""Feature visualization: what the truncated networks give, and images that neurons respond to."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from generator.build import build
from generator.context import fourier, objectives, transforms
from generator.context import visualize as engine
from generator.context.visualize import BROKEN, DEAD, SHUT, Options, Subject, batches, open_studio, visualize
from generator.errors import LayerError, ModelError
from generator.graph import choose, trace
from generator.keeping.store import StoreError
from generator.models import load_model
from generator.models.bundled import visualize as script
from generator.models.bundled.network import TinyInception
from generator.photos import sprite_of
from generator.pictures import sprite, sprite_grid, tiles_of
from generator.progress import Progress
from generator.spec import load_spec

ROOT = Path(__file__).resolve().parents[1]

QUICK = Options(steps=12, batch=3, rate=1.0)


class Pieces(nn.Module):
    """A concat of branches with an activation that writes over its input, a pool behind one, a sum, a classifier."""

    def __init__(self, channels=3):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.mix = Mix()
        self.block = Block()
        self.head = nn.Linear(9, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(self.mix(self.stem(x)))
        return self.head(x.mean((2, 3)))


class Mix(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(6, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.two = nn.Sequential(nn.Conv2d(6, 5, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.two(x)], 1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(9, 9, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y += x
        return functional.relu(y, inplace=True)


def made(kind=Pieces, *arguments, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = kind(*arguments).eval().requires_grad_(False)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.1)
                part.weight.uniform_(0.5, 1.5)
    return module


@pytest.fixture(scope="module")
def pieces():
    module = made()
    return module, Subject(trace(module, (3, 16, 16)), "weights of pieces", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


@pytest.fixture
def image():
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def seen_by_hook(module, path, image):
    """What a module gives within the whole network, kept from what later writes over it."""
    kept = []
    hook = module.get_submodule(path).register_forward_hook(lambda _, __, given: kept.append(given.clone()))
    with torch.no_grad():
        module(image)
    hook.remove()
    return kept[0]


def random_images_activations(subject, address, count=64):
    """The channel means `[image, unit]` on images of noise."""
    studio = open_studio(subject, address, QUICK)
    images = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    return objectives.channel_means(studio.see(images)[1]).numpy()


# -- the truncated network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "before", "after"),
    [("stem", "stem.1", "stem.2"), ("mix.one", "mix.one.1", "mix.one.2"), ("head", "head", "head")],
)
def test_a_truncated_network_gives_what_the_whole_network_gives(pieces, image, address, before, after):
    module, subject = pieces
    given = objectives.network_up_to(subject.graph, address)(image)
    for tensor, path in zip(given, (before, after), strict=True):
        torch.testing.assert_close(tensor, seen_by_hook(module, path, image))


def test_before_a_concat_stand_its_branches_before_their_activations(pieces, image):
    module, subject = pieces
    before, after = objectives.network_up_to(subject.graph, "mix")(image)
    one, two = seen_by_hook(module, "mix.one.1", image), seen_by_hook(module, "mix.two.0", image)
    torch.testing.assert_close(before, torch.cat([one, functional.max_pool2d(two, 2)], 1))
    torch.testing.assert_close(after, seen_by_hook(module, "mix", image))
    torch.testing.assert_close(before.relu(), after)
    assert (before < 0).any()


def test_before_a_sum_stands_the_sum(pieces, image):
    module, subject = pieces
    before, after = objectives.network_up_to(subject.graph, "block")(image)
    conv, stream = seen_by_hook(module, "block.conv", image), seen_by_hook(module, "mix", image)
    torch.testing.assert_close(before, conv + stream)
    torch.testing.assert_close(after, seen_by_hook(module, "block", image))


@pytest.mark.parametrize("address", ["mixed3a", "mixed4b", "classifier"])
def test_the_bundled_network_is_cut_right(address):
    module = made(TinyInception)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    before, after = objectives.network_up_to(trace(module, (3, 64, 64)), address)(image)
    torch.testing.assert_close(after, seen_by_hook(module, address, image))
    torch.testing.assert_close(before if address == "classifier" else before.relu(), after)


def test_nothing_behind_the_layer_is_left(pieces):
    network = objectives.network_up_to(pieces[1].graph, "stem")
    assert {str(node.target) for node in network.graph.nodes if node.op == "call_module"} == {"stem.0", "stem.1", "stem.2"}
    assert sum(p.numel() for p in network.parameters()) == 6 * 27 + 6 + 12


def test_channels_that_come_last_are_brought_to_the_front():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.linear = nn.Conv2d(3, 4, 2, 2), nn.LayerNorm(4), nn.Linear(4, 7)

        def forward(self, x: Tensor) -> Tensor:
            return functional.gelu(self.linear(self.norm(self.conv(x).permute(0, 2, 3, 1))))

    module = made(Last)
    before, after = objectives.network_up_to(trace(module, (3, 8, 8)), "linear")(torch.rand(2, 3, 8, 8))
    assert before.shape == after.shape == (2, 7, 4, 4)
    torch.testing.assert_close(functional.gelu(before), after)


def test_the_models_own_weights_are_left_as_they_are(pieces):
    module, subject = pieces
    held = {name: (tensor.clone(), tensor.stride()) for name, tensor in module.state_dict().items()}
    visualize(subject, "mix", [0], QUICK)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, held[name][0])
        assert tensor.stride() == held[name][1]


def test_an_unknown_layer_is_named_with_the_nearest(pieces):
    with pytest.raises(LayerError, match="no layer 'stemm'; nearest: stem"):
        visualize(pieces[1], "stemm", [0], QUICK)


# -- images ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["stem", "mix", "block", "head"])
def test_neurons_respond_to_their_images_more_than_to_noise(pieces, address):
    _, subject = pieces
    units = range(subject.graph.layers[address].neurons)
    found = visualize(subject, address, units, replace(QUICK, steps=40))
    assert found.images.shape == (len(units), 1, 16, 16, 3)
    assert found.images.dtype == np.uint8
    alive = np.array([not note for note in found.notes])
    assert alive.sum() >= len(units) - 2
    noise = random_images_activations(subject, address).max(0)
    assert (found.activations[alive, 0] > noise[alive]).all()


def test_the_activation_is_that_of_the_image_handed_over(pieces):
    _, subject = pieces
    found = visualize(subject, "mix", [5, 2], QUICK)
    studio = open_studio(subject, "mix", QUICK)
    means = objectives.channel_means(studio.see(torch.from_numpy(found.images[:, 0]).movedim(-1, 1) / 255)[1])
    np.testing.assert_allclose(found.activations[:, 0], means[[0, 1], [5, 2]].numpy(), rtol=1e-5)


def test_the_negative_objective_lowers_what_the_positive_raises(pieces):
    _, subject = pieces
    up, down = (visualize(subject, "head", range(5), replace(QUICK, negative=sign, steps=60)) for sign in (False, True))
    noise = random_images_activations(subject, "head")
    assert (up.activations[:, 0] > noise.max(0)).all()
    assert (down.activations[:, 0] < noise.min(0)).all()


def test_the_centre_objective_leaves_the_edge_of_the_image_grey():
    module = made(nn.Conv2d, 3, 2, 3, 1, 1)
    subject = Subject(trace(nn.Sequential(module).eval(), (3, 33, 33)), "centre")
    options = Options(objective="centre", steps=24, jitter=0, rotation=0, scale=0)
    image = visualize(subject, "0", [0], options).images[0, 0].astype(float)
    contrast = np.abs(image - 127.5).mean(2)
    assert contrast[14:19, 14:19].mean() > 3 * contrast[:8].mean()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(pieces):
    _, subject = pieces
    one, two, other = (visualize(subject, "stem", [0, 3], replace(QUICK, seed=seed)) for seed in (0, 0, 1))
    assert one.images.tobytes() == two.images.tobytes()
    assert one.images.tobytes() != other.images.tobytes()


def test_several_images_of_a_neuron_differ_and_diversity_drives_them_apart(pieces):
    _, subject = pieces

    def alike(diversity):
        found = visualize(subject, "mix", [2], Options(images=3, steps=30, diversity=diversity))
        assert found.images.shape[:2] == found.activations.shape == (1, 3)
        after = open_studio(subject, "mix", QUICK).see(torch.from_numpy(found.images[0]).movedim(-1, 1) / 255)[1]
        return float(objectives.likeness(after[None])[0])

    assert alike(diversity=20.0) < alike(diversity=0.0)


def test_one_image_is_not_like_any_other():
    assert objectives.likeness(torch.rand(2, 1, 4, 3, 3)).tolist() == [0, 0]
    same = torch.rand(2, 1, 4, 3, 3).expand(-1, 3, -1, -1, -1)
    np.testing.assert_allclose(objectives.likeness(same).numpy(), 1, rtol=1e-5)


def test_a_batch_stops_when_it_gains_little(pieces):
    steps = []

    def on_step(subject, stop):
        studio = open_studio(subject, "head", QUICK)
        studio.network.register_forward_hook(lambda *_: steps.append(1))
        steps.clear()
        engine.ascend(replace(studio, options=Options(steps=64, stop=stop)), [0, 1])
        return len(steps) - 1  # the last is the look at the finished images

    assert on_step(pieces[1], stop=10.0) == 32
    assert on_step(pieces[1], stop=-10.0) == 64


def test_no_neurons_give_no_images(pieces):
    found = visualize(pieces[1], "stem", [], QUICK)
    assert (found.images.shape, found.activations.shape, found.notes) == ((0, 1, 16, 16, 3), (0, 1), ())


@pytest.mark.parametrize(("weight", "bias", "note"), [(0.0, 1.0, DEAD), (0.0, -1.0, DEAD), (1e-3, -50.0, SHUT)])
def test_a_neuron_without_an_image_is_named_and_leaves_the_others_alone(weight, bias, note):
    conv = made(nn.Conv2d, 3, 3, 3)
    module = nn.Sequential(conv, nn.ReLU()).eval()
    conv.weight[1], conv.bias[1] = weight, bias
    subject = Subject(trace(module, (3, 12, 12)), "dead")
    found = visualize(subject, "0", [0, 1, 2], QUICK)
    assert found.notes == ("", note, "")
    rest = visualize(subject, "0", [0, 2], QUICK)
    assert np.abs(found.images[[0, 2]].astype(int) - rest.images).max() <= 1


def test_weights_that_are_no_numbers_are_named():
    conv = made(nn.Conv2d, 3, 2, 3)
    conv.weight[1] = float("nan")
    found = visualize(Subject(trace(nn.Sequential(conv, nn.ReLU()).eval(), (3, 12, 12)), "nan"), "0", [0, 1], QUICK)
    assert found.notes == (BROKEN, BROKEN)  # the gradient of the first runs through the second's weights


def test_a_neuron_that_is_shut_to_begin_with_is_woken():
    conv = made(nn.Conv2d, 3, 1, 3)
    conv.weight[:] = 1.0
    conv.bias[:] = -20.0  # on grey the sum is 13.5
    found = visualize(Subject(trace(nn.Sequential(conv, nn.ReLU()).eval(), (3, 12, 12)), "shut"), "0", [0], Options(steps=60))
    assert found.notes == ("",)
    assert found.activations[0, 0] > 0.5


def test_a_grey_model_gets_grey_images_and_other_channels_are_refused():
    grey = visualize(Subject(trace(made(Pieces, 1), (1, 16, 16)), "grey"), "stem", [0], QUICK).images
    assert grey.shape == (1, 1, 16, 16, 3)
    assert (grey[..., 0] == grey[..., 2]).all()
    with pytest.raises(ModelError, match="reads 5 channels"):
        visualize(Subject(trace(made(Pieces, 5), (5, 16, 16)), "five"), "stem", [0], QUICK)


def test_images_may_have_another_size_than_the_models_input(pieces):
    assert visualize(pieces[1], "stem", [0], replace(QUICK, size=(20, 13))).images.shape == (1, 1, 20, 13, 3)


class Flattened(nn.Module):
    """A map flattened for images of 8 x 8, in words that let some other sizes pass, as several images."""

    def __init__(self):
        super().__init__()
        self.conv, self.hidden, self.out = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4 * 8 * 8, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).relu().view(-1, 4 * 8 * 8)
        return self.out(self.hidden(x).relu())


@pytest.mark.parametrize("side", [9, 16, 4])  # what does not fit, four images for one, one for four
def test_behind_a_flattened_map_images_have_the_size_of_the_models_input(side):
    subject = Subject(trace(made(Flattened), (3, 8, 8)), "flattened")
    options = Options(size=(side, side), steps=12)
    assert visualize(subject, "conv", [0], options).images.shape == (1, 1, side, side, 3)
    for address in ("hidden", "out"):
        found, own = (visualize(subject, address, [0, 1], each) for each in (options, replace(options, size=None)))
        assert found.images.shape == (2, 1, 8, 8, 3)
        assert found.images.tobytes() == own.images.tobytes()


def test_a_layer_that_runs_at_no_size_is_named_with_the_reason(pieces, capfd):
    with pytest.raises(ModelError, match=r"^stem does not run on images of 16 x 16: The size of tensor a \(3\) .*\)[^\n]*$"):
        visualize(replace(pieces[1], mean=(0.5, 0.5)), "stem", [0], replace(QUICK, size=(9, 9)))
    assert capfd.readouterr().err == ""


def test_what_a_size_that_does_not_run_prints_is_not_heard(capfd):
    visualize(Subject(trace(made(Flattened), (3, 8, 8)), "flattened"), "out", [0], replace(QUICK, size=(9, 9)))
    assert capfd.readouterr().err == ""


def test_without_mean_and_deviation_a_model_sees_the_image_as_it_is(pieces):
    _, subject = pieces
    plain, zero = replace(subject, mean=None, std=None), replace(subject, mean=(0.0,) * 3, std=(1.0,) * 3)
    one, two = (visualize(each, "mix", [1], QUICK) for each in (plain, zero))
    assert one.images.tobytes() == two.images.tobytes()
    assert one.images.tobytes() != visualize(subject, "mix", [1], QUICK).images.tobytes()


def test_several_negative_images_of_a_neuron_are_all_negative_and_differ(pieces):
    _, subject = pieces
    found = visualize(subject, "head", [0, 4], Options(negative=True, images=3, steps=60))
    noise = random_images_activations(subject, "head")[:, [0, 4]].min(0)
    assert (found.activations < noise[:, None]).all()
    assert len({image.tobytes() for image in found.images[0]}) == 3


def test_large_images_are_made_fewer_at_a_time(pieces):
    def count(side, **more):
        return engine.together(open_studio(pieces[1], "stem", Options(size=(side, side), **more)))

    assert [count(side) for side in (64, 90, 128, 256, 512)] == [32, 32, 16, 4, 1]
    assert (count(64, images=3), count(512, images=3), count(16, batch=5)) == (10, 1, 5)


# -- going on after a kill ------------------------------------------------------------------------------------------------


class KilledError(Exception):
    pass


def killed_after(count):
    seen = []

    def on_batch(_):
        seen.append(1)
        if len(seen) == count:
            raise KilledError

    return on_batch


def test_a_killed_run_goes_on_and_gives_the_same_bytes(pieces, tmp_path, monkeypatch):
    _, subject = pieces
    whole = visualize(subject, "mix", range(9), QUICK)
    with pytest.raises(KilledError):
        visualize(subject, "mix", range(9), QUICK, tmp_path, killed_after(2))
    assert len(list(tmp_path.iterdir())) == 2
    asked = counted(monkeypatch)
    resumed = visualize(subject, "mix", range(9), QUICK, tmp_path)
    assert asked == [[6, 7, 8]]
    assert resumed.images.tobytes() == whole.images.tobytes()
    assert resumed.activations.tobytes() == whole.activations.tobytes()
    assert resumed.notes == whole.notes


ASCEND = engine.ascend


def counted(monkeypatch, error=None, after=0):
    """The batches that are worked out from now on; so many, and then the error."""
    asked = []

    def ascend(studio, units):
        if error and len(asked) == after:
            raise error
        asked.append(units)
        return ASCEND(studio, units)

    monkeypatch.setattr(engine, "ascend", ascend)
    return asked


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 and no more", None])
def test_what_is_damaged_is_made_anew(pieces, tmp_path, monkeypatch, damage):
    _, subject = pieces
    first = visualize(subject, "stem", [1, 2], QUICK, tmp_path)
    (kept,) = tmp_path.iterdir()
    held = kept.read_bytes()
    kept.write_bytes(
        held[: len(held) // 2] + bytes([held[len(held) // 2] ^ 255]) + held[len(held) // 2 + 1 :] if damage is None else damage
    )
    asked = counted(monkeypatch)
    assert visualize(subject, "stem", [1, 2], QUICK, tmp_path).images.tobytes() == first.images.tobytes()
    assert asked == [[1, 2]]
    assert kept.read_bytes() == held


def test_other_weights_options_neurons_or_layers_are_kept_apart(pieces, tmp_path):
    _, subject = pieces
    visualize(subject, "stem", [1], QUICK, tmp_path)
    visualize(replace(subject, weights="others"), "stem", [1], QUICK, tmp_path)
    visualize(replace(subject, mean=None), "stem", [1], QUICK, tmp_path)
    visualize(subject, "stem", [1], replace(QUICK, steps=3), tmp_path)
    visualize(subject, "stem", [2], QUICK, tmp_path)
    visualize(subject, "mix", [1], QUICK, tmp_path)
    assert len(list(tmp_path.iterdir())) == 6


DYING = """
import os, signal, sys, torch
from pathlib import Path
from generator.context.visualize import Options, Subject, visualize
from generator.graph import trace
torch.manual_seed(0)
subject = Subject(trace(torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3)).eval().requires_grad_(False), (3, 12, 12)), "dying")
options = Options(steps=12, batch=2)
seen = []
def on_batch(_):
    seen.append(1)
    if len(seen) == 2 and sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
found = visualize(subject, "0", range(6), options, Path(sys.argv[1]), on_batch)
print(found.images.sum(), *found.activations.ravel())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_process_killed_outright_leaves_what_it_has_done_to_the_next(tmp_path):
    def run(folder, death):
        return subprocess.run([sys.executable, "-c", DYING, str(folder), death], cwd=ROOT, capture_output=True, text=True)

    assert run(tmp_path / "one", "die").returncode == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "one").iterdir()}
    assert [path.suffix for path in kept] == [".npz"] * 2
    resumed, whole = run(tmp_path / "one", ""), run(tmp_path / "other", "")
    assert resumed.stdout == whole.stdout != ""
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    names = [{path.name for path in (tmp_path / each).iterdir()} for each in ("one", "other")]
    assert names[0] == names[1]
    assert len(names[0]) == 3


def test_a_folder_that_cannot_be_written_is_named_in_a_line(pieces, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"file: what is done so far cannot be kept there: (File exists|Not a directory)"):
        visualize(pieces[1], "stem", [1], QUICK, tmp_path / "file")


def test_a_full_disk_leaves_no_half_files(pieces, tmp_path, monkeypatch):
    def full(file, **_):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(StoreError, match="cannot be kept there: No space left on device"):
        visualize(pieces[1], "stem", [1], QUICK, tmp_path)
    assert list(tmp_path.iterdir()) == []


NETS = """
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(1, 40, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(40 * 64, 3))
"""
SPEC = """
title: Grey
models:
  - {name: net, source: "nets:make", weights: none, input_size: [1, 8, 8]}
faces: {pixels: none, visualization: {kind: make, size: 16, steps: 4, negative: true, images: 2}}
"""


def test_a_build_that_is_interrupted_goes_on_where_it_was_and_gives_the_same_site(tmp_path, monkeypatch):
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "nets.py").write_text(NETS)
        (tmp_path / name / "atlas.yaml").write_text(SPEC)

    def run(name):
        build(load_spec(tmp_path / name / "atlas.yaml"), tmp_path / name / "site", Progress(quiet=True))
        return {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name / "site").rglob("*.*")}

    asked = counted(monkeypatch, KeyboardInterrupt, after=5)
    with pytest.raises(KeyboardInterrupt):
        run("stopped")
    assert not (tmp_path / "stopped" / "site").exists()
    done = list(asked)
    asked = counted(monkeypatch)
    site = run("stopped")
    rest = list(asked)
    asked.clear()
    assert site == run("whole")
    assert len(done) == 5
    assert sorted(done + rest) == sorted(asked)
    assert len(asked) == 2 * (3 + 1)  # two signs; 40 neurons, 16 at a time, and the three behind the flattened map
    assert any(path.suffix in (".png", ".webp") for path in site)


def test_units_are_dealt_out_in_order():
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]


# -- parts ----------------------------------------------------------------------------------------------------------------


def test_an_unknown_objective_is_refused():
    with pytest.raises(ValueError, match="unknown objective 'middle'; known: channel, centre"):
        objectives.objective(torch.rand(1, 2, 2), "middle", 0.0)


def test_no_turn_leaves_images_alone_and_a_shift_moves_them():
    images = torch.rand(2, 3, 6, 10)
    still = transforms.draw_turn((6, 10), torch.Generator().manual_seed(0), 0, 0, 0)
    torch.testing.assert_close(transforms.transformed(images, still), images)
    shift = still.clone()
    shift[0, 2] = 2 * 3 / 10
    torch.testing.assert_close(transforms.transformed(images, shift)[..., :7], images[..., 3:])


def test_a_turn_keeps_right_angles_on_an_oblong_image():
    turn = transforms.draw_turn((8, 24), torch.Generator().manual_seed(3), 0, 0, 60)
    pixels = torch.diag(torch.tensor([12.0, 4.0])) @ turn[:, :2] @ torch.diag(torch.tensor([1 / 12, 1 / 4]))
    torch.testing.assert_close(pixels @ pixels.T, torch.eye(2))


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 1)])
def test_noise_makes_images_close_to_grey(size):
    coefficients = fourier.first_coefficients(3, size, torch.Generator().manual_seed(0))[None]
    images = fourier.to_images(coefficients, size)
    assert images.shape == (1, 3, *size)
    assert float((images - 0.5).abs().max()) < 0.1


def test_colours_of_pictures_are_uncorrelated_behind_the_root():
    draws = np.random.default_rng(0)
    pictures = (128 + draws.normal(0, 1, (40, 8, 8, 3)) @ np.array([[30, 30, 28], [9, 0, -9], [2, -5, 3]])).round()
    root = fourier.colour_root(pictures.astype(np.uint8))
    covariance = np.cov(pictures.reshape(-1, 3).T)
    ratio = (root @ root.T) / covariance
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=0.03)
    assert np.linalg.norm(root, axis=0).max() == pytest.approx(1)
    assert (fourier.colour_root(np.full((1, 2, 2, 3), 7, np.uint8)) == 0).all()


def test_the_colours_in_use_are_those_of_a_square_root():
    colours = np.array(fourier.COLOURS)
    inner = colours.T @ colours
    assert inner[0, 0] == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(inner - np.diag(np.diag(inner)), 0, atol=1e-3)


# -- the bundled network's ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 32, 35])
def test_tiles_come_back_from_a_sprite_that_lies_as_all_others_do(count):
    flat = np.random.default_rng(0).integers(0, 256, (count, 1, 1, 3)).astype(np.uint8)
    images = np.broadcast_to(flat, (count, 64, 64, 3))
    sheet = np.array(Image.open(BytesIO(sprite_of(images))).convert("RGB"))
    assert sheet.shape == sprite(images)[0].shape
    assert np.abs(tiles_of(sheet, count).astype(int) - images)[:, 16:48, 16:48].max() < 16


VISUALIZATIONS = script.HERE / "visualizations"
WRITTEN = pytest.mark.skipif(not (VISUALIZATIONS / "index.json").is_file(), reason="the bundled visualizations are not here")


@WRITTEN
def test_the_bundled_visualizations_are_those_of_the_bundled_weights_and_small():
    spec = SimpleNamespace(name="bundled", source="bundled", weights=None, arguments={}, input_size=None)
    loaded = load_model(spec, script.HERE)
    graph = trace(loaded.module, loaded.input_shape)
    index = json.loads((VISUALIZATIONS / "index.json").read_text("utf-8"))
    assert index["weights"] == loaded.provenance.sha256
    assert list(index["layers"]) == [address for address in choose(graph, ["auto"]) if address != "input"]
    assert sum(path.stat().st_size for path in VISUALIZATIONS.iterdir()) <= 3_000_000
    for address, layer in index["layers"].items():
        neurons = graph.layers[address].neurons
        assert len(layer["activations"]) == len(layer["photographs"]) == neurons
        sheet, grid = Image.open(VISUALIZATIONS / f"{address}.webp"), sprite_grid(neurons, 64, 64)
        assert sheet.size == (grid.width, 65 * -(-neurons // grid.columns))


@WRITTEN
def test_the_bundled_visualizations_beat_photographs_for_nearly_every_neuron():
    layers = json.loads((VISUALIZATIONS / "index.json").read_text("utf-8"))["layers"].values()
    beaten = [mine > best for layer in layers for mine, best in zip(layer["activations"], layer["photographs"], strict=True)]
    assert np.mean(beaten) >= 0.95


@pytest.mark.parametrize(
    ("source", "mean"), [("bundled", (0.480, 0.448, 0.398)), ("torchvision:squeezenet1_1", (0.485, 0.456, 0.406))]
)
def test_a_loaded_model_says_how_its_images_are_normalized(source, mean):
    loaded = load_model(SimpleNamespace(name="m", source=source, weights=None, arguments={}, input_size=None), script.HERE)
    assert loaded.mean == mean
    assert len(loaded.std) == 3
