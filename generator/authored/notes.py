"""The folder of notes to what the user says of layers and neurons: `MODEL/LAYER.md` and `MODEL/LAYER/UNIT.md`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from generator.authored.prose import Places, flaws
from generator.errors import SpecError, nearest
from generator.records import Note

SUFFIX = ".md"


def load_notes(folder: Path, places: Places) -> tuple[Note, ...]:
    """The notes of a folder, by model, layer and unit, each as the layers and units are in order.

    Files that are not Markdown and those whose name begins with a dot are passed over, and so is a README.md at the top. Raises
    SpecError with every mistake: files that name no model, layer or neuron of the atlas, text that cannot be read, links that
    lead nowhere.
    """
    notes: list[Note] = []
    problems: list[str] = []
    for path in _files(folder):
        try:
            note = _note(path, path.relative_to(folder), places)
        except SpecError as error:
            problems += [f"{path}: {text}" for text in error.problems]
            continue
        problems += [f"{path}:{flaw.line}:{flaw.column}: {flaw.text}" for flaw in flaws(note.text, places, note.model)]
        notes.append(note)
    if problems:
        raise SpecError(problems)
    order = {(model, layer): at for model in places.models for at, layer in enumerate(places.models[model])}
    models = list(places.models)
    return tuple(
        sorted(
            notes, key=lambda one: (models.index(one.model), order[one.model, one.layer], -1 if one.unit is None else one.unit)
        )
    )


def _files(folder: Path) -> Iterator[Path]:
    """Every note of a folder."""
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        inside = path.relative_to(folder).parts
        if path.is_file() and inside != ("README.md",) and not any(part.startswith(".") for part in inside):
            yield path


def _note(path: Path, inside: Path, places: Places) -> Note:
    """One note. Raises SpecError where its name or its text is wrong."""
    model, *rest = inside.with_suffix("").parts
    if not rest or len(rest) > 2:
        raise SpecError([f"found {inside.as_posix()!r}, expected MODEL/LAYER.md or MODEL/LAYER/UNIT.md"])
    if model not in places.models:
        raise SpecError([f"found {model!r}, expected a model of the atlas{nearest(model, places.models)}"])
    layer, layers = rest[0], places.models[model]
    if layer not in layers:
        raise SpecError([f"found {layer!r}, expected a layer of {model} that has a page{nearest(layer, layers)}"])
    unit = None
    if len(rest) == 2:
        unit = _unit(rest[1], layer, layers[layer].neurons)
    return Note(model, layer, unit, _text(path), path.as_posix())


def _unit(name: str, layer: str, count: int) -> int:
    """The neuron that a file is about."""
    if not name.isascii() or not name.isdecimal() or str(int(name[:9])) != name or int(name) >= count:
        raise SpecError([f"found {name!r}, expected a unit of {layer}: 0 to {count - 1}"])
    return int(name)


def _text(path: Path) -> str:
    """What a note says."""
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise SpecError([f"found a byte that is not UTF-8 at place {error.start}, expected UTF-8 text"]) from None
    except OSError as error:
        raise SpecError([f"cannot be read: {error.strerror}"]) from None
    if not text.strip():
        raise SpecError(["found an empty file, expected Markdown"])
    return text
