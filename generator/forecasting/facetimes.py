"""How long the faces will take that are not made yet and take long: a small part of the same work, timed and kept.

Feature visualizations: a few steps of one batch of a layer's neurons. Dataset examples: a few batches of the pictures, and the
tiles cut from a few of those. What a build that was stopped has done of them already counts as done. On a CPU all times are of
the processor; on a GPU they are of the clock.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from generator.errors import ModelError
from generator.forecasting.sampling import SampleStore
from generator.keeping.code import code_digest
from generator.keeping.store import key_of
from generator.picturing import STATE, FaceTask, examples_options, looks_options, subject_of

if TYPE_CHECKING:
    import torch

    from generator.context.examples import Run, Sheet
    from generator.context.visualize import Studio

STEPS = 8  # of a batch that are timed
WARM = 2  # neurons that are worked on for a step beforehand, so that what is done but once is done
SPENT = 0.5  # seconds after which no further step is begun; a batch whose step takes longer is cut down to fit
PICTURES = 3  # batches of pictures that are timed
LOOKED = 1.0  # seconds that they may take together, so far as the first of all can tell
CUT = 8  # pictures that tiles are cut from
WORDS = {"looks": "feature visualizations", "examples": "dataset examples"}  # the fields of LayerFacts that take long
USUAL = 80  # steps: with no more, no batch that was tried (bundled network, ResNet-20, SqueezeNet) ended early; beyond, most do


class Tile(NamedTuple):
    """How large the examples of a layer will be, in pixels."""

    address: str
    rows: int
    cols: int


class FaceTime(NamedTuple):
    """What is left to do of a task."""

    seconds: float
    begun: bool  # whether a part of it is kept
    gpu: bool  # whether the time is that of a GPU, which works at one task at a time
    tiles: tuple[Tile, ...] = ()  # of examples, those of every layer


class FaceTimes(NamedTuple):
    """What is left to do of the faces of a model that take long."""

    seconds: float
    threaded: float  # of them, those that as many threads share as there are processors, however many processes there are
    longest: float  # of them, those of the task that takes longest of all that one process does alone; on a GPU of all such
    at_most: bool  # whether it may well be less
    kept: tuple[str, ...]  # the faces of which some, or parts, are kept and not counted, in words
    tiles: tuple[Tile, ...]  # of examples that are not made yet


def face_times(found: Sequence[tuple[FaceTask, FaceTime]], kept: Collection[str]) -> FaceTimes:
    """All tasks of a model together; `kept`: fields of LayerFacts of which some results are there."""
    looks = [one for task, one in found if task.field == "looks"]
    begun = {*kept, *(task.field for task, one in found if one.begun)}
    return FaceTimes(
        seconds=sum(one.seconds for _, one in found),
        threaded=sum(one.seconds for task, one in found if task.field == "examples"),
        longest=max([sum(one.seconds for one in looks if one.gpu), *(one.seconds for one in looks)]),
        at_most=any(task.field == "looks" and task.faces.visualization.steps > USUAL for task, _ in found),
        kept=tuple(word for field, word in WORDS.items() if field in begun),
        tiles=tuple(tile for _, one in found for tile in one.tiles),
    )


def face_time(task: FaceTask) -> FaceTime:
    """How long the visualizations or the examples take that a task, of which nothing is finished, is to make.

    Raises:
        ModelError, ImagesError: as a build would.
    """
    store, key = SampleStore(task.cache), time_key(task)
    measured, left = (_looks, _looks_left) if task.field == "looks" else (_examples, _examples_left)
    if not store.has(key):
        try:
            store.put(key, measured(task))
        except ModelError as error:
            raise ModelError(f"{task.model.name}: {error}") from error
    return left(task.cache / STATE, *store.get(key, trusted=True))


def time_key(task: FaceTask) -> str:
    """Of what was measured of a task."""
    return key_of(what="time", of=[each.key for each in task.wanted], code=code_digest("generator.forecasting.facetimes"))


def _clock(device: torch.device) -> Callable[[], float]:
    """Tells the time that work on a device takes, once that is finished."""
    if device.type == "cpu":
        return time.process_time
    import torch

    def now() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


# -- feature visualizations -----------------------------------------------------------------------------------------------


def _looks(task: FaceTask) -> tuple[Any, ...]:
    """As `_looks_left` takes it."""
    from generator.context.visualize import keyed_batches, open_studio

    subject, (wanted,), batches = subject_of(task), task.wanted, []
    for options in looks_options(task.faces.visualization):
        began = time.process_time()
        studio = open_studio(subject, wanted.address, options)
        opening = time.process_time() - began
        batches += [(key, len(units)) for key, units in keyed_batches(subject, studio, wanted.address, range(wanted.neurons))]
    each = _ascent(studio, range(wanted.neurons)[: batches[0][1]])
    return studio.device.type != "cpu", opening, each, tuple(batches)


def _looks_left(folder: Path, gpu: bool, opening: float, each: float, batches: Sequence[tuple[str, int]]) -> FaceTime:
    """`opening`: seconds for the studio; `each`: for a neuron of a batch; the batches with their keys."""
    from generator.context.kept import read_kept

    left = [units for key, units in batches if read_kept(folder, key, ()) is None]
    return FaceTime(opening + each * sum(left), len(left) < len(batches), gpu)


def _ascent(studio: Studio, units: Sequence[int]) -> float:
    """Seconds for all steps of a batch of neurons, by the neuron."""
    from generator.context.visualize import climb, developed

    now = _clock(studio.device)
    began = now()
    deque(islice(climb(studio, list(units[:WARM])), 2), 0)
    fit = int(WARM * SPENT / max(1e-9, now() - began))
    few = list(units[: max(WARM, fit)])
    steps = climb(studio, few)
    stands, took = next(steps), [0.0]
    began = now()
    while len(took) <= min(STEPS, studio.options.steps) and sum(took) < SPENT:
        stands = next(steps)
        took.append(now() - began)
        began = now()
    developed(studio, stands)
    return (studio.options.steps * median(took[1:]) + now() - began) / len(few)


# -- dataset examples -----------------------------------------------------------------------------------------------------


def _examples(task: FaceTask) -> tuple[Any, ...]:
    """As `_examples_left` takes it."""
    from generator.context.decoding import quiet_pillow
    from generator.context.examples import open_run
    from generator.context.images import open_images

    subject, addresses = subject_of(task), [each.address for each in task.wanted]
    began, options = time.process_time(), examples_options(task.faces.images)
    with open_images(Path(task.place), task.faces.images.count or None) as images, quiet_pillow():
        run = open_run(subject, addresses, images, options, None, 1)
        opening = time.process_time() - began
        batch, cutting, tiles = _passed(run)
    return run.watch.device.type != "cpu", opening + cutting, batch, run.batch, len(images.names), run.key, tiles


def _examples_left(
    folder: Path, gpu: bool, once: float, each: float, batch: int, pictures: int, key: str, tiles: Sequence[Sequence[Any]]
) -> FaceTime:
    """`once`: seconds to open the pictures and to cut the tiles; `each`: for a batch of so many of the pictures."""
    from generator.context.kept import read_kept

    kept = read_kept(folder, key, ("done",))
    done = int(kept["done"]) if kept else 0
    seconds = once + each * math.ceil((pictures - done) / batch)
    return FaceTime(seconds, done > 0, gpu, tuple(Tile(*one) for one in tiles))


def _passed(run: Run) -> tuple[float, float, tuple[tuple[str, int, int], ...]]:
    """Seconds for a batch of pictures, and for cutting the tiles from all of them; these, as `Tile` names them."""
    from generator.context.examples import count_all, hold_some, layer_sheets

    now, every = _clock(run.watch.device), math.ceil(len(run.images.names) / run.batch)
    began = now()
    count_all(_of_few(run, 1), run.batch, _nothing)  # what is done but once is done
    more = max(1, min(PICTURES, every, int(LOOKED / max(1e-9, now() - began))))
    few, began = _of_few(run, more), now()
    tally, refused = count_all(few, run.batch, _nothing)
    batch = (now() - began) / more
    if more == every:
        hold_some(few.images, refused)
    sheets = layer_sheets(few, tally)
    cutting = _cutting(few, sheets, len(run.images.names))
    return batch, cutting, tuple((sheet.address, *sheet.size) for sheet in sheets)


def _cutting(run: Run, sheets: list[Sheet], pictures: int) -> float:
    """Seconds to cut the tiles of all layers from so many pictures, told from a run over a few of them."""
    from generator.context.examples import cut_picture, jobs_of, room_for

    jobs = list(islice(jobs_of(sheets), CUT))
    if not jobs:
        return 0.0
    began = time.process_time()
    for job in jobs:
        run.read(job.number)
    middle = time.process_time()
    with room_for(run, sheets) as tiles:
        for job in jobs:
            cut_picture(run, sheets, tiles, job)
    reading, cutting = middle - began, time.process_time() - middle
    tile = max(0.0, cutting - reading) / sum(len(places) for job in jobs for _, places in job.places)
    wanted = sum(run.neurons) * min(pictures, run.options.top + run.options.spread)
    shown = pictures * (1 - math.exp(-wanted / pictures))  # as if each neuron had drawn its own
    return shown * reading / len(jobs) + wanted * tile


def _of_few(run: Run, batches: int) -> Run:
    """The run as if there were no pictures but so many batches, taken evenly from all of them."""
    names, count = run.images.names, min(len(run.images.names), batches * run.batch)
    few = tuple(names[number * len(names) // count] for number in range(count))
    return replace(run, images=replace(run.images, names=few))


def _nothing(_: int) -> None:
    """Nobody is told."""
