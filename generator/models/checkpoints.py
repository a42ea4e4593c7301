"""Checkpoint files: their tensors into a module, whatever wraps them, and never any code of theirs.

The format is told by the file's first bytes, not by its suffix. `.safetensors` and zipped `.pt`/`.pth`/`.th` are memory mapped;
everything of PyTorch's goes through `torch.load(weights_only=True)`, which builds tensors and plain containers and refuses
the rest.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from generator.errors import ModelError, nearest
from generator.models.fitting import fit

SUFFIXES = (".safetensors", ".pt", ".pth", ".th")
DEPTH = 4  # dicts within dicts that are looked into
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # the first bytes of a file of torch.save before 1.6
STATE = re.compile(r"optim|sched|scaler", re.IGNORECASE)  # entries of a training run that hold tensors, but no weights


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint file as it was read: a dict within a dict is a dotted prefix (`state_dict.conv1.weight`)."""

    file: str  # its name, without the path
    tensors: dict[str, Tensor]  # as stored, any dtype
    extras: tuple[str, ...]  # addresses of the entries that are no tensors, and of optimizer states


def find_file(weights: str, folder: Path) -> Path:
    """The file that a spec in `folder` names as `weights`. Raises ModelError where there is none."""
    path = folder / Path(weights).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise ModelError(f"weights: '{weights}' is a folder, not a file")
    around = [entry.name for entry in path.parent.glob("*") if entry.suffix in SUFFIXES] if path.parent.is_dir() else []
    raise ModelError(f"weights: there is no file '{weights}' in {path.parent}{nearest(path.name, sorted(around))}")


def read_checkpoint(path: Path) -> Checkpoint:
    """The tensors of a file, without running anything that is in it.

    Raises ModelError with one line for a file that is empty, damaged, no checkpoint, or needs code to be read.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(64)
    except OSError as error:
        raise ModelError(f"{path.name}: {error.strerror}") from error
    stored = _read_safetensors(path) if head[8:9] == b"{" else _read_torch(path, head)
    tensors: dict[str, Tensor] = {}
    extras: list[str] = []
    _flatten(stored, "", tensors, extras, DEPTH)
    if not tensors:
        raise ModelError(f"{path.name}: holds no named tensors{_what_else(stored)}")
    return Checkpoint(path.name, tensors, tuple(extras))


def load_into(module: nn.Module, checkpoint: Checkpoint, where: str) -> tuple[str, ...]:
    """Give the module's tensors the checkpoint's numbers, as float32; gives notes on what was found.

    Float32 numbers stay in the file that they are mapped from, and must not be written to by anyone; the mapping is private, so
    that even then the file stays as it is. Others are copied.
    Where the file holds the model several times or under prefixes, `fitting.fit` says which is taken. `num_batches_tracked`
    may be missing; tensors the model has no place for are left out and noted; NaN and Inf are loaded and noted.
    Raises ModelError, beginning with `where`, that lists the first ten misfits and their count.
    """
    module.float()
    wanted = wanted_tensors(module, where)
    fitted = fit(checkpoint.tensors, wanted, where)
    with torch.no_grad():
        for name, tensor in fitted.found.items():
            if is_mapped_as(tensor, wanted[name]):
                wanted[name].data = tensor
            else:
                wanted[name].copy_(tensor)
    notes = [f"read under '{fitted.prefix}' in {checkpoint.file}"] if fitted.prefix else []
    if fitted.also:
        notes.append(f"the file holds the model also under {', '.join(repr(prefix) for prefix in fitted.also)}")
    if fitted.unused:
        notes.append(f"{len(fitted.unused)} tensors of the file have no place in the model: {_some(fitted.unused)}")
    odd = [name for name in fitted.found if not bool(torch.isfinite(wanted[name]).all())]
    return (*notes, f"NaN or Inf in {_some(tuple(odd))}") if odd else tuple(notes)


def is_mapped_as(stored: Tensor, own: Tensor) -> bool:
    """Whether stored numbers can stand in for a module's own as they lie in the file."""
    plain = stored.dtype == own.dtype == torch.float32 and stored.layout == torch.strided and own.device.type == "cpu"
    return plain and stored.is_contiguous() and own.is_contiguous() and stored.data_ptr() % stored.element_size() == 0


def load_file(module: nn.Module, weights: str, folder: Path, source: str) -> tuple[str, tuple[str, ...]]:
    """Find, read and load the file that a spec names; gives its name and the notes."""
    checkpoint = read_checkpoint(find_file(weights, folder))
    return checkpoint.file, load_into(module, checkpoint, f"{checkpoint.file} does not fit {source}")


def wanted_tensors(module: nn.Module, where: str) -> dict[str, Tensor]:
    """The module's own parameters and buffers by name, to be written to. Raises ModelError if they have no numbers yet."""
    state = {name: value for name, value in module.state_dict(keep_vars=True).items() if isinstance(value, Tensor)}
    for name, tensor in state.items():
        if nn.parameter.is_lazy(tensor) or tensor.is_meta:
            kind = "lazy (its size is not known yet)" if nn.parameter.is_lazy(tensor) else "on the meta device"
            raise ModelError(f"{where}: '{name}' is {kind}; the callable must give a module with real weights")
    return state


def _some(names: tuple[str, ...], count: int = 3) -> str:
    shown = ", ".join(names[:count])
    return f"{shown} and {len(names) - count} more" if len(names) > count else shown


def _flatten(stored: object, prefix: str, tensors: dict[str, Tensor], extras: list[str], depth: int) -> None:
    for key, value in stored.items() if isinstance(stored, Mapping) else ():
        address = f"{prefix}{key}"
        if isinstance(value, Tensor):
            tensors[address] = value.detach()
        elif isinstance(value, Mapping) and depth and not STATE.search(str(key)):
            _flatten(value, f"{address}.", tensors, extras, depth - 1)
        else:
            extras.append(address)


def _what_else(stored: object) -> str:
    if isinstance(stored, Mapping):
        return f", only {_some(tuple(str(key) for key in stored))}" if stored else ""
    return f", but a {type(stored).__name__}"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"{path.name}: not a safetensors file, or damaged or cut short ({_first_line(error)})") from error


def _read_torch(path: Path, head: bytes) -> Any:
    """Whatever `torch.save` wrote, from its first bytes on."""
    zipped = head.startswith(b"PK\x03\x04")
    if not zipped and not head.startswith(LEGACY):
        raise ModelError(f"{path.name}: {_kind_of_stranger(head, path.name)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on sparse and quantized tensors, which are refused by name later
            if path.suffix != ".safetensors":
                return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
            with open(path, "rb") as file:  # given a path, recent torch would go by the suffix
                return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise anything in there, and is never a fault of ours
        raise ModelError(f"{path.name}: {_why_unreadable(path, error)}") from error


def _kind_of_stranger(head: bytes, name: str) -> str:
    if not head:
        return "is empty"
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the weights themselves; `git lfs pull` fetches them"
    if head[:1] == b"\x80":
        return f"is a plain pickle, which could run code; if you trust it, convert it: {_conversion(name, 'pickle')}"
    known = "a web page" if head.lstrip().startswith(b"<") else "no checkpoint, or a damaged one"
    return f"is {known}; {', '.join(SUFFIXES[:-1])} and {SUFFIXES[-1]} files of safetensors or torch.save are read"


def _why_unreadable(path: Path, error: Exception) -> str:
    text = str(error)
    if "TorchScript" in text:
        return f"is TorchScript, which is code; if you trust it, convert it: {_conversion(path.name, 'script')}"
    wanted = re.search(r"GLOBAL ([\w.]+)", text)
    if isinstance(error, pickle.UnpicklingError) and wanted:
        what = f"needs code to be read ({wanted[1]}), which is never run here"
        return f"{what}; if you trust it, convert it: {_conversion(path.name, 'torch')}"
    return f"not a checkpoint of torch.save, or damaged or cut short ({_first_line(error)})"


def _conversion(name: str, kind: str) -> str:
    """A shell line that turns a file which needs code into one of plain tensors beside it."""
    name = name if re.fullmatch(r"[\w. -]+", name) else "FILE"  # the line will be pasted into a shell
    target = f"{Path(name).stem}-weights.pt"
    if kind == "script":
        return f"python -c \"import torch; torch.save(torch.jit.load('{name}', 'cpu').state_dict(), '{target}')\""
    load = f"torch.load('{name}', 'cpu', weights_only=False)" if kind == "torch" else f"pickle.load(open('{name}', 'rb'))"
    return (
        f"python -c \"import pickle, torch; d = {load}; d = d if isinstance(d, dict) else {{'model': d}}; "
        "s = {k: v.state_dict() if hasattr(v, 'state_dict') else v for k, v in d.items()}; "
        "torch.save({k: v for k, v in s.items() if torch.is_tensor(v) or isinstance(v, dict) "
        f"and all(map(torch.is_tensor, v.values()))}}, '{target}')\""
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
