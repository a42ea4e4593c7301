"""Pictures of neurons that the user has already: found by a path with places for layer and unit, or by a table.

A picture that is missing or cannot be read is listed and never stops a build, nor does a row of a table for no neuron; a table
that cannot be understood is a mistake.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any, NamedTuple

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

FIRST = 3  # of many things that are wrong so many are named


class Row(NamedTuple):
    """What a table says of a neuron."""

    file: str
    at: str  # where it says so: file:line, or file:line:column


Table = Mapping[tuple[str, int], Row]  # by layer and unit, in the order of the file


@dataclass(frozen=True)
class Places:
    """Where the pictures of a model are."""

    folder: Path  # that paths are relative to
    pattern: str = ""  # with {model}, {layer} and {unit}
    table: Table | None = None  # in place of a pattern
    model: str = ""

    def of(self, address: str, unit: int) -> str:
        """Path of the picture of a neuron; '' where the table has none."""
        if self.table is not None:
            row = self.table.get((address, unit))
            return row.file if row else ""
        values: dict[str, str | int] = {"model": self.model, "layer": address, "unit": unit}
        return SLOT.sub(lambda slot: f"{values[slot[1]]:0{slot[2]}}" if slot[2] else str(values[slot[1]]), self.pattern)

    def files(self) -> list[Path]:
        """Every file that may be a picture of some neuron."""
        if self.table is not None:
            return [self.folder / row.file for row in self.table.values()]
        around = [escape(part) for part in SLOT.split(self.pattern)[:: SLOT.groups + 1]]
        return sorted(self.folder.glob(re.sub(r"\*{2,}", "*", "*".join(around))))


def places_of(place: Path, model: str = "") -> Places:
    """Where a path with {unit} in it, or a table, says that pictures are.

    A table is a .csv or .tsv file with the columns layer, unit and file, or a .yaml file `layer: {unit: file}`; its paths are
    relative to it, those of a path to the folder above the first part with braces. Raises SpecError with every mistake in it.
    """
    ending = place.suffix.lower()
    if ending not in TABLES or "{" in place.name:
        depth = next(number for number, part in enumerate(place.parts) if "{" in part)
        return Places(Path(*place.parts[:depth]), "/".join(place.parts[depth:]), None, model)
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
    table: dict[tuple[str, int], Row] = {}
    problems = []
    for line, row in rows:
        layer, unit, file = ((row[head.index(name)].strip() if head.index(name) < len(row) else "") for name in COLUMNS)
        wrong = flaw(layer, unit, file) or ("found this neuron twice" if (layer, int(unit)) in table else "")
        if wrong:
            problems.append(f"{path}:{line}: {wrong}")
        else:
            table[layer, int(unit)] = Row(file, f"{path}:{line}")
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
                line, column = positions.key_point((layer, unit))
                table[layer, int(unit)] = Row(text, f"{path}:{line}:{column}")
    if problems:
        raise SpecError(positions.in_order(problems))
    return table


# -- what is not as it should be ------------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """A model that pictures are given for."""

    name: str
    neurons: Mapping[str, int]  # of every layer it has
    shown: Mapping[str, Sequence[int]]  # units with a page, of every layer that shows pictures


def remarks(place: Path, models: Sequence[Asked]) -> Iterator[str]:
    """What is to be said of the pictures that a spec names for some models, a line each: rows for neurons none of them has,
    pictures that are not there. Raises SpecError as `places_of`.
    """
    table = places_of(place).table
    yield from _of_pattern(place, models) if table is None else _of_table(place, table, models)


def _of_table(place: Path, table: Table, models: Sequence[Asked]) -> Iterator[str]:
    neurons: dict[str, int] = {}
    for model in models:
        neurons |= {layer: max(count, neurons.get(layer, 0)) for layer, count in model.neurons.items()}
    wrong = {key: text for key in table if (text := _stray(*key, neurons))}
    if wrong:
        told = _named([f"{table[key].at} ({text})" for key, text in wrong.items()])
        yield f"{place}: {_of(len(wrong), len(table), 'row')} for no neuron: {told}"
    right = [row for key, row in table.items() if key not in wrong]
    gone = [f"{row.at} ({row.file})" for row in right if not (place.parent / row.file).exists()]
    if gone:
        yield f"{place}: {_of(len(gone), len(right), 'picture')} not there: {_named(gone)}"


def _stray(layer: str, unit: int, neurons: Mapping[str, int]) -> str:
    """Why a row is for no neuron; '' where it is for one."""
    if layer not in neurons:
        return f"no layer '{layer}'{nearest(layer, neurons, 1)}"
    count = neurons[layer]
    return "" if unit < count else f"unit {unit}, but {layer} has {count} neurons: 0 to {count - 1}"


def _of_pattern(place: Path, models: Sequence[Asked]) -> Iterator[str]:
    missing, sought = [], 0
    for model in models:
        places, prefix = places_of(place, model.name), f"{model.name}/" if len(models) > 1 else ""
        for layer, units in model.shown.items():
            sought += len(units)
            missing += [
                (f"{prefix}{layer}:{unit}", name)
                for unit in map(int, units)
                if not (places.folder / (name := places.of(layer, unit))).exists()
            ]
    if missing and len(missing) == sought:
        neuron, name = missing[0]
        yield f"{place}: fits no file; of {neuron} it is {places.folder / name}"
    elif missing:
        yield f"{place}: {_of(len(missing), sought, 'neuron')} without a picture: {_named([neuron for neuron, _ in missing])}"


def unreadable(found: Sequence[Given | None]) -> str:
    """A line on the pictures that cannot be read, of some layers; '' for none."""
    files = [f"{name} {reason}" for given in found if given for name, reason in given.unreadable]
    return f"{len(files):,} given picture{'s' * (len(files) > 1)} cannot be read: {_named(files)}" if files else ""


def _of(count: int, whole: int, what: str) -> str:
    """'1 of 12 rows is', '3 of 12 rows are'."""
    return f"{count:,} of {whole:,} {what}{'s' * (whole > 1)} {'is' if count == 1 else 'are'}"


def _named(all_of_them: Sequence[str]) -> str:
    """The first of many, and how many more there are."""
    more = len(all_of_them) - FIRST
    return ", ".join(all_of_them[:FIRST]) + (f" and {more:,} more" if more > 0 else "")


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
    digest = hashlib.sha256(f"{places.folder}\n".encode())
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
