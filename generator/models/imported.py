"""Any `package.module:callable` of the user's own, installed or in a file beside the spec."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from generator.errors import ModelError, nearest
from generator.models.built import SEED, Built, ModelSpec, named_weights, seeded
from generator.models.checkpoints import load_file

SIDE = 224  # pixels, where the spec says nothing


def load(spec: ModelSpec, folder: Path) -> Built:
    """Call what the spec names, with its arguments; a weights file goes into the module it gives.

    The input has as many channels as the first convolution reads, and 224 x 224 pixels. Raises ModelError, also for whatever
    the user's code raises, with the line of that code.
    """
    with modules_beside(folder), seeded():
        module = _called(_found(spec.source, folder), spec, folder)
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(f"{spec.source} gave a TorchScript module, which cannot be traced; give the module it was made from")
    if not isinstance(module, nn.Module):
        raise ModelError(f"{spec.source} gave a {type(module).__name__}, not a torch.nn.Module")
    shape = (_channels(module), SIDE, SIDE)
    weights = named_weights(spec)
    if weights is None:
        return Built(module, f"as its code makes it (seed {SEED})", shape)
    name, notes = load_file(module, weights, folder, spec.source)
    return Built(module, name, shape, notes=notes)


@contextmanager
def modules_beside(folder: Path) -> Iterator[None]:
    """Inside, modules in `folder` can be imported by name, and go before others of that name.

    Afterwards they are forgotten, so that two specs may each have their own `nets.py`, and what was there before is back.
    """
    place = str(folder.resolve())
    beside = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    kept = {name: module for name, module in sys.modules.items() if _hidden(name, module, beside, place)}
    for name in kept:
        del sys.modules[name]
    before, bytecode = set(sys.modules), sys.dont_write_bytecode
    sys.path.insert(0, place)
    sys.dont_write_bytecode = True  # leaves no __pycache__ beside the user's file
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = bytecode
        if place in sys.path:
            sys.path.remove(place)
        for name in set(sys.modules) - before:
            if _lies_in(sys.modules[name], place):
                del sys.modules[name]
        sys.modules.update(kept)


def _hidden(name: str, module: ModuleType | None, beside: set[str], place: str) -> bool:
    """Whether an imported module stands in the way of a file in the folder. Python's own go first, as they do for scripts."""
    top = name.partition(".")[0]
    return top in beside and top not in sys.stdlib_module_names and not _lies_in(module, place)


def _lies_in(module: ModuleType | None, place: str) -> bool:
    where = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", ())]
    return any(Path(path).is_relative_to(place) for path in where if path)


def _found(source: str, folder: Path) -> Callable[..., Any]:
    module_name, _, attribute = source.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            beside = sorted(path.stem for path in folder.glob("*.py"))
            there = f"no module '{error.name}' is installed or lies in {folder}"
            raise ModelError(f"source '{source}': {there}{nearest(module_name, beside)}") from error
        raise ModelError(_blamed(source, error, folder)) from error
    except Exception as error:
        raise ModelError(_blamed(source, error, folder)) from error
    try:
        found = reduce(getattr, attribute.split("."), module)
    except AttributeError as error:
        public = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise ModelError(f"source '{source}': {module_name} has no '{attribute}'{nearest(attribute, public)}") from error
    if not callable(found) or isinstance(found, nn.Module):
        raise ModelError(f"source '{source}': is a {type(found).__name__}; name a class or function that makes the module")
    return found


def _called(make: Callable[..., Any], spec: ModelSpec, folder: Path) -> object:
    try:
        return make(**spec.arguments)
    except Exception as error:
        raise ModelError(_blamed(spec.source, error, folder)) from error


def _blamed(source: str, error: Exception, folder: Path) -> str:
    """One line on what the user's code raised, and where: its own innermost line, not one of a library it called."""
    frames = traceback.extract_tb(error.__traceback__)
    place = str(folder.resolve())
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(place)]
    at = f"{Path(own[-1].filename).name}:{own[-1].lineno}: " if own else ""
    said = (str(error).strip().splitlines() or [""])[0]
    return f"source '{source}' failed: {at}{type(error).__name__}: {said}"


def _channels(module: nn.Module) -> int:
    first = next((part for part in module.modules() if isinstance(part, nn.modules.conv._ConvNd)), None)
    return first.in_channels if first is not None else 3
