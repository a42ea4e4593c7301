"""Which tensors of a file are the model's: prefixes, several copies, and a plain account of what does not fit."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from generator.errors import ModelError

# Segments that wrappers put into names, at any place: DataParallel, torch.compile, FSDP, activation checkpointing.
WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
# A file that holds the whole model several times is read under the first of these. An average of the weights goes before the
# weights of the last step: it is what the authors evaluated.
AVERAGES = ("ema", "model_ema", "ema_model", "state_dict_ema", "ema_state_dict", "params_ema", "averaged_model")
PLAIN = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "params", "weights", "backbone", "encoder")
ORDER = ("", *AVERAGES, *PLAIN)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LISTED = 10  # misfits in a message

Score = tuple[int, int]


@dataclass(frozen=True)
class Fitted:
    """The part of a checkpoint that is the model."""

    found: dict[str, Tensor]  # the model's name -> tensor as stored
    prefix: str  # what stands before the model's names in the file, without wrappers; may be ''
    also: tuple[str, ...]  # other prefixes under which the whole model is there
    unused: tuple[str, ...]  # the file's tensors that the model has no place for


def fit(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], where: str) -> Fitted:
    """Find the model's tensors `wanted` among the file's.

    Of all prefixes (`''`, `state_dict.`, `ema.backbone.`) that one is taken under which most of the model's names lie, and
    of these most with their shapes; of several equals the first in `ORDER`; those that it does not tell apart are refused.
    Raises ModelError, beginning with `where`, where weights are missing, misshapen or no floating-point numbers.
    """
    stored = unwrapped(tensors, wanted)
    needed = {name for name in wanted if _needed(name)}
    ranked = _ranked_prefixes(stored, wanted, needed)
    prefix = ranked[0][1]
    found = {name: stored[prefix + name] for name in wanted if prefix + name in stored}
    misfits = _misfits(found, wanted, prefix)
    if misfits:
        raise ModelError(_account(misfits, found, wanted, stored, prefix, where))
    whole = [other for score, other in ranked if score == ranked[0][0]]
    if len(whole) > 1 and _place(whole[0]) == _place(whole[1]):
        raise ModelError(f"{where}: the file holds it more than once, under {_quoted(whole)}; save one of them alone")
    unused = tuple(name for name in stored if not name.startswith(prefix) or name[len(prefix) :] not in wanted)
    return Fitted(found, prefix, tuple(whole[1:]), tuple(filter(_needed, unused)))


def unwrapped(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without the wrappers' segments in their names, unless the model has such segments or names collide."""
    droppable = WRAPPERS - {segment for name in wanted for segment in name.split(".")}
    names = [".".join(segment for segment in name.split(".") if segment not in droppable) for name in tensors]
    if len(set(names)) < len(names):
        return dict(tensors)
    return dict(zip(names, tensors.values(), strict=True))


def _needed(name: str) -> bool:
    """Whether a file must hold it: everything but the step counter of a batch norm, which evaluation does not read."""
    return name.rpartition(".")[2] != "num_batches_tracked"


def _place(prefix: str) -> tuple[int, ...]:
    """Where a prefix stands in ORDER, segment by segment."""
    segments = prefix.rstrip(".").split(".")
    return tuple(ORDER.index(segment) if segment in ORDER else len(ORDER) for segment in segments)


def _ranked_prefixes(stored: Mapping[str, Tensor], wanted: Mapping[str, Tensor], needed: set[str]) -> list[tuple[Score, str]]:
    """((how many names are there, how many with their shapes), prefix), best first; equals by ORDER, then as in the file."""
    by_shape: Counter[str] = Counter({"": 0})
    by_name: Counter[str] = Counter({"": 0})
    for key, tensor in stored.items():
        starts = [0, *(place + 1 for place, letter in enumerate(key) if letter == ".")]
        for start in starts:
            if key[start:] in needed:
                by_name[key[:start]] += 1
                by_shape[key[:start]] += tensor.shape == wanted[key[start:]].shape
    best = sorted(by_name, key=lambda prefix: (-by_name[prefix], -by_shape[prefix], _place(prefix)))
    return [((by_name[prefix], by_shape[prefix]), prefix) for prefix in best]


def _misfits(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], prefix: str) -> dict[str, str]:
    """Name -> why it cannot be loaded: 'missing', 'misshapen', or a sentence on its numbers."""
    # A file may hold a tensor that the model uses under two names only once, as safetensors does.
    there = {id(wanted[name]) for name in found}
    misfits = {}
    for name, own in wanted.items():
        if name not in found:
            if _needed(name) and id(own) not in there:
                misfits[name] = "missing"
        elif found[name].shape != own.shape:
            misfits[name] = "misshapen"
        elif reason := _unreadable_numbers(name, found[name], own):
            misfits[name] = reason
    return misfits


def _unreadable_numbers(name: str, stored: Tensor, own: Tensor) -> str:
    """Why the stored numbers cannot become the model's, or ''."""
    kind = str(stored.dtype).removeprefix("torch.")
    if stored.is_quantized or stored.layout != torch.strided:
        return f"it is {'quantized' if stored.is_quantized else 'sparse'} ({kind}); save it as a plain float tensor"
    if own.is_floating_point() and stored.dtype not in FLOATS:
        return f"it holds {kind} numbers where the model has weights; float16, bfloat16, float32 and float64 are read"
    if not own.is_floating_point() and stored.is_complex():
        return f"it holds {kind} numbers where the model has whole ones"
    if own.is_floating_point() or stored.dtype not in FLOATS or not _needed(name):
        return ""
    # A whole state dict turned to half precision turns its indices too.
    whole = bool((stored == stored.round()).all())
    return "" if whole else f"it holds fractions ({kind}) where the model has whole numbers"


def _account(
    misfits: Mapping[str, str],
    found: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    stored: Mapping[str, Tensor],
    prefix: str,
    where: str,
) -> str:
    """The message: counts on one line, then the first ten misfits, each on its own."""
    counts = Counter(reason if reason in ("missing", "misshapen") else "unreadable" for reason in misfits.values())
    said = ", ".join(f"{count} {what}" for what, count in counts.items())
    read = f" (read under '{prefix}')" if prefix else ""
    lines = [f"{where}: of its {sum(map(_needed, wanted))} tensors {said}{read}"]
    unused = {name: tensor for name, tensor in stored.items() if name.removeprefix(prefix) not in found}
    for name in list(misfits)[:LISTED]:
        lines.append("  " + _misfit_line(name, misfits[name], found.get(name), wanted[name], unused))
    if len(misfits) > LISTED:
        lines.append(f"  and {len(misfits) - LISTED} more")
    return "\n".join(lines)


def _misfit_line(name: str, reason: str, stored: Tensor | None, own: Tensor, unused: Mapping[str, Tensor]) -> str:
    if reason == "misshapen" and stored is not None:
        return f"misshapen '{name}': the model has {list(own.shape)}, the file {list(stored.shape)}"
    if reason != "missing":
        return f"'{name}': {reason}"
    near = _nearest(name, own, unused)
    return f"missing '{name}' {list(own.shape)}; " + (f"nearest in the file: {near}" if near else "nothing like it in the file")


def _nearest(name: str, own: Tensor, unused: Mapping[str, Tensor]) -> str:
    """Up to two of the file's unused names, those of the same shape first."""
    same = [key for key, tensor in unused.items() if tensor.shape == own.shape]
    close = difflib.get_close_matches(name, same, 2, 0.4) or difflib.get_close_matches(name, list(unused), 2, 0.5)
    return ", ".join(f"'{key}' {list(unused[key].shape)}" for key in close)


def _quoted(names: list[str]) -> str:
    return " and ".join(f"'{name}'" for name in names[:3])
