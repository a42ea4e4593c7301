"""Pictures of neurons that the user has already: found by a path with places for layer and unit, or by a table.

A picture that is missing or cannot be read is listed and never stops a build; a table that cannot be understood is a mistake.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from generator.context.decoding import Unreadable, open_picture
from generator.context.images import MOST_BYTES, read_path, shortened_system
from generator.errors import SpecError, nearest
from generator.facespec import SLOT, TABLES
from generator.positions import Problem, compose
from generator.positions import found as told
from generator.records import Given

VERSION = 1
SIDE = 128  # pixels either way of a picture at most; a smaller one keeps its size
COLUMNS = ("layer", "unit", "file")
EXPECTED = "files by layer and unit: `mixed3b: {379: icons/curve.png}`"

Table = Mapping[tuple[str, int], str]


@dataclass(frozen=True)
class Places:
    """Where the pictures of a model are."""

    folder: Path  # that paths are relative to
    pattern: str = ""  # with {model}, {layer} and {unit}
    table: Table | None = None  # (layer, unit) -> path, in place of a pattern
    model: str = ""

    def of(self, address: str, unit: int) -> str:
        """Path of the picture of a neuron; '' where the table has none."""
        if self.table is not None:
            return self.table.get((address, unit), "")
        values: dict[str, str | int] = {"model": self.model, "layer": address, "unit": unit}
        return SLOT.sub(lambda slot: f"{values[slot[1]]:0{slot[2]}}" if slot[2] else str(values[slot[1]]), self.pattern)


def places_of(place: Path, model: str = "") -> Places:
    """Where a path with {unit} in it, or a table, says that pictures are.

    A table is a .csv or .tsv file with the columns layer, unit and file, or a .yaml file `layer: {unit: file}`; its paths are
    relative to it. Raises SpecError with every mistake in it.
    """
    ending = place.suffix.lower()
    if ending not in TABLES or "{" in place.name:
        return Places(Path(), place.as_posix(), None, model)
    return Places(place.parent, "", by_key(place) if ending in (".yaml", ".yml") else by_row(place), model)


def by_row(path: Path) -> Table:
    """A table with a row for each picture."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SpecError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise SpecError([f"{path}: found a byte that is not UTF-8, expected UTF-8 text"]) from None
    rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    try:
        head = [name.strip().lower() for name in next(rows, [])]
        missing = [name for name in COLUMNS if name not in head]
        if missing:
            near = nearest(missing[0], head)
            raise SpecError([f"{path}:1: found no column '{missing[0]}', expected the columns layer, unit and file{near}"])
        return checked(path, head, ((rows.line_num, row) for row in rows if any(cell.strip() for cell in row)))
    except csv.Error as error:
        raise SpecError([f"{path}:{rows.line_num}: not a table: {error}"]) from None


def checked(path: Path, head: Sequence[str], rows: Iterator[tuple[int, list[str]]]) -> Table:
    """The rows of a table, each with its line. Raises SpecError with every mistake."""
    table: dict[tuple[str, int], str] = {}
    problems = []
    for line, row in rows:
        layer, unit, file = ((row[head.index(name)].strip() if head.index(name) < len(row) else "") for name in COLUMNS)
        wrong = flaw(layer, unit, file) or ("found this neuron twice" if (layer, int(unit)) in table else "")
        if wrong:
            problems.append(f"{path}:{line}: {wrong}")
        else:
            table[layer, int(unit)] = file
    if problems:
        raise SpecError(problems)
    return table


def flaw(layer: str, unit: str, file: str) -> str:
    """What is wrong with a row; '' for nothing."""
    if not layer or not file:
        return f"found no {'file' if layer else 'layer'}, expected a layer, a unit and a file"
    return "" if unit.isascii() and unit.isdecimal() else f"found the unit '{unit}', expected a whole number"


def by_key(path: Path) -> Table:
    """A YAML file with a mapping for each layer."""
    data, positions, problems = compose(path, EXPECTED)
    table = {}
    for layer, units in data.items():
        if not isinstance(units, dict):
            problems.append(Problem((layer,), f"found {told(units)}, expected {EXPECTED}"))
            continue
        for unit, file in units.items():
            text = file if isinstance(file, str) else ""
            wrong = flaw(layer, unit, text)
            if wrong:
                problems.append(Problem((layer, unit), wrong, positions.key_point((layer, unit))))
            else:
                table[layer, int(unit)] = text
    if problems:
        raise SpecError(positions.in_order(problems))
    return table


# -- the pictures of a layer ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gathered:
    """What was found of a layer."""

    pictures: dict[int, np.ndarray]  # unit -> uint8 [row, col, RGB]
    missing: list[int]
    unreadable: list[tuple[str, str]]
    remarks: list[tuple[str, str]]


def given_pictures(
    places: Places, address: str, chosen: Sequence[int], neurons: int, licence: str = "", credit: str = ""
) -> Given | None:
    """The pictures of a layer's neurons; None where there is not one, nor one that cannot be read.

    Args:
        places: where they are.
        address: of the layer.
        chosen: the units that have a page; those alone are missed, and looked for.
        neurons: how many the layer has.
        licence: of the pictures.
        credit: who made them.
    """
    found = gathered(places, address, chosen)
    if not found.pictures and not found.unreadable:
        return None
    high, wide = (max((picture.shape[axis] for picture in found.pictures.values()), default=0) for axis in (0, 1))
    images, sizes = np.zeros((neurons, high, wide, 3), np.uint8), np.zeros((neurons, 2), np.int32)
    for unit, picture in found.pictures.items():
        sizes[unit] = picture.shape[:2]
        images[unit, : picture.shape[0], : picture.shape[1]] = picture
    return Given(
        images,
        sizes,
        sizes[:, 0] > 0,
        tuple(found.missing),
        tuple(found.unreadable),
        tuple(found.remarks),
        licence,
        credit,
    )


def gathered(places: Places, address: str, chosen: Sequence[int]) -> Gathered:
    """The pictures of some units."""
    found = Gathered({}, [], [], [])
    for unit in map(int, chosen):
        name = places.of(address, unit)
        if not name or not (places.folder / name).exists():
            found.missing.append(unit)
            continue
        try:
            found.pictures[unit], remark = picture_at(places.folder / name)
            found.remarks.extend([(name, remark)] if remark else [])
        except Unreadable as reason:
            found.unreadable.append((name, str(reason)))
    return found


def picture_at(path: Path) -> tuple[np.ndarray, str]:
    """A picture file of any sort, of SIDE pixels at most either way, and what has to be said of it. Raises Unreadable."""
    try:
        if not path.is_file():
            raise Unreadable("is not a file")
        content = read_path(str(path))
    except OSError as reason:
        raise Unreadable(f"cannot be read: {shortened_system(reason)}") from None
    if len(content) > MOST_BYTES:
        raise Unreadable(f"has more than {MOST_BYTES:,} bytes")
    picture, remark = open_picture(content)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.array(picture), remark


def identity(places: Places, address: str, chosen: Sequence[int]) -> str:
    """SHA-256 of what tells one lot of files from another: names, sizes and times; for what is kept between builds."""
    digest = hashlib.sha256()
    for unit in map(int, chosen):
        name = places.of(address, unit)
        digest.update(f"{unit}\0{name}\0{stamp(places.folder / name) if name else None}\n".encode())
    return digest.hexdigest()


def stamp(path: Path) -> Any:
    """Size and time of a file's last change; None where there is none."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_size, about.st_mtime_ns
