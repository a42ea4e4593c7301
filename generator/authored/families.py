"""The file of families to named groups of neurons, or every mistake in it at once with its line and column.

Curve detectors:
  note: |
    Markdown, with [[mixed3b:379]] for links.
  neurons: {mixed3b: [379, '385-390'], 'mixed4*': [3]}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StrictStr, Tag, TypeAdapter, ValidationError, WithJsonSchema

from generator.addresses import family_file
from generator.authored.prose import Flaw, LayerPlace, Places, flaws
from generator.errors import SpecError, nearest
from generator.globs import fits
from generator.mistakes import mistakes
from generator.positions import Loc, Point, Positions, Problem, compose, found
from generator.records import Family, Members
from generator.values import FAMILY_NEURONS, FamilyName, UnitList, Units, units_among, units_beyond

Models = Mapping[str, Mapping[str, LayerPlace]]
ByLayer = dict[str, tuple[Units, ...]]
EXPECTED = "families by name: `Curve detectors: {neurons: {mixed3b: [379, '385-390']}}`"


_Entry = Annotated[
    Annotated[UnitList, Tag("[units]")] | Annotated[dict[str, UnitList], Tag("[layers]")],
    Discriminator(lambda value: "[layers]" if isinstance(value, dict) else "[units]"),
]


class FamilySpec(BaseModel):
    """One family, as its file says it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    note: StrictStr = Field(default="", description="What the family is, in Markdown, with [[layer:unit]] for links.")
    neurons: Annotated[dict[str, _Entry], Field(min_length=1), WithJsonSchema(FAMILY_NEURONS)] = Field(
        description="its neurons by layer or glob: {mixed3b: [379, '385-390']}; with several models by model and layer."
    )


def load_families(path: Path, models: Models) -> tuple[Family, ...]:
    """The families of a file, in its order, held against the layers of the models, which are in order too.

    Raises SpecError with every mistake: what cannot be read, unknown models, layers and neurons, names and pages that two
    families share, links in notes that lead nowhere.
    """
    data, positions, problems = compose(path, EXPECTED)
    reader = _Reader(models, positions)
    families = [reader.family(name, content) for name, content in data.items()]
    problems += reader.problems
    problems += [Problem((name,), text, positions.key_point((name,))) for name, text in _clashes(list(data), models)]
    places = Places(models, {name.lower(): family_file(name) for name in data})
    for name, content in data.items():
        problems += _astray(path, positions, name, content, places)
    if not data:
        problems.append(Problem((), f"found no family, expected {EXPECTED}"))
    if problems:
        raise SpecError(positions.in_order(problems))
    return tuple(family for family in families if family)


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a file of families, for the YAML language server and the like."""
    family = FamilySpec.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Families of a weight atlas",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {
            "type": "object",
            "description": family["description"],
            "additionalProperties": False,
            "properties": {key: _untitled(value) for key, value in family["properties"].items()},
            "required": family["required"],
        },
    }


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "title"}


class _Reader:
    """Reads one family after the other; keeps what is wrong with them."""

    def __init__(self, models: Models, positions: Positions) -> None:
        self.models, self.positions = models, positions
        self.problems: list[Problem] = []

    def family(self, name: str, content: Any) -> Family | None:
        """A family; None where something is wrong with it, which is then noted."""
        before = len(self.problems)
        try:
            _NAME.validate_python(name)
        except ValidationError as error:
            self._note((name, "[key]"), error)
        try:
            said = FamilySpec.model_validate(content)
        except ValidationError as error:
            self._note((name,), error)
            return None
        members = self._members(name, said)
        right = len(self.problems) == before
        return Family(name, family_file(name), said.note, members) if right else None

    def _note(self, at: Loc, error: ValidationError) -> None:
        errors = [{**each, "loc": (*at, *each["loc"])} for each in error.errors(include_url=False)]
        self.problems += mistakes(errors, self.positions, lambda _: FamilySpec.model_fields)  # type: ignore[arg-type]

    def _wrong(self, loc: Loc, text: str) -> None:
        """Note what is wrong with a key."""
        self.problems.append(Problem(loc, text, self.positions.key_point(loc)))

    def _members(self, name: str, said: FamilySpec) -> tuple[Members, ...]:
        """The neurons of a family in the order of models and layers, those of a layer as they are named."""
        chosen: dict[tuple[str, str], dict[int, None]] = {}
        for model, pattern, units, loc in self._entries((name, "neurons"), said):
            layers = self.models[model]
            fitting = {address: place.neurons for address, place in layers.items() if fits(address, pattern)}
            if not fitting:
                self._wrong(loc, f"found '{pattern}', expected a layer of the atlas{nearest(pattern, layers)}")
            for address, count in fitting.items():
                beyond = units_beyond(units, address, count, pattern == address)
                self.problems += [Problem((*loc, index), text) for index, text in beyond]
                chosen.setdefault((model, address), {}).update(dict.fromkeys(units_among(units, count)))
        order = [(model, address) for model, layers in self.models.items() for address in layers]
        return tuple(Members(*where, tuple(chosen[where])) for where in order if where in chosen)

    def _entries(self, at: Loc, said: FamilySpec) -> Iterator[tuple[str, str, tuple[Units, ...], Loc]]:
        """Model, pattern and units of every entry, and where it stands; the model may be left out where there is only one."""
        only = next(iter(self.models)) if len(self.models) == 1 else ""
        for key, value in said.neurons.items():
            if isinstance(value, dict) and key in self.models:
                yield from ((key, pattern, units, (*at, key, pattern)) for pattern, units in value.items())
            elif isinstance(value, dict):
                self._wrong((*at, key), f"found '{key}', expected a model of the atlas{nearest(key, self.models)}")
            elif only:
                yield only, key, value, (*at, key)
            else:
                models = ", ".join(self.models)
                self._wrong((*at, key), f"found '{key}', expected a model ({models}) with its layers below it")


_NAME: TypeAdapter[str] = TypeAdapter(FamilyName)


def _clashes(names: list[str], models: Models) -> Iterator[tuple[str, str]]:
    """Families that would share a page with another one or with the list of families, or a name with a layer."""
    layers = {address.lower() for of_model in models.values() for address in of_model}
    first: dict[str, str] = {}
    for name in names:
        file = family_file(name)
        if file == "index.html":
            yield name, f"found {found(name)}, expected another name: the list of families has this page"
        elif file in first:
            yield name, f"found {found(name)}, expected a name whose page ({file}) is not that of {found(first[file])}"
        elif name.lower() in layers:
            yield name, f"found {found(name)}, expected another name: a layer has this one"
        first.setdefault(file, name)


def _astray(path: Path, positions: Positions, name: str, content: Any, places: Places) -> Iterator[Problem]:
    """Links of a family's note that lead nowhere."""
    note = content.get("note") if isinstance(content, dict) else None
    if not isinstance(note, str):
        return
    for flaw in flaws(note, places):
        start, text = positions.find((name, "note"))[1], note.split("\n")[flaw.line - 1]
        yield Problem((name, "note"), flaw.text, _point(path, start, text, flaw))


def _point(path: Path, start: Point, text: str, flaw: Flaw) -> Point:
    """Where a place of a note stands in the file: exact in a block of text and in a single line, else where the note begins."""
    source = path.read_text("utf-8-sig").split("\n")
    block = source[start[0] - 1][start[1] - 1 :].startswith("|")
    row = start[0] + (flaw.line if block else 0)
    shift = source[row - 1].find(text, 0 if block else start[1] - 1) if row <= len(source) else -1
    return (row, shift + flaw.column) if shift >= 0 and (block or flaw.line == 1) else start
