"""The one door for YAML: `atlas.yaml` in, a frozen `Spec` out, or every mistake at once with its line and column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, PrivateAttr, StrictBool, StrictInt, StrictStr, ValidationError, WithJsonSchema
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from generator.errors import SpecError, nearest
from generator.facespec import FacesSpec
from generator.globs import fits
from generator.mistakes import mistakes
from generator.positions import Loc, Positions, Problem, compose
from generator.values import (
    EVERY,
    SOURCE,
    Argument,
    Beside,
    Bytes,
    Licence,
    Line,
    Lines,
    Means,
    Name,
    Neurons,
    Part,
    Seconds,
    SiteUrl,
    Size,
    Source,
    Stds,
    WeightsOf,
    units_among,
    units_beyond,
)

BUNDLED = "tiny-inception"  # what the bundled network is called where no spec names it
LESS = "ask for fewer examples (images: top, spread), or fewer or smaller visualizations (visualization: images, size)"


class NormalizeSpec(Part):
    """How an image, 0 to 1 in every channel, is brought to the scale that a network reads: (image - mean) / std."""

    mean: Means = Field(description="Taken from the image, 0 to 1: a number, or one for each channel (red, green, blue).")
    std: Stds = Field(
        description="What is left is divided by it, above 0: a number, or one for each channel. For a network that reads "
        "0..255 it is 0.00392157, which is 1/255."
    )


def _as_they_are(value: object) -> object:
    """'none' leaves images as they are."""
    if value != "none" and not isinstance(value, (dict, NormalizeSpec)):
        expected = "'none' or a mapping of mean and std: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"
        raise PydanticCustomError("expected", "{expected}", {"expected": expected})
    return {"mean": 0, "std": 1} if value == "none" else value


_NORMALIZE = {"anyOf": [{"enum": ["none"]}, NormalizeSpec.model_json_schema()]}


class ModelSpec(Part):
    """One model of the atlas: where it comes from and which of its layers and neurons get pages."""

    name: Name = Field(
        description="Name of the model on the pages and of its folder in the site: letters, digits, '.', '_' and '-'."
    )
    source: Source = Field(
        description="'bundled' (the network that comes with the program), 'torchvision:googlenet', or "
        "'package.module:callable' of your own; the module may be a file beside this one.",
        examples=["bundled", "torchvision:googlenet", "nets:small"],
    )
    weights: WeightsOf = Field(
        default="",
        description="A checkpoint file (path relative to this one), the name of torchvision's weights ('DEFAULT', "
        "'IMAGENET1K_V1'; downloaded once), or 'none' to keep the numbers the source makes. A torchvision source needs it; "
        "'bundled' has its own; a callable keeps what it made.",
        examples=["DEFAULT", "IMAGENET1K_V1", "none", "runs/best.pth"],
    )
    arguments: dict[Argument, Any] = Field(
        default={}, description="Keyword arguments for the callable; only with a 'package.module:callable' source."
    )
    layers: Lines = Field(
        default=("auto",),
        description="The layers with pages: addresses as `atlas layers` prints them, globs such as 'layer*.*' ('*' within "
        "a name, '**' across dots), or 'auto'.",
        examples=["auto", ["conv1", "layer*.*"]],
    )
    neurons: Neurons = Field(
        default={EVERY: ((0, None),)},
        description="The neurons with pages: 'all', a list of units and ranges ([3, '8-15']) for every layer, or a mapping "
        "from layer address or glob to such a list. The first pattern that fits a layer counts; where none fits, all have one.",
        json_schema_extra={"default": "all"},
        examples=["all", ["0-15"], {"layer1.*": "all", "layer4.*": ["0-63", 100]}],
    )
    input_size: Size = Field(
        default=(),
        description="Size of the input picture: pixels of a square (224), [rows, cols] or [channels, rows, cols]. "
        "Without it the source's own.",
        examples=[224, [192, 256], [1, 28, 28]],
    )
    normalize: Annotated[NormalizeSpec | None, BeforeValidator(_as_they_are), WithJsonSchema(_NORMALIZE)] = Field(
        default=None,
        description="How the model's images were normalized in training, for visualizations that are made and for dataset "
        "examples: what is taken from each channel of an image in 0..1 and what it is then divided by, or 'none' for images as "
        "they are. Without it the source's own: torchvision's for its names, that of the bundled network; a callable has none, "
        "so images go in as they are. Weights and their pictures do not depend on it.",
        examples=["none", {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}, {"mean": 0.5, "std": 0.5}],
    )
    faces: FacesSpec = Field(
        default=FacesSpec(), description="The faces of this model's neurons, where they are to differ from those of the atlas."
    )
    _at: Loc = PrivateAttr(default=())
    _positions: Positions = PrivateAttr(default_factory=Positions)

    @property
    def kind(self) -> Literal["bundled", "torchvision", "callable"]:
        """Which sort of source this is."""
        if self.source == "bundled":
            return "bundled"
        return "torchvision" if self.source.startswith("torchvision:") else "callable"

    def files(self, folder: Path) -> Iterator[Path]:
        """What the model comes from in its spec's folder: its checkpoint, and the file or the folder of its module."""
        if (folder / self.weights).is_file():
            yield folder / self.weights
        if self.kind == "callable":
            top = self.source.partition(":")[0].partition(".")[0]
            yield from (place for place in (folder / f"{top}.py", folder / top) if place.exists())

    def problem(self, loc: Loc, text: str) -> str:
        """One line on something of this model: `model.problem(("layers", 2), "...")`."""
        return self._positions.line((*self._at, *loc), text)

    def neurons_of(self, address: str, count: int) -> tuple[int, ...]:
        """The chosen units of a layer of `count` neurons, ascending.

        A pattern for several layers may name a range that is longer than a layer: it is cut at the layer's end.
        Raises SpecError where a unit is not in the layer.
        """
        pattern = next((each for each in self.neurons if fits(address, each)), None)
        if pattern is None:
            return tuple(range(count))
        problems = list(self._outside(pattern, address, count))
        if problems:
            raise SpecError(problems)
        return tuple(sorted(units_among(self.neurons[pattern], count)))

    def misfits(self, channels: int) -> Iterator[str]:
        """A line for each part of `normalize` that is for another number of channels than the model reads."""
        for key in ("mean", "std") if self.normalize else ():
            count = len(getattr(self.normalize, key))
            if count not in (1, channels):
                each = "" if channels == 1 else f" or {channels}"
                text = f"found {count} numbers, expected 1{each}: {self.name} reads {channels} channel{'s' * (channels != 1)}"
                yield self.problem(("normalize", key), text)

    def check_neurons(self, counts: Mapping[str, int]) -> None:
        """Hold `neurons` against the chosen layers, address -> neurons; raises SpecError with every mistake."""
        problems = []
        for pattern in self.neurons:
            if pattern != EVERY and not any(fits(address, pattern) for address in counts):
                text = f"found '{pattern}', expected one of the chosen layers{nearest(pattern, counts)}"
                problems.append(self.problem(("neurons", pattern), text))
        for address, count in counts.items():
            try:
                self.neurons_of(address, count)
            except SpecError as error:
                problems.extend(error.problems)
        if problems:
            raise SpecError(problems)

    def _outside(self, pattern: str, address: str, count: int) -> Iterator[str]:
        """A line for each unit or range of a pattern that does not lie in the layer."""
        for index, text in units_beyond(self.neurons[pattern], address, count, pattern == address):
            yield self.problem(("neurons", pattern, index), text)


class NmfSpec(Part):
    """How a neuron's weights become a picture."""

    factors: Annotated[StrictInt, Field(ge=1, le=3)] = Field(
        default=3, description="Factors of a picture, 1 to 3: they are drawn in red, green and blue."
    )
    method: Literal["semi-nmf", "posneg"] = Field(
        default="semi-nmf",
        description="'semi-nmf' minimizes the error on the weights themselves; 'posneg' factors positive and negative parts "
        "side by side, as Lucid and Captum do, for comparison.",
    )
    side: Literal["positions", "inputs"] = Field(
        default="positions",
        description="The side that is kept non-negative: 'positions' (a map and a signed mix of inputs) or 'inputs' "
        "(a mix of inputs and a signed map).",
    )
    seed: Annotated[StrictInt, Field(ge=0, le=2**32 - 1)] = Field(
        default=0, description="Seed of everything that is drawn at random."
    )


class ConnectionsSpec(Part):
    """The tables of the largest connections."""

    show: Annotated[StrictInt, Field(ge=1, le=200)] = Field(
        default=20, description="Rows of a table: the largest connections of a neuron with one layer, 1 to 200."
    )
    scale_by_source: StrictBool = Field(
        default=False, description="Multiply each connection by the scale of its source's own batch norm before ranking."
    )


class OutputSpec(Part):
    """Where the site goes."""

    folder: Line = Field(
        default="site", description="Folder of the site, relative to this file; `atlas build -o` overrides it."
    )


class CacheSpec(Part):
    """Where results are kept, so that a later build computes only what has changed."""

    folder: Line = Field(default=".atlas-cache", description="Folder of what is kept, relative to this file.")
    limit: Bytes = Field(
        default=10 * 10**9,
        description="What the folder may hold; beyond it the oldest results are thrown away.",
        examples=["10 GB"],
    )
    address: StrictStr = Field(
        default="",
        description="A shared place of what is kept, as fsspec writes it, for builds on several machines.",
        examples=["s3://bucket/atlas-cache"],
    )


class BudgetSpec(Part):
    """What a build may take: `atlas plan` ends with an error past it. Where nothing is said a limit is 0: none."""

    bytes: Bytes = Field(default=0, description="Bytes of the site; without it no limit.", examples=["1 GB"])
    files: Annotated[StrictInt, Field(ge=1)] = Field(default=0, description="Files of the site; without it no limit.")
    seconds: Seconds = Field(
        default=0, description="Time of a build from nothing; without it no limit.", examples=["10 minutes"]
    )
    memory: Bytes = Field(default=0, description="Memory of a build at its peak; without it no limit.", examples=["1.2 GB"])


class Spec(Part):
    """An atlas: its title, its models and how to draw them."""

    title: Line = Field(description="Title of the atlas, one line.")
    description: StrictStr = Field(default="", description="What the atlas shows, plain text.")
    authors: Lines = Field(default=(), description="Who made the atlas: a name or a list of names.")
    licence: Licence = Field(
        default="", description="Licence of the site's content, for example an SPDX name.", examples=["CC-BY-4.0"]
    )
    site_url: SiteUrl = Field(
        default="", description="Absolute http(s) address at which the site will be published; not needed to look at it."
    )
    families: Beside = Field(
        default="", description="A YAML file of families, relative to this one: named groups of neurons, each with a page."
    )
    notes: Beside = Field(
        default="",
        description="A folder of notes in Markdown, relative to this file: MODEL/LAYER.md on a layer, MODEL/LAYER/UNIT.md on a "
        "neuron.",
    )
    templates: Beside = Field(
        default="", description="A folder of templates, relative to this file; each stands in for ours of the same name."
    )
    static: Beside = Field(
        default="",
        description="A folder of style sheets, scripts and pictures, relative to this file. theme.css is put after ours, so it "
        "need only set what is to change; any other file stands in for ours of the same name or is added.",
    )
    oembed: Lines = Field(
        default=(),
        description="Layers (addresses or globs) whose neurons get oEmbed files, for hosts that ask for them; needs site_url.",
        examples=[["mixed*"]],
    )
    models: tuple[ModelSpec, ...] = Field(min_length=1, description="The models of the atlas, one or more.")
    nmf: NmfSpec = Field(default=NmfSpec(), description="How a neuron's weights become a picture.")
    connections: ConnectionsSpec = Field(default=ConnectionsSpec(), description="The tables of the largest connections.")
    faces: FacesSpec = Field(default=FacesSpec(), description="The faces of every neuron: pictures that say what it is.")
    pages: Literal["per-neuron", "per-layer"] = Field(
        default="per-neuron",
        description="'per-neuron' makes a page for every neuron; 'per-layer' one for every layer, with its neurons on it, for "
        "hosts that limit the number of files.",
    )
    output: OutputSpec = Field(default=OutputSpec(), description="Where the site goes.")
    cache: CacheSpec = Field(default=CacheSpec(), description="Where results are kept between builds.")
    budget: BudgetSpec = Field(default=BudgetSpec(), description="Limits that `atlas plan` holds the site against.")
    _path: Path = PrivateAttr(default=Path("atlas.yaml"))
    _positions: Positions = PrivateAttr(default_factory=Positions)

    @property
    def folder(self) -> Path:
        """The folder the spec is in: relative paths in it are relative to this."""
        return self._path.parent

    def beside(self, key: Literal["families", "notes", "templates", "static"]) -> Path:
        """The file or the folder that a key names; raises SpecError where there is none."""
        named, kind = getattr(self, key), "file" if key == "families" else "folder"
        path = self.folder / named
        if path.is_file() if kind == "file" else path.is_dir():
            return path
        text = f"found '{named}', expected a {kind} that is there{nearest(named, _relatives(self.folder, kind))}"
        raise SpecError([self.problem((key,), text)])

    def faces_of(self, model: ModelSpec) -> FacesSpec:
        """The faces of a model's neurons: its own keys, and those of the atlas where it has none."""
        return model.faces.over(self.faces)

    def faces_place(self, model: ModelSpec, key: Literal["images", "pictures"]) -> Path:
        """The file or folder that a key of a model's faces names, as far as it is the same for all neurons.

        Raises SpecError where there is none.
        """
        named = getattr(self.faces_of(model), key).path
        place = self.folder / named
        fixed = self.folder / named.partition("{")[0].rpartition("/")[0] if "{" in named else place
        if fixed.exists():
            return place
        text = f"found '{named}', expected a file or folder that is there"
        hint = nearest(named, [*_relatives(self.folder, "file"), *_relatives(self.folder, "folder")])
        teller = model if key in model.faces.model_fields_set else self
        raise SpecError([teller.problem(("faces", key), text + hint)])

    def check_faces(self, chosen: Mapping[str, Iterable[str]]) -> None:
        """Hold the layers named under `faces` against the chosen ones, name of the model -> addresses.

        Raises SpecError with every pattern that fits none.
        """
        every = dict.fromkeys(address for addresses in chosen.values() for address in addresses)
        problems = [self.problem(("faces", "layers", pattern), text) for pattern, text in self.faces.beyond(every)]
        for model in self.models:
            unknown = model.faces.beyond(chosen[model.name])
            problems += [model.problem(("faces", "layers", pattern), text) for pattern, text in unknown]
        if problems:
            raise SpecError(problems)

    def past_faces(self, found: Mapping[str, int], about: str = "") -> list[str]:
        """A line for each model whose faces take more than they may; `found`: bytes of a neuron on average, by model."""
        lines = []
        for model in self.models:
            own, most = found.get(model.name, 0), self.faces_of(model).bytes
            if own > most:
                text = f"found {about}{own:,} bytes a neuron in {model.name} at the lowest quality, expected at most {most:,}"
                teller = model if "bytes" in model.faces.model_fields_set else self
                lines.append(teller.problem(("faces", "bytes"), f"{text}; {LESS}"))
        return lines

    def problem(self, loc: Loc, text: str) -> str:
        """One line `file:line:column: key: text`; the nearest position that is in the file."""
        return self._positions.line(loc, text)


def _relatives(folder: Path, kind: str) -> list[str]:
    """Files or folders that a spec in this folder could have meant, two levels down."""
    found = [*folder.glob("*"), *folder.glob("*/*")]
    return [each.relative_to(folder).as_posix() for each in found if each.is_file() == (kind == "file")]


def load_spec(path: Path | str) -> Spec:
    """Read and validate a spec; raises SpecError with every mistake in it, in the order of the file."""
    data, positions, problems = compose(path)
    spec = None
    try:
        spec = Spec.model_validate(data)
    except ValidationError as error:
        problems += mistakes(error.errors(include_url=False), positions, _keys)
    problems += _across(data, positions)
    if spec is None or problems:
        raise SpecError(positions.in_order(problems))
    spec._path, spec._positions = Path(path), positions
    for index, model in enumerate(spec.models):
        model._at, model._positions = ("models", index), positions
    return spec


def lone_model(source: str, weights: str = "") -> ModelSpec:
    """A model that no file describes: of a source, with its own weights unless others are given; raises SpecError."""
    name = re.sub(r"\W+", "-", source.rpartition(":")[2]).strip("-_") or "model"
    try:
        given = {"name": BUNDLED if source == "bundled" else name, "source": source}
        return ModelSpec.model_validate(given | {"weights": weights} if weights else given)
    except ValidationError as error:
        raise SpecError(Positions().in_order(mistakes(error.errors(include_url=False), Positions(), _keys))) from None


def _keys(loc: Loc) -> dict[str, FieldInfo]:
    """The keys of the mapping that a path of the spec lies in."""
    part: type[Part] = Spec
    for step in loc[:-1]:
        kind = part.model_fields[step].annotation if isinstance(step, str) else part
        part = next((each for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, Part)), part)
    return part.model_fields


def _across(data: Any, positions: Positions) -> Iterator[Problem]:
    """What one field says against another; also where other fields are wrong, so that every mistake is told at once."""
    if isinstance(data, dict) and "oembed" in data and "site_url" not in data:
        yield Problem(("oembed",), "found layers, expected them only with a site_url: oEmbed needs absolute addresses")
    models = data.get("models") if isinstance(data, dict) else None
    seen: dict[str, str] = {}
    for index, model in enumerate(models if isinstance(models, list) else []):
        if not isinstance(model, dict):
            continue
        yield from (Problem(("models", index, *loc), text) for loc, text in _within(model))
        name = model.get("name")
        if isinstance(name, str):
            if name.lower() in seen:
                text = (
                    f"found '{name}', expected a name unlike that of another model ('{seen[name.lower()]}'), also in lower case"
                )
                yield Problem(("models", index, "name"), text)
            seen.setdefault(name.lower(), name)


def _within(model: dict[str, Any]) -> Iterator[tuple[Loc, str]]:
    source = model.get("source")
    if not isinstance(source, str) or not SOURCE.fullmatch(source):
        return
    if source.startswith("torchvision:") and "weights" not in model:
        yield ("weights",), "missing, expected 'DEFAULT' (torchvision's own, downloaded once), a checkpoint file or 'none'"
    if (source == "bundled" or source.startswith("torchvision:")) and "arguments" in model:
        yield ("arguments",), f"found arguments for '{source}', expected them only with a 'package.module:callable' source"


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a spec, for the YAML language server and the like."""
    schema = _tidied(Spec.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Weight atlas spec (atlas.yaml)"}


def _tidied(schema: Any) -> Any:
    """Without what pydantic adds that says nothing: titles made from the keys, empty defaults."""
    if isinstance(schema, list):
        return [_tidied(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    said = {key: value for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    return {key: _tidied(value) for key, value in said.items() if not (key == "default" and value in ("", [], {}, None))}
