"""The network that comes with the program: trained by the project on Tiny-ImageNet, see MODEL_CARD.md."""

from __future__ import annotations

from pathlib import Path

from generator.errors import ModelError
from generator.models.built import Built, ModelSpec, named_weights, seeded
from generator.models.bundled.network import MEAN, SIDE, STD, TinyInception
from generator.models.checkpoints import load_file

HERE = Path(__file__).parent
WEIGHTS = "tiny_inception.safetensors"


def load(spec: ModelSpec, folder: Path) -> Built:
    """The bundled network with its own weights and class names, or with a file of your own training.

    A file of your own brings no class names: it does not say what it was trained on. Raises ModelError.
    """
    if spec.arguments:
        raise ModelError(f"the bundled network takes no arguments, found {', '.join(spec.arguments)}")
    with seeded():
        network = TinyInception()
    weights = named_weights(spec)
    if weights is not None:
        name, notes = load_file(network, weights, folder, spec.source)
        return Built(network, name, (3, SIDE, SIDE), notes=notes, mean=MEAN, std=STD)
    if not (HERE / WEIGHTS).is_file():
        raise ModelError(f"this installation lacks {WEIGHTS}; `python -m generator.models.bundled.train` makes it")
    name, notes = load_file(network, WEIGHTS, HERE, spec.source)
    return Built(network, name, (3, SIDE, SIDE), class_names(), notes, MEAN, STD, HERE / "visualizations")


def class_names() -> tuple[str, ...]:
    """What the classifier's units stand for, in their order, as WordNet has it: 'goldfish, Carassius auratus'."""
    rows = (HERE / "classes.tsv").read_text("utf-8").splitlines()
    return tuple(row.split("\t", 1)[1] for row in rows if row.strip())
