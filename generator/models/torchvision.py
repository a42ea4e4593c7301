"""Any classification or segmentation model of torchvision, and the backbone of any detector; the one door to torchvision."""

from __future__ import annotations

import hashlib
import re
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torchvision
from torch import nn
from torchvision import models

from generator.errors import ModelError, nearest
from generator.models.built import SEED, Built, ModelSpec, named_weights, seeded
from generator.models.checkpoints import SUFFIXES, Checkpoint, find_file, load_into, read_checkpoint

VERSION: str = torchvision.__version__
SIDE = 224  # pixels, where the weights say nothing else

SLOW_TO_START = ("googlenet", "inception_v3")  # unless told to leave out an initialization that torchvision itself gives up
HALVES = ((0.5,) * 3, (0.5,) * 3)  # mean and standard deviation that bring 0..1 to -1..1
HEADS = ("AuxLogits", "aux1", "aux2")  # they serve training only, and files often lack them


Scale = tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation, for each channel


class Made(NamedTuple):
    """A module as torchvision's code makes it."""

    module: nn.Module
    only_side: int | None  # in pixels, if it takes but one (transformers, SSD)
    scale: Scale | None  # that the architecture itself brings images to; None where its weights say


def names(kind: str = "") -> list[str]:
    """Every name there is, sorted; `kind` is 'classification', 'segmentation', 'detection' or '' for all."""
    modules = {"classification": models, "segmentation": models.segmentation, "detection": models.detection}
    return sorted(name for key, module in modules.items() if kind in ("", key) for name in models.list_models(module=module))


def load(spec: ModelSpec, folder: Path) -> Built:
    """Build `torchvision:NAME` with the weights of an enum name, of a local file, or none (random, seeded).

    Class names are an enum's own. A local file has none unless its name and digest are those of a published file: a thousand
    outputs need not be ImageNet's classes in torchvision's order. Raises ModelError.
    """
    name = spec.source.partition(":")[2]
    if name not in names():
        raise ModelError(f"torchvision has no classification, segmentation or detection model '{name}'{nearest(name, names())}")
    weights = models.get_model_weights(name)
    wanted = named_weights(spec)
    if wanted is None:
        return _described(build(name, None, spec.arguments), f"random (seed {SEED})", _default(weights))
    if _is_file(wanted, folder):
        return _with_file(name, spec, find_file(wanted, folder))
    if wanted not in weights.__members__:
        there = ", ".join(weights.__members__)
        raise ModelError(f"{name} has no weights '{wanted}'; there are {there}, or any {', '.join(SUFFIXES)} file")
    member = weights[wanted]
    return _named(_described(build(name, member, spec.arguments), member.name, member), name, member)


def build(name: str, member: models.WeightsEnum | None, arguments: dict[str, Any]) -> Made:
    """The module, and what it says itself of what it takes.

    Downloads only if a weights enum member (or an argument) asks for it. Raises ModelError.
    """
    options: dict[str, Any] = {"init_weights": False} if name in SLOW_TO_START else {}
    if name not in names("classification"):
        options["weights_backbone"] = None
    if member is not None:
        options["progress"] = sys.stderr.isatty()
    try:
        # The download's own words belong with the progress, not in a table that somebody pipes on.
        with seeded(), redirect_stdout(sys.stderr):
            module = models.get_model(name, weights=member, **(options | arguments))
    except Exception as error:
        if member is None and not arguments:
            raise
        raise ModelError(_why_not_built(name, member, error)) from error
    if name in names("detection"):
        own = module.transform  # stands before the backbone
        fixed = getattr(own, "fixed_size", None)
        return Made(module.backbone, fixed[0] if fixed else None, (tuple(own.image_mean), tuple(own.image_std)))
    return _without_training_parts(module, arguments)


def unfilled(name: str, arguments: dict[str, Any]) -> Made | None:
    """As `build` with random weights, but with room for them alone: memory that is not used before a file's numbers are there.

    None where the module holds numbers that a file does not, or one tensor under two names, or needs its numbers to be built.
    """
    try:
        with torch.device("meta"):
            made = build(name, None, arguments)
    except Exception:  # the ordinary way says what is wrong, if anything is
        return None
    module = made.module
    stored = [id(tensor) for tensor in module.state_dict(keep_vars=True).values()]
    held = [id(tensor) for _, tensor in (*module.named_parameters(), *module.named_buffers())]
    loose = any(isinstance(value, torch.Tensor) for part in module.modules() for value in vars(part).values())
    if loose or len(set(stored)) < len(stored) or set(stored) != set(held):
        return None
    module.to_empty(device="cpu")
    for key, buffer in module.named_buffers():
        if key.endswith("num_batches_tracked"):  # files may lack it
            buffer.zero_()
    return made


def _without_training_parts(module: Any, arguments: dict[str, Any]) -> Made:
    """The same layers whether weights came from an enum, a file or nowhere."""
    if getattr(module, "aux_classifier", None) is not None and not arguments.get("aux_loss"):
        module.aux_classifier = None
    if getattr(module, "aux_logits", False) and not arguments.get("aux_logits"):
        module.aux_logits = False
        for head in HEADS:
            setattr(module, head, None)
    # Set by the enums of googlenet and inception_v3: it brings colours from the scale of their transforms to -1..1, and is no
    # part of the weights. Without it the module is fed at the latter scale itself.
    scale = None
    if hasattr(module, "transform_input") and not arguments.get("transform_input"):
        module.transform_input, scale = False, HALVES
    return Made(module, getattr(module, "image_size", None), scale)


def _why_not_built(name: str, member: models.WeightsEnum | None, error: Exception) -> str:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0]
    downloading = isinstance(error, (OSError, HTTPException)) or "invalid hash value" in said
    if not downloading:
        return f"{name} cannot be built with these arguments: {said}"
    what = f"{member.name} of {name} ({member.url})" if member is not None else f"weights of {name}"
    return f"the download of {what} failed: {said}; a local file works too (weights: FILE.pth)"


def _is_file(weights: str, folder: Path) -> bool:
    return "/" in weights or "." in weights or (folder / weights).exists()


def _with_file(name: str, spec: ModelSpec, path: Path) -> Built:
    checkpoint = read_checkpoint(path)
    made = unfilled(name, spec.arguments) or build(name, None, spec.arguments)
    if name.startswith("densenet"):
        checkpoint = _densenet_keys(checkpoint)
    notes = load_into(made.module, checkpoint, f"{path.name} does not fit torchvision:{name}")
    member = _published(name, path)
    built = _described(made, path.name, member or _default(models.get_model_weights(name)))
    built = replace(built, notes=notes)
    return _named(built, name, member) if member else built


def _densenet_keys(checkpoint: Checkpoint) -> Checkpoint:
    """torchvision's published densenet files say `norm.1` and `conv.1` for what its modules call `norm1` and `conv1`."""
    old = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
    return replace(checkpoint, tensors={old.sub(r"\1\2", name): tensor for name, tensor in checkpoint.tensors.items()})


def _published(name: str, path: Path) -> models.WeightsEnum | None:
    """The enum member whose file this is, by its name and the digest in the name (`resnet18-f37072fd.pth`)."""
    for member in models.get_model_weights(name):
        file_name = member.url.rpartition("/")[2]
        digest = re.fullmatch(r".+-([0-9a-f]{8,})\.pth", file_name)
        if digest and file_name == path.name and _sha256(path).startswith(digest[1]):
            return member
    return None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _default(weights: type[models.WeightsEnum]) -> models.WeightsEnum | None:
    return getattr(weights, "DEFAULT", None)


def _described(made: Made, weights: str, member: models.WeightsEnum | None) -> Built:
    """The module with the input size and the normalization that `member` was made for, unless it takes but one of its own."""
    transforms = member.transforms() if member is not None else None
    crop = getattr(transforms, "crop_size", None)
    side = made.only_side or (crop[0] if crop else SIDE)
    said = (tuple(given) if (given := getattr(transforms, name, None)) else None for name in ("mean", "std"))
    mean, std = made.scale or said
    return Built(made.module, weights, (3, side, side), mean=mean, std=std)


def _named(built: Built, name: str, member: models.WeightsEnum) -> Built:
    """With the class names of the enum member, where the module still has its classifier."""
    categories = () if name in names("detection") else member.meta.get("categories") or ()  # None: of a trunk
    return replace(built, class_names=tuple(categories))
