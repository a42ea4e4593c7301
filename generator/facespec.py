"""What a spec says of the faces of neurons: which there are, in which order, how they are made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, StrictStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from generator.errors import nearest
from generator.globs import fits
from generator.values import Bytes, Line, Part

Face = Literal["weights", "pixels", "visualization", "examples", "picture"]
FACES: tuple[str, ...] = get_args(Face)
NONE = "none"
TABLES = (".csv", ".tsv", ".yaml", ".yml")  # files that say which neuron has which picture
SLOT = re.compile(r"\{(model|layer|unit)(?::0?(\d{1,2})d?)?\}")


def _refused(expected: str) -> PydanticCustomError:
    return PydanticCustomError("expected", "{expected}", {"expected": expected})


def _short(key: str, expected: str) -> BeforeValidator:
    """Text in place of a mapping is the value of one of its keys."""

    def read(value: object) -> object:
        if isinstance(value, str):
            return {key: value}
        if value is None or not isinstance(value, (dict, Part)):
            raise _refused(expected)
        return value

    return BeforeValidator(read)


def _place(value: str) -> str:
    """A file or folder with or without places for a layer and a unit."""
    if value == NONE or value.lower().endswith(TABLES):
        return value
    left = re.search(r"[{}]", SLOT.sub("", value))
    if left or "unit" not in (slot[1] for slot in SLOT.finditer(value)):
        raise _refused("a path with {unit} in it ('icons/{layer}/{unit}.png'), or a table: a .csv, .tsv or .yaml file")
    return value


def _in_order(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) < len(value):
        raise _refused("each face once")
    if "weights" not in value:
        raise _refused("'weights' among them: it stands in where a neuron has no other face")
    return value


def _chosen(value: object) -> object:
    words = {"all": list(FACES), NONE: []}
    return words.get(value, [value]) if isinstance(value, str) else value


class VisualizationSpec(Part):
    """Images that neurons respond to strongly, found by optimization."""

    kind: Literal["none", "bundled", "make"] = Field(
        default="bundled",
        description="'bundled' shows those that come with the model, if any do (they do with the bundled network alone); "
        "'make' makes them, which takes long; 'none' shows none.",
    )
    size: Annotated[StrictInt, Field(ge=16, le=512)] = Field(
        default=64,
        description="Pixels of an image either way, 16 to 512. A layer that runs on images of no other size than the model's "
        "own input, as those behind a flattened map do, gets images of that size.",
    )
    steps: Annotated[StrictInt, Field(ge=1, le=10_000)] = Field(
        default=80, description="Steps in which an image is improved, at most: it ends sooner where little is gained any more."
    )
    seed: Annotated[StrictInt, Field(ge=0, le=2**32 - 1)] = Field(
        default=0, description="Seed of everything that is drawn at random: another gives other images."
    )
    objective: Literal["channel", "centre"] = Field(
        default="channel",
        description="What an image is to make large: 'channel', the mean of the neuron's activation over its map, or "
        "'centre', its activation in the middle of the map.",
    )
    negative: StrictBool = Field(
        default=False, description="Whether to make also images that drive each neuron down, as many as drive it up."
    )
    images: Annotated[StrictInt, Field(ge=1, le=9)] = Field(
        default=1, description="Images that drive each neuron up, 1 to 9; several are made to be unlike each other."
    )


class ImagesSpec(Part):
    """Photographs to look through for what neurons respond to."""

    path: Line = Field(description="A folder or a zip file of images, relative to this file, or 'none'.")
    licence: StrictStr = Field(default="", description="Licence of the images, shown beside them.")
    credit: StrictStr = Field(default="", description="Who made the images, shown beside them.")
    count: Annotated[StrictInt, Field(ge=1)] = Field(
        default=0, description="How many of the images to look at, taken evenly from all of them; without it every one."
    )
    top: Annotated[StrictInt, Field(ge=1, le=50)] = Field(
        default=9, description="Examples of each neuron: the images with its largest activations, 1 to 50."
    )
    spread: Annotated[StrictInt, Field(ge=0, le=50)] = Field(
        default=6,
        description="Further examples of each neuron, drawn at random from equal parts of the range of its activations, 0 to "
        "50.",
    )


class PicturesSpec(Part):
    """Pictures of neurons that are there already."""

    path: Annotated[Line, AfterValidator(_place)] = Field(
        description="Where the pictures are, relative to this file: a path with {layer} and {unit} in it (and {model}; "
        "{unit:04} for leading zeros); or a table: a .csv or .tsv file with the columns layer, unit and file, or a .yaml file "
        "`layer: {unit: file}`, its files relative to it; or 'none'.",
        examples=["icons/{layer}/{unit}.png", "icons.csv"],
    )
    licence: StrictStr = Field(default="", description="Licence of the pictures, shown beside them.")
    credit: StrictStr = Field(default="", description="Who made the pictures, shown beside them.")


def _shown_as(part: type[Part], text: dict[str, Any]) -> WithJsonSchema:
    """The schema of a mapping for which text may stand."""
    return WithJsonSchema({"anyOf": [text, part.model_json_schema()]})


_SHORT_KIND = _short("kind", "'none', 'bundled', 'make' or a mapping of keys and values")
_SHORT_IMAGES = _short("path", "a folder, a zip file, 'none' or a mapping of keys and values")
_SHORT_PICTURES = _short("path", "a path with {unit} in it, a table, 'none' or a mapping of keys and values")
_KINDS = {"enum": ["none", "bundled", "make"]}
_SWITCH = {"anyOf": [{"enum": ["all", NONE, *FACES]}, {"type": "array", "items": {"enum": list(FACES)}}]}

_Visualization = Annotated[VisualizationSpec, _SHORT_KIND, _shown_as(VisualizationSpec, _KINDS)]
_Images = Annotated[ImagesSpec, _SHORT_IMAGES, _shown_as(ImagesSpec, {"type": "string"})]
_Pictures = Annotated[PicturesSpec, _SHORT_PICTURES, _shown_as(PicturesSpec, {"type": "string"})]
_Switch = Annotated[tuple[Face, ...], BeforeValidator(_chosen), WithJsonSchema(_SWITCH)]


class FacesSpec(Part):
    """Which faces neurons have, in which order, and how they are made."""

    order: Annotated[tuple[Face, ...], Field(min_length=1), AfterValidator(_in_order)] = Field(
        default=("weights", "pixels", "visualization", "examples", "picture"),
        description="The faces in their order on a page: the first that a neuron has stands for it in rows and grids; one "
        "that is left out is neither made nor shown. 'weights' must be among them: it stands in where a neuron has no other.",
    )
    layers: dict[str, _Switch] = Field(
        default={},
        description="Which faces some layers have: from layer address or glob to a list of faces, 'all', or 'none' for no "
        "picture at all; a list without 'weights' leaves their picture out too. A neuron that is left with no picture says so "
        "on its page, and has its number alone elsewhere. The first pattern that fits a layer counts; a layer that none fits "
        "has all.",
        examples=[{"layer4.*": ["weights", "visualization"], "fc": "none"}],
    )
    pixels: Literal["auto", "all", "none"] = Field(
        default="auto",
        description="The weights of a neuron on the pixels of the model's input, through all layers between: 'auto' for "
        "neurons that see at most 64 pixels either way, 'all' for every neuron, or 'none'.",
    )
    classes: Annotated[StrictInt, Field(ge=0, le=20)] = Field(
        default=5,
        description="How many classes to name that a neuron pushes up the most, and as many that it pushes down, where a mean "
        "over the map leads from its layer to the classes; 0 for none.",
    )
    visualization: _Visualization = Field(
        default=VisualizationSpec(),
        description="Feature visualizations, images made to drive a neuron: 'bundled' (those that come with the model), "
        "'make', 'none', or a mapping that says how to make them.",
        json_schema_extra={"default": "bundled"},
    )
    images: _Images = Field(
        default=ImagesSpec(path=NONE),
        description="Photographs in which to look for those that each neuron responds to most: a folder, a zip file, or a "
        "mapping that says more; 'none' for none.",
        json_schema_extra={"default": NONE},
    )
    pictures: _Pictures = Field(
        default=PicturesSpec(path=NONE),
        description="Pictures of neurons that are there already: a path with {layer} and {unit} in it, a table, or a mapping "
        "that says more; 'none' for none.",
        json_schema_extra={"default": NONE},
    )
    bytes: Bytes = Field(
        default=12 * 1024,
        description="Bytes that all faces of a neuron may take, on average: where those of a layer take more, their pictures "
        "are of a lower quality, or smaller.",
        examples=["12 KiB"],
    )

    def over(self, other: FacesSpec) -> FacesSpec:
        """What this says, and what another says where this says nothing; of visualizations key by key."""
        said = {key: getattr(self, key) for key in sorted(self.model_fields_set)}
        if "visualization" in said:
            own = said["visualization"]
            said["visualization"] = other.visualization.model_copy(update={k: getattr(own, k) for k in own.model_fields_set})
        return other.model_copy(update=said)

    def of(self, address: str) -> tuple[str, ...]:
        """The faces that a layer is to have, in their order, as far as the spec can tell: the model may lack some."""
        pattern = next((each for each in self.layers if fits(address, each)), None)
        wanted = FACES if pattern is None else self.layers[pattern]
        return tuple(face for face in self.order if face in wanted and face in self._on())

    def _on(self) -> set[str]:
        """The faces that are not switched off for all layers."""
        on = {
            "weights": True,
            "pixels": self.pixels != NONE,
            "visualization": self.visualization.kind != NONE,
            "examples": self.images.path != NONE,
            "picture": self.pictures.path != NONE,
        }
        return {face for face, there in on.items() if there}

    def beyond(self, addresses: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Every pattern of `layers` that fits none of the layers, and what to say of it."""
        known = list(addresses)
        for pattern in self.layers:
            if not any(fits(address, pattern) for address in known):
                yield pattern, f"found '{pattern}', expected one of the chosen layers{nearest(pattern, known)}"
