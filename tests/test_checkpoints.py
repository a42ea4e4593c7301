"""Checkpoint files: everything that may wrap the tensors, and everything that is no checkpoint."""

import argparse
import os
import pickle
import re
import subprocess
import sys
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from generator.errors import ModelError
from generator.models.checkpoints import find_file, load_into, read_checkpoint

SHARED = Path(__file__).parents[1].parent / "shared" / "models"


class Code:
    """Unpickled, it would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def net(seed=0, width=4):
    torch.manual_seed(seed)
    module = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, width, 3), norm=nn.BatchNorm2d(width), fc=nn.Linear(width, 2)))
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.5, 2)
    return module


def saved(path, stored, **options):
    torch.save(stored, path, **options)
    return path


def load(path, module=None):
    module = net(seed=9) if module is None else module
    return module, load_into(module, read_checkpoint(path), f"{path.name} does not fit net")


def assert_same(module, expected, tolerance=0.0):
    own, other = module.state_dict(), expected.state_dict()
    assert own.keys() == other.keys()
    for name in own:
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(own[name], other[name], rtol=tolerance, atol=0)


def prefixed(prefix, module=None):
    return {prefix + name: tensor for name, tensor in (module or net()).state_dict().items()}


WRAPPED = {
    "plain": lambda: net().state_dict(),
    "state_dict": lambda: {"state_dict": net().state_dict(), "epoch": 3, "best": 0.9},
    "model": lambda: {"model": net().state_dict(), "optimizer": torch.optim.SGD(net().parameters(), 0.1).state_dict()},
    "ema": lambda: {"ema": net().state_dict(), "updates": 7},
    "model_state_dict": lambda: {"model_state_dict": net().state_dict()},
    "net": lambda: {"net": net().state_dict(), "acc": 93.1},
    "an unknown name": lambda: {"whatever": {"inner": net().state_dict()}},
    "module.": lambda: prefixed("module."),
    "model.": lambda: {"state_dict": prefixed("model."), "global_step": 10},
    "backbone.": lambda: prefixed("backbone."),
    "_orig_mod.": lambda: prefixed("_orig_mod."),
    "stacked": lambda: {"state_dict": prefixed("module._orig_mod.model.backbone.")},
    "wrapper inside": lambda: {name.replace(".", "._orig_mod."): tensor for name, tensor in net().state_dict().items()},
    "one wrapper inside": lambda: {name.replace("fc.", "fc.module."): tensor for name, tensor in net().state_dict().items()},
    "extra tensors": lambda: {**net().state_dict(), "head.weight": torch.ones(5), "epoch": 2},
    "parameters": lambda: dict(net().named_parameters()) | dict(net().named_buffers()),
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_the_same_weights_come_out_of_every_wrapping(tmp_path, kind):
    module, _ = load(saved(tmp_path / "w.pt", WRAPPED[kind]()))
    assert_same(module, net())


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".th", ".tar", ".bin", ""])
def test_the_format_is_told_by_content_and_not_by_suffix(tmp_path, suffix):
    assert_same(load(saved(tmp_path / f"w{suffix}", net().state_dict()))[0], net())
    save_file(net().state_dict(), tmp_path / f"s{suffix}")
    assert_same(load(tmp_path / f"s{suffix}")[0], net())


def test_torch_content_under_a_safetensors_suffix_is_read(tmp_path):
    assert_same(load(saved(tmp_path / "w.safetensors", net().state_dict()))[0], net())


def test_the_old_format_of_torch_save_is_read(tmp_path):
    path = saved(tmp_path / "w.pth", {"state_dict": net().state_dict()}, _use_new_zipfile_serialization=False)
    assert_same(load(path)[0], net())


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float16, 1e-3), (torch.bfloat16, 1e-2), (torch.float32, 0), (torch.float64, 0)]
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_every_float_precision_becomes_float32(tmp_path, dtype, tolerance, suffix):
    state = {
        name: tensor.to(dtype) for name, tensor in net().state_dict().items()
    }  # whole numbers too, as model.half() does not
    path = tmp_path / f"w{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    module, _ = load(path)
    assert_same(module, net(), tolerance)
    assert {tensor.dtype for tensor in module.parameters()} == {torch.float32}
    assert module.norm.num_batches_tracked.dtype == torch.int64


def test_a_module_of_half_precision_becomes_float32_before_loading(tmp_path):
    module, _ = load(saved(tmp_path / "w.pt", net().state_dict()), net(seed=9).half())
    assert_same(module, net())


def test_whole_number_buffers_are_kept(tmp_path):
    expected = net()
    expected.register_buffer("index", torch.tensor([5, 2**40]))
    module = net(seed=9)
    module.register_buffer("index", torch.zeros(2, dtype=torch.int64))
    load(saved(tmp_path / "w.pt", expected.state_dict()), module)
    assert module.index.tolist() == [5, 2**40]


def test_fractions_for_whole_numbers_are_refused(tmp_path):
    module = net()
    module.register_buffer("index", torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ModelError, match="'index': it holds fractions"):
        load(saved(tmp_path / "w.pt", {**net().state_dict(), "index": torch.tensor([0.5, 1.0])}), module)


def test_num_batches_tracked_may_be_missing(tmp_path):
    state = {name: tensor for name, tensor in net().state_dict().items() if "num_batches" not in name}
    assert_same(load(saved(tmp_path / "w.pt", state))[0], net())


def test_an_average_goes_before_the_last_step_and_the_note_names_both(tmp_path):
    state = {"model": net(1).state_dict(), "ema": net(2).state_dict()}
    module, notes = load(saved(tmp_path / "w.pt", state))
    assert_same(module, net(2))
    assert notes[0] == "read under 'ema.' in w.pt"
    assert "'model.'" in notes[1]


def test_the_order_of_the_entries_in_the_file_does_not_matter(tmp_path):
    state = {"ema": net(2).state_dict(), "model": net(1).state_dict(), "state_dict": net(3).state_dict()}
    for number, keys in enumerate((list(state), list(state)[::-1])):
        assert_same(load(saved(tmp_path / f"{number}.pt", {key: state[key] for key in keys}))[0], net(2))


def test_an_average_without_batch_statistics_leaves_room_for_the_whole_model(tmp_path):
    module, _ = load(saved(tmp_path / "w.pt", {"ema": dict(net(2).named_parameters()), "model": net(1).state_dict()}))
    assert_same(module, net(1))


def test_names_as_they_are_go_before_prefixed_ones(tmp_path):
    module, _ = load(saved(tmp_path / "w.pt", {**prefixed("ema.", net(2)), **net(1).state_dict()}))
    assert_same(module, net(1))


def test_two_copies_that_no_rule_tells_apart_are_refused(tmp_path):
    state = {"student": net(1).state_dict(), "teacher": net(2).state_dict()}
    with pytest.raises(ModelError, match=r"more than once, under 'student\.' and 'teacher\.'"):
        load(saved(tmp_path / "w.pt", state))


def test_names_that_collide_without_their_wrapper_are_left_alone(tmp_path):
    module, _ = load(saved(tmp_path / "w.pt", {**prefixed("module.", net(1)), **net(2).state_dict()}))
    assert_same(module, net(2))


def test_a_model_with_a_part_called_module_keeps_its_names(tmp_path):
    own = nn.Sequential(OrderedDict(module=net(1)))
    fresh = nn.Sequential(OrderedDict(module=net(2)))
    load(saved(tmp_path / "w.pt", {"state_dict": prefixed("module.", own)}), fresh)
    assert_same(fresh, own)


def test_a_tensor_used_twice_may_be_stored_once(tmp_path):
    twins = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    twins[1].weight = twins[0].weight
    weight = torch.arange(9.0).reshape(3, 3)
    load(saved(tmp_path / "w.pt", {"0.weight": weight, "0.bias": torch.ones(3), "1.bias": torch.ones(3)}), twins)
    assert torch.equal(twins[1].weight, weight)


def test_missing_and_misshapen_are_counted_and_set_against_the_nearest_names(tmp_path):
    state = net().state_dict()
    state["conv_.weight"] = state.pop("conv.weight")
    state["fc.weight"] = torch.zeros(7, 4)
    with pytest.raises(ModelError) as caught:
        load(saved(tmp_path / "w.pt", state))
    first, *rest = str(caught.value).split("\n")
    assert first == "w.pt does not fit net: of its 8 tensors 1 missing, 1 misshapen"
    assert rest == [
        "  missing 'conv.weight' [4, 3, 3, 3]; nearest in the file: 'conv_.weight' [4, 3, 3, 3]",
        "  misshapen 'fc.weight': the model has [2, 4], the file [7, 4]",
    ]


def test_only_the_first_ten_misfits_are_listed(tmp_path):
    deep = nn.Sequential(*[nn.Linear(2, 2) for _ in range(8)])
    with pytest.raises(ModelError) as caught:
        load(saved(tmp_path / "w.pt", {"0.weight": torch.zeros(2, 2)}), deep)
    lines = str(caught.value).split("\n")
    assert "15 missing" in lines[0]
    assert len(lines) == 12
    assert lines[-1] == "  and 5 more"


def test_a_file_of_another_network_says_that_nothing_is_like_it(tmp_path):
    with pytest.raises(ModelError, match="8 missing") as caught:
        load(saved(tmp_path / "w.pt", {"zzz": torch.zeros(1)}))
    assert "nothing like it in the file" in str(caught.value)


def test_extra_tensors_and_odd_numbers_are_noted(tmp_path):
    state = {**net().state_dict(), "a": torch.zeros(1), "b": torch.zeros(1), "epoch": 5}
    state["conv.bias"] = torch.tensor([0.0, float("nan"), 1.0, float("inf")])
    path = saved(tmp_path / "w.pt", state)
    module, notes = load(path)
    assert notes == ("2 tensors of the file have no place in the model: a, b", "NaN or Inf in conv.bias")
    assert torch.isnan(module.conv.bias[1])
    assert read_checkpoint(path).extras == ("epoch",)


def test_optimizer_states_are_no_weights(tmp_path):
    optimizer = {"state": {"0": {"exp_avg": torch.zeros(3)}}}
    checkpoint = read_checkpoint(saved(tmp_path / "w.pt", {"model": net().state_dict(), "optimizer": optimizer}))
    assert checkpoint.extras == ("optimizer",)
    assert all(name.startswith("model.") for name in checkpoint.tensors)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda plain: plain.to(torch.complex64), "complex64"),
        (lambda plain: plain.to(torch.int64), "int64"),
        (lambda plain: plain.to(torch.bool), "bool"),
        (lambda plain: plain.to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (lambda plain: torch.quantize_per_tensor(plain, 0.1, 0, torch.qint8), "quantized"),
        (lambda plain: plain.to_sparse(), "sparse"),
    ],
    ids=["complex", "integer", "bool", "float8", "quantized", "sparse"],
)
def test_numbers_that_are_no_plain_floats_are_refused(tmp_path, changed, said):
    with pytest.raises(ModelError, match="1 unreadable") as caught:
        load(saved(tmp_path / "w.pt", {**net().state_dict(), "conv.weight": changed(torch.zeros(4, 3, 3, 3))}))
    assert "'conv.weight'" in str(caught.value)
    assert said in str(caught.value)


def one_line(path):
    with pytest.raises(ModelError) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path.name}: ")
    return str(caught.value)


def test_code_in_a_file_is_never_run(tmp_path):
    for old in (False, True):
        mark = tmp_path / f"ran{old}"
        state = {"state_dict": net().state_dict(), "evil": Code(mark)}
        path = saved(tmp_path / f"w{old}.pt", state, _use_new_zipfile_serialization=not old)
        assert "needs code to be read" in one_line(path)
        assert not mark.exists()
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Code(tmp_path / "ran")))
    assert "could run code" in one_line(tmp_path / "plain.pt")
    assert not (tmp_path / "ran").exists()


def convert(message, folder):
    command = re.search(r"convert it: python -c \"(.+)\"$", message)[1]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parent)])
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", command], cwd=folder, check=True, env={**os.environ, "PYTHONPATH": paths}
    )


NEEDING_CODE = {
    "whole module": lambda: net(),
    "module in a dict": lambda: {"model": net(), "epoch": 3},
    "namespace beside": lambda: {"state_dict": net().state_dict(), "args": argparse.Namespace(lr=1)},
    "numpy scalar beside": lambda: {"state_dict": net().state_dict(), "best": np.float64(0.5), "more": {"x": np.float64(1)}},
    "flat": lambda: {**net().state_dict(), "args": argparse.Namespace(lr=1)},
}


@pytest.mark.parametrize("kind", NEEDING_CODE)
def test_a_file_that_needs_code_is_refused_with_a_command_that_converts_it(tmp_path, kind):
    message = one_line(saved(tmp_path / "w.pt", NEEDING_CODE[kind]()))
    assert "needs code to be read" in message
    convert(message, tmp_path)
    assert_same(load(tmp_path / "w-weights.pt")[0], net())


def test_a_plain_pickle_is_refused_with_a_command_that_converts_it(tmp_path):
    (tmp_path / "w.pt").write_bytes(pickle.dumps({"state_dict": net().state_dict()}))
    convert(one_line(tmp_path / "w.pt"), tmp_path)
    assert_same(load(tmp_path / "w-weights.pt")[0], net())


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_refused_with_a_command_that_converts_it(tmp_path):
    torch.jit.save(torch.jit.script(net()), str(tmp_path / "w.pt"))
    message = one_line(tmp_path / "w.pt")
    assert "TorchScript" in message
    convert(message, tmp_path)
    assert_same(load(tmp_path / "w-weights.pt")[0], net())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>Not found</html>", "a web page"),
        (b"hello", "no checkpoint"),
        (b"\0" * 100, "no checkpoint"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 90, "no checkpoint"),
        (b"PK\x03\x04 but then nothing of the kind", "damaged"),
        ((2).to_bytes(8, "little") + b"{}", "no named tensors"),
        ((99).to_bytes(8, "little") + b"{}", "not a safetensors file"),
        (b'{"a": 1,{}', "not a safetensors file"),
    ],
    ids=["empty", "lfs", "html", "text", "zeros", "hdf5", "zip", "no tensors", "short header", "json"],
)
def test_what_is_no_checkpoint_gets_one_clear_line(tmp_path, content, said):
    path = tmp_path / "w.pt"
    path.write_bytes(content)
    assert said in one_line(path)


def test_what_holds_no_named_tensors_gets_one_clear_line(tmp_path):
    assert "a list" in one_line(saved(tmp_path / "a.pt", [torch.zeros(1)]))
    assert "a Tensor" in one_line(saved(tmp_path / "b.pt", torch.zeros(1)))
    assert "only epoch" in one_line(saved(tmp_path / "c.pt", {"epoch": 1}))
    assert one_line(saved(tmp_path / "d.pt", {})) == "d.pt: holds no named tensors"


def test_a_dict_that_holds_itself_ends(tmp_path):
    state = {"conv": torch.zeros(1)}
    state["again"] = state
    assert len(read_checkpoint(saved(tmp_path / "w.pt", state)).tensors) == 5


@pytest.mark.parametrize("form", ["zip", "old", "safetensors"])
def test_cut_or_damaged_files_get_one_line_and_never_a_traceback(tmp_path, form):
    whole = tmp_path / "whole"
    if form == "safetensors":
        save_file(net().state_dict(), whole)
    else:
        torch.save(net().state_dict(), whole, _use_new_zipfile_serialization=form == "zip")
    content, path = whole.read_bytes(), tmp_path / "w.pt"
    for length in np.linspace(0, len(content) - 1, 40).astype(int):
        path.write_bytes(content[:length])
        one_line(path)
    draws = np.random.default_rng(0)
    for place in draws.integers(0, len(content), 120):
        path.write_bytes(content[:place] + bytes([draws.integers(256)]) + content[place + 1 :])
        with suppress(ModelError):
            load(path)


def test_a_missing_file_is_named_with_the_nearest(tmp_path):
    (tmp_path / "best.pth").write_bytes(b"")
    with pytest.raises(ModelError, match=r"no file 'bets\.pth' in .*; nearest: best\.pth"):
        find_file("bets.pth", tmp_path)
    with pytest.raises(ModelError, match=r"no file 'runs/a\.pth'"):
        find_file("runs/a.pth", tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(ModelError, match="is a folder"):
        find_file("runs", tmp_path)


def test_modules_without_numbers_are_refused(tmp_path):
    path = saved(tmp_path / "w.pt", net().state_dict())
    with pytest.raises(ModelError, match="meta device"):
        load(path, net().to("meta"))
    with pytest.raises(ModelError, match="is lazy"):
        load(path, nn.LazyConv2d(4, 3))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared checkpoints are not here")
def test_a_real_checkpoint_as_its_author_saved_it_is_read():
    checkpoint = read_checkpoint(SHARED / "resnet20-cifar10.th")
    assert checkpoint.extras == ("best_prec1",)
    assert checkpoint.tensors["state_dict.module.conv1.weight"].shape == (16, 3, 3, 3)


def storages(module):
    return {name: tensor.untyped_storage().data_ptr() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_float32_numbers_stay_where_they_are_mapped_and_the_file_stays_as_it_is(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    saved(path, net().state_dict()) if suffix == ".pt" else save_file(net().state_dict(), path)
    before, module = path.read_bytes(), net(seed=9)
    own = storages(module)
    load(path, module)
    assert_same(module, net())
    floats = [name for name, tensor in module.state_dict().items() if tensor.is_floating_point()]
    assert all(storages(module)[name] != own[name] for name in floats)
    with torch.no_grad():
        module.conv.weight.zero_()
    assert path.read_bytes() == before


def test_numbers_of_another_precision_are_copied(tmp_path):
    path = saved(tmp_path / "weights.pt", net().half().state_dict())
    module = net(seed=9)
    own = storages(module)
    load(path, module)
    assert storages(module) == own


def test_whoever_holds_a_parameter_sees_the_files_numbers(tmp_path):
    path, module = saved(tmp_path / "weights.pt", net().state_dict()), net(seed=9)
    held = module.conv.weight
    load(path, module)
    assert module.conv.weight is held
    torch.testing.assert_close(held, net().conv.weight, rtol=0, atol=0)
