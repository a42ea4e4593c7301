"""The bundled network: its committed weights, and the script that trained them on a zip of a few synthetic pictures."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from generator.errors import ModelError
from generator.models import bundled, digest, load_model
from generator.models.bundled import train
from generator.models.bundled.network import CLASSES, SIDE, TinyInception

ROOT = Path(__file__).parents[1]
WEIGHTS = bundled.HERE / bundled.WEIGHTS
PARAMETERS = 486_058
SMOOTH = 0.3  # random and shuffled filters have a median below 0.05, those of a trained network above 0.6
COLOURS = {"n01": (220, 40, 40), "n02": (40, 200, 60), "n03": (50, 60, 220)}


def spec(weights="", **arguments):
    return SimpleNamespace(name="bundled", source="bundled", weights=weights, arguments=arguments, input_size=None)


def smoothness(kernels):
    """[unit] correlation of a filter with itself one position on; kernels are [unit, input, row, col]."""
    kernels = kernels - kernels.mean((2, 3), keepdim=True)
    beside = (kernels[..., 1:] * kernels[..., :-1]).sum((1, 2, 3))
    below = (kernels[:, :, 1:] * kernels[:, :, :-1]).sum((1, 2, 3))
    return (beside + below) / 2 / (kernels**2).sum((1, 2, 3))


def shuffled(kernels, seed):
    places = torch.randperm(kernels.shape[2] * kernels.shape[3], generator=torch.Generator().manual_seed(seed))
    return kernels.flatten(2)[:, :, places].reshape(kernels.shape)


def far_from_noise(kernels):
    return float(smoothness(kernels).median()) > SMOOTH


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A zip laid out as Tiny-ImageNet is: three classes, each a colour with noise, one picture grey."""
    path = tmp_path_factory.mktemp("data") / "tiny.zip"
    draws = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("classes.tsv", "".join(f"{name}\tthe {name}, a colour\n" for name in COLOURS))
        for split, count in (("train", 8), ("val", 2)):
            for name, colour in COLOURS.items():
                for number in range(count):
                    archive.writestr(f"{split}/{name}/{number}.JPEG", jpeg(colour, draws, grey=(split, number) == ("val", 1)))
    return path


def jpeg(colour, draws, grey):
    noisy = np.clip(np.array(colour) + draws.normal(0, 20, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).convert("L" if grey else "RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def options(data, out, *more):
    return train.parse_arguments(["--data", str(data), "--out", str(out), "--batch", "8", "--rate", "0.1", *more])


# --- the committed weights ---------------------------------------------------------------------------------------------------


def test_the_committed_first_layer_is_far_from_noise():
    kernels = load_model(spec(), ROOT).module.conv0.conv.weight
    assert kernels.shape == (32, 3, 7, 7)
    assert far_from_noise(kernels)
    assert not any(far_from_noise(shuffled(kernels, seed)) for seed in range(5))


def test_an_untrained_first_layer_is_noise():
    for seed in range(5):
        torch.manual_seed(seed)
        assert not far_from_noise(TinyInception().conv0.conv.weight.detach())


def test_the_bundled_model_comes_whole():
    loaded = load_model(spec(), ROOT)
    assert loaded.input_shape == (3, 64, 64)
    assert len(loaded.class_names) == loaded.module.classifier.out_features == CLASSES
    assert loaded.provenance.weights == "tiny_inception.safetensors"
    assert loaded.notes == ()
    with torch.no_grad():
        assert loaded.module(torch.zeros(2, *loaded.input_shape)).shape == (2, CLASSES)


def test_the_committed_file_is_half_precision_and_small():
    assert WEIGHTS.stat().st_size <= 3_000_000
    with safe_open(WEIGHTS, "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
        assert 0.2 < float(file.metadata()["validation_top1"]) < 0.9


def test_the_model_card_states_the_accuracy_of_the_committed_file():
    with safe_open(WEIGHTS, "pt") as file:
        share = float(file.metadata()["validation_top1"])
    assert f"{share:.1%}" in (bundled.HERE / "MODEL_CARD.md").read_text()


def test_missing_weights_get_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(bundled, "HERE", tmp_path)
    with pytest.raises(ModelError, match=r"this installation lacks tiny_inception\.safetensors"):
        load_model(spec(), tmp_path)


def test_arguments_are_refused(tmp_path):
    with pytest.raises(ModelError, match="takes no arguments, found width"):
        load_model(spec(width=3), tmp_path)


def test_there_is_a_name_for_every_class():
    names = bundled.class_names()
    assert len(names) == len(set(names)) == CLASSES
    assert names[0] == "goldfish, Carassius auratus"


def test_the_card_tells_the_number_of_parameters():
    assert sum(p.numel() for p in TinyInception().parameters()) == PARAMETERS
    assert f"{PARAMETERS:,}" in (bundled.HERE / "MODEL_CARD.md").read_text()


# --- training ----------------------------------------------------------------------------------------------------------------


def test_two_training_steps_move_every_kernel_and_lower_the_loss(data):
    torch.manual_seed(0)
    with zipfile.ZipFile(data) as archive:
        images = train.read_split(archive, "train", train.read_classes(archive)[0])
    network = TinyInception(len(COLOURS)).train()
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    optimizer = train.make_optimizer(network, 0.1, 5e-4)
    x, labels = train.batch(images, np.arange(len(images.labels)), None), torch.from_numpy(images.labels)
    first, second = (train.train_step(network, optimizer, x, labels, 0.1) for _ in range(2))
    assert np.isfinite([first, second]).all()
    assert second < first
    assert all(not torch.equal(parameter, before[name]) for name, parameter in network.named_parameters())


def test_a_broken_run_goes_on_to_the_very_weights_of_an_unbroken_one(data, tmp_path, monkeypatch):
    train.train(options(data, tmp_path / "whole", "--epochs", "3"))
    epoch = train.train_epoch

    def interrupted(*arguments):
        if arguments[4] == 2:
            raise KeyboardInterrupt
        return epoch(*arguments)

    monkeypatch.setattr(train, "train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.train(options(data, tmp_path / "broken", "--epochs", "3"))
    assert not (tmp_path / "broken" / bundled.WEIGHTS).exists()
    monkeypatch.setattr(train, "train_epoch", epoch)
    train.train(options(data, tmp_path / "broken", "--epochs", "3"))
    whole, broken = (load_file(tmp_path / name / bundled.WEIGHTS) for name in ("whole", "broken"))
    assert whole.keys() == broken.keys()
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_the_seed_decides_the_weights(data, tmp_path):
    made = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        train.train(options(data, tmp_path / name, "--epochs", "1", "--images", "8", "--seed", seed))
        with safe_open(tmp_path / name / bundled.WEIGHTS, "pt") as file:
            made.append(file.get_tensor("conv0.conv.weight"))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_the_command_line_trains_resumes_and_makes_a_file_that_loads(data, tmp_path):
    command = [sys.executable, "-W", "error::RuntimeWarning", "-m", "generator.models.bundled.train", "--data", str(data)]
    command += ["--out", "run", "--epochs", "2", "--images", "12", "--batch", "6"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said = [
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert "12 training and 6 validation images" in said[0]
    assert "epoch 2/2" in said[0]
    assert "validation accuracy" in said[0]
    assert "resumed after epoch 2" in said[1]
    assert "epoch 2/2" not in said[1]
    other = subprocess.run([*command, "--epochs", "3"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert other.returncode != 0
    assert "choose another --out" in other.stderr
    with pytest.raises(ModelError, match=r"misshapen 'classifier\.weight': the model has \[202, 256\], the file \[3, 256\]"):
        load_model(spec(f"run/{bundled.WEIGHTS}"), tmp_path)


def test_ones_own_training_goes_into_the_bundled_network_without_class_names(tmp_path):
    network = TinyInception()
    train.save_weights(network, SimpleNamespace(epochs=1, seed=0, out=tmp_path), 0.5)
    loaded = load_model(spec(bundled.WEIGHTS), tmp_path)
    assert loaded.class_names == ()
    assert loaded.provenance.sha256 == digest(network.half().float())


def test_pictures_are_read_as_rgb_and_a_limit_spreads_over_the_classes(data):
    with zipfile.ZipFile(data) as archive:
        classes, words = train.read_classes(archive)
        images = train.read_split(archive, "val", classes)
        few = train.read_split(archive, "train", classes, 6)
    assert (classes, words[0]) == (list(COLOURS), "the n01, a colour")
    assert images.pictures.shape == (6, SIDE, SIDE, 3)
    assert np.ptp(images.pictures[1].astype(int), axis=-1).max() == 0  # the grey one
    assert sorted(few.labels) == [0, 0, 1, 1, 2, 2]


def test_sides_and_rates_follow_the_schedule_of_the_card():
    progress = np.linspace(0, 0.999, 600)
    assert [train.side_at(p) for p in (0, 0.2, 0.4, 0.5, 0.999)] == [40, 48, 56, 64, 64]
    rates = [train.rate_at(p, 0.6) for p in progress]
    assert max(rates) == pytest.approx(0.6, rel=1e-2)
    assert progress[int(np.argmax(rates))] == pytest.approx(0.2, abs=0.01)
    assert rates[-1] < 1e-3
