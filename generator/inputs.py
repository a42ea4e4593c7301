"""Everything a site depends on that can be told without opening a model: the spec, the files it names, the program."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from generator.facespec import NONE
from generator.keeping.code import PACKAGE, code_digest, program_digest
from generator.keeping.files import Digests, stamp_of
from generator.keeping.store import key_of
from generator.look import Look, beside
from generator.spec import ModelSpec, Spec

PLACE = ("cache", "budget", "output")  # keys of a spec that say where, how large and how fast, and not what


def site_inputs(spec: Spec, look: Look, only: str, digests: Digests) -> str:
    """A digest of everything the bytes of the site depend on."""
    return key_of(
        spec=_plain(spec),
        only=only,
        models=[model_inputs(model, spec.folder, digests) for model in spec.models],
        authored=digests.of_all(_authored(spec)),
        pictures=[pictures_of(spec, model) for model in spec.models],
        look=look_inputs(look, digests),
        program=program_digest(),
    )


def _plain(spec: Spec) -> dict[str, Any]:
    return spec.model_dump(mode="json", exclude=set(PLACE), warnings=False)


def model_inputs(model: ModelSpec, folder: Path, digests: Digests) -> str:
    """A digest of what a model is made of: its source, its arguments, its files, the code that opens it.

    A callable of the user's may read what it likes; its own module is told, or its package, and what lies beside the spec.
    """
    said = {"name", "source", "weights", "arguments", "input_size", "layers"}
    return key_of(
        model=model.model_dump(mode="json", include=said, warnings=False),
        files=digests.of_all(_files_of(model, folder)),
        folder=str(folder.resolve()) if model.kind == "callable" else "",
        package=str(PACKAGE),  # the bundled network's own files lie in it
        code=code_digest("generator.survey"),
    )


def _files_of(model: ModelSpec, folder: Path) -> Iterator[Path]:
    if model.kind == "bundled":
        yield from sorted((PACKAGE / "models" / "bundled").glob("*.*"))
    if (folder / model.weights).is_file():
        yield folder / model.weights
    if model.kind == "callable":
        yield from sorted(each for each in folder.glob("*.py"))
        yield from sorted(each.parent for each in folder.glob("*/__init__.py"))
        yield from _installed(model.source.partition(":")[0].partition(".")[0])


def _installed(module: str) -> Iterator[Path]:
    """The file or the folder of a module that is installed, without importing it."""
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return
    if found and found.origin and found.origin not in ("built-in", "frozen"):
        place = Path(found.origin)
        yield place.parent if place.name == "__init__.py" else place


def pictures_of(spec: Spec, model: ModelSpec) -> list[str]:
    """Stamps of the images and pictures that the spec names for a model's faces, where they are there."""
    faces, stamps = spec.faces_of(model), []
    if faces.images.path != NONE:
        stamps.append(stamp_of(spec.folder / faces.images.path))
    if faces.pictures.path != NONE:
        from generator.context.given import places_of

        place = spec.faces_place(model, "pictures")
        stamps += [f"{each} {stamp_of(each)}" for each in (place, *places_of(place, model.name).files())]
    return stamps


def look_inputs(look: Look, digests: Digests) -> list[tuple[str, str]]:
    """The templates and static files, ours and the user's."""
    own = [place for place in (look.templates, look.static) if place]
    return digests.of_all([beside("templates"), beside("static"), *own])


def _authored(spec: Spec) -> Iterator[Path]:
    for name in (spec.families, spec.notes):
        if name:
            yield spec.folder / name
