"""Dataset examples: the pictures that every neuron responds to most, some from across its range, and how it responds to all.

One pass over the pictures; of each neuron only a few numbers are kept meanwhile (`tallies`), so memory does not grow with the
pictures, and what is done so far can be written down in a moment. The crops are cut afterwards, from the winning pictures
alone, read once more: they would be a hundred times as large as the numbers, and most of those cut on the way would be thrown
away. Batches are of fixed pictures and each is computed by one thread, so the same bytes come out of any number of threads.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from generator.context import crops, tallies
from generator.context.decoding import MOST_PIXELS, Unreadable, fitted, quiet_pillow
from generator.context.images import Images
from generator.context.kept import keep, key_of, read_kept
from generator.context.receptive import reaches, unit_reaches
from generator.context.tallies import Tally
from generator.context.visualize import Subject
from generator.context.watching import Watch, open_watch, pictures_at_once
from generator.errors import ImagesError
from generator.graph import Graph
from generator.records import Examples

VERSION = 1  # of the method: what was kept by another is made anew
FLOATS = 4 * 2**20  # of the widest tensor of a batch; several as wide are held at a time, by every thread
NAMED = 20  # pictures that were refused, by name, in the record; the others are counted

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ExampleOptions:
    """How examples are found: all that decides them beside the subject, the layers, the pictures and the device."""

    top: int = 9  # examples of each neuron: those with the largest activation
    spread: int = 6  # more, from across its range
    bins: int = 32  # of the histogram, two at least; it uses about half of them or more
    side: int = 32  # pixels of a tile, at most
    short: int | None = None  # pixels of a picture's short side before its centre is cut out; None for no more than needed
    batch: int = 64  # pictures at a time, at most
    seed: int = 0
    most: int = MOST_PIXELS  # of one picture


@dataclass(frozen=True)
class Source:
    """What is said of the pictures where they are shown."""

    credit: str = ""
    licence: str = ""


def collect_examples(
    subject: Subject,
    addresses: Sequence[str],
    images: Images,
    options: ExampleOptions | None = None,
    folder: Path | None = None,
    source: Source | None = None,
    on_images: Callable[[int], object] = lambda count: None,
    threads: int | None = None,
    every: int = 1024,
) -> dict[str, Examples]:
    """Examples for every neuron of some layers, on a GPU where there is one.

    Args:
        subject: the model.
        addresses: of the layers.
        images: as `open_images` gives them.
        options: how they are found.
        folder: for what is done so far, and for the tiles, which are then memory-mapped; a run that is begun again goes on from
            there. None keeps everything in memory.
        source: who made the pictures, and their licence.
        on_images: told how many more pictures have been looked at, refused ones included.
        threads: as many as there are processors unless given.
        every: pictures between two writings of what is done so far.

    Returns:
        The record of every layer, by its address.

    Raises:
        LayerError: there is no such layer.
        ModelError: the model does not read pictures.
        ImagesError: none of the pictures can be used, or they changed meanwhile.
    """
    run = open_run(subject, addresses, images, options or ExampleOptions(), folder, threads or processors())
    with quiet_pillow(), one_thread_each():
        tally, refused = count_all(run, every, on_images)
        hold_some(images, refused)
        return cut_all(run, tally, [*images.refused, *refused], source or Source())


def hold_some(images: Images, refused: Sequence[tuple[str, str]]) -> None:
    """Raises ImagesError where none of the pictures is left."""
    if len(refused) == len(images.names):
        raise ImagesError(f"none of {len(refused):,} pictures can be used; {refused[0][0]} {refused[0][1]}")


# -- what a run needs -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A model, the layers that are watched, and the pictures."""

    graph: Graph
    watch: Watch
    addresses: tuple[str, ...]
    images: Images
    options: ExampleOptions
    size: tuple[int, int]  # rows, cols of a picture as the network reads it
    ground: tuple[int, int, int]  # the colour that the network reads as zero
    batch: int
    folder: Path | None
    key: str
    threads: int

    @property
    def neurons(self) -> list[int]:
        """Of every layer."""
        return [self.graph.site(address).neurons for address in self.addresses]

    @property
    def rectified(self) -> np.ndarray:
        """bool `[unit]`: whether an activation ends the unit's layer."""
        ends = [self.graph.site(address).end is not self.graph.site(address).start for address in self.addresses]
        return np.repeat(ends, self.neurons)

    def read(self, number: int) -> tuple[np.ndarray, str]:
        """A picture as the network reads it, and what has to be said of it. Raises Unreadable."""
        content = self.images.read(self.images.names[number])
        return fitted(content, self.size, self.options.short, self.watch.channels == 1, self.options.most)


def open_run(
    subject: Subject, addresses: Sequence[str], images: Images, options: ExampleOptions, folder: Path | None, threads: int
) -> Run:
    """Make ready. Raises LayerError, ModelError."""
    graph = subject.graph
    watch = open_watch(graph, addresses, subject.mean, subject.std)
    _, rows, cols = graph.traced.shapes[graph.traced.input]
    batch = pictures_at_once(graph, options.batch, FLOATS)
    told = {
        "version": VERSION,
        "weights": subject.weights,
        "network": [watch.network.code, str(watch.network)],
        "layers": list(addresses),
        "images": [images.identity, len(images.names)],
        "options": asdict(options),
        "size": [rows, cols, batch],
        "normalization": [subject.mean, subject.std],
        "device": [watch.device.type, str(torch.__version__)],
    }
    mean = [round(255 * part) for part in (subject.mean or (0.0,))]
    ground = (mean[0], mean[-1 if len(mean) < 3 else 1], mean[-1])
    return Run(graph, watch, tuple(addresses), images, options, (rows, cols), ground, batch, folder, key_of(told), threads)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Inside, torch computes with the thread that asks, and threads started inside do too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_order(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """The results of work done by several threads, in the order of the items; no more than two each are waiting."""
    with ThreadPoolExecutor(threads, "examples", torch.set_num_threads, (1,)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for late in waiting:
                late.cancel()


# -- the pass -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counted:
    """What one batch gave."""

    numbers: np.ndarray  # int32 [image]: those that could be read
    values: np.ndarray  # float32 [image, unit]
    positions: np.ndarray  # int32 [image, unit]
    refused: tuple[tuple[str, str], ...]
    pictures: int  # refused ones included


def count_all(run: Run, every: int, on_images: Callable[[int], object]) -> tuple[Tally, list[tuple[str, str]]]:
    """The tally of all pictures, and those that could not be read; goes on from what was kept."""
    tally, done, refused = resume(run)
    on_images(done)
    starts = range(done, len(run.images.names), run.batch)
    kept = done
    for counted in in_order(lambda start: count_batch(run, start), starts, run.threads):
        tallies.add(tally, counted.values, counted.positions, counted.numbers, run.options.seed, run.rectified)
        refused += counted.refused
        done += counted.pictures
        if done - kept >= every or done == len(run.images.names):
            write_down(run, tally, done, refused)
            kept = done
        on_images(counted.pictures)
    return tally, refused


def count_batch(run: Run, start: int) -> Counted:
    """Read a batch of pictures and see what every neuron makes of them."""
    # Always as many, blank where there is none: how sums are rounded may depend on the size of a batch.
    pictures = np.zeros((run.batch, *run.size, 3), np.uint8)
    numbers, refused = [], []
    stop = min(start + run.batch, len(run.images.names))
    for number in range(start, stop):
        try:
            pictures[number - start] = run.read(number)[0]
            numbers.append(number)
        except Unreadable as reason:
            refused.append((run.images.names[number], str(reason)))
    values, positions = run.watch.peaks(pictures)
    found = np.array(numbers, np.int32)
    return Counted(found, values[found - start], positions[found - start], tuple(refused), stop - start)


def resume(run: Run) -> tuple[Tally, int, list[tuple[str, str]]]:
    """What is done so far: the tally, how many pictures it holds, those that could not be read."""
    blank = tallies.empty(sum(run.neurons), run.options.top, run.options.bins)
    kept = read_kept(run.folder, run.key, (*tallies.NAMES, "done", "refused"))
    if kept is None or any(kept[name].shape != getattr(blank, name).shape for name in tallies.NAMES):
        return blank, 0, []
    refused = [(str(name), str(reason)) for name, reason in kept["refused"].reshape(-1, 2)]
    return Tally(**{name: kept[name] for name in tallies.NAMES}), int(kept["done"]), refused


def write_down(run: Run, tally: Tally, done: int, refused: list[tuple[str, str]]) -> None:
    """Keep what is done so far."""
    told = np.array(refused, dtype=np.str_).reshape(-1, 2)
    arrays = {name: getattr(tally, name) for name in tallies.NAMES}
    keep(run.folder, run.key, {**arrays, "done": np.array(done), "refused": told})


# -- the record -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """The examples of one layer, and of which parts of pictures its tiles are cut."""

    address: str
    units: slice  # of the tally
    values: np.ndarray  # float32 [unit, rank]: the largest first, then those from across the range
    numbers: np.ndarray  # int32 [unit, rank]: of pictures; -1 for none
    positions: np.ndarray  # int32 [unit, rank]
    windows: np.ndarray  # int32 [unit, rank, edge]
    size: tuple[int, int]  # rows, cols of a tile


def cut_all(run: Run, tally: Tally, refused: list[tuple[str, str]], source: Source) -> dict[str, Examples]:
    """The record of every layer, with the tiles of all the pictures that are shown."""
    sheets = layer_sheets(run, tally)
    remarks: dict[int, str] = {}
    with room_for(run, sheets) as tiles:
        for number, note in in_order(lambda job: cut_picture(run, sheets, tiles, job), jobs_of(sheets), run.threads):
            remarks |= {number: note} if note else {}
        cut = zip(sheets, tiles.finished(), strict=True)
    return {sheet.address: record(run, tally, sheet, own, refused, remarks, source) for sheet, own in cut}


def room_for(run: Run, sheets: list[Sheet]) -> crops.Tiles:
    """Where the tiles of all layers are put."""
    path = None if run.folder is None else run.folder / f"{run.key}.tiles"
    return crops.Tiles([(*sheet.numbers.shape, *sheet.size, 3) for sheet in sheets], path)


def layer_sheets(run: Run, tally: Tally) -> list[Sheet]:
    """The examples of every layer."""
    found, sheets, start = reaches(run.graph), [], 0
    drawn = tallies.across(tally, run.options.spread)
    top = np.where(tally.top_images >= 0, tally.top_values, np.nan).astype(np.float32)
    chosen = [np.concatenate(pair, 1) for pair in zip((top, tally.top_images, tally.top_positions), drawn, strict=True)]
    for address in run.addresses:
        site = run.graph.site(address)
        units = slice(start, start + site.neurons)
        start = units.stop
        values, numbers, positions = (each[units] for each in chosen)
        parts, cols = list(unit_reaches(run.graph, site, found)), crops.map_cols(site)
        seen = crops.windows(parts, positions, run.size, cols)
        size = crops.tile_size(seen, run.options.side)
        sheets.append(Sheet(address, units, values, numbers, positions, seen, size))
    return sheets


@dataclass(frozen=True)
class Job:
    """The tiles that are cut from one picture."""

    number: int
    places: tuple[tuple[int, np.ndarray], ...]  # (sheet, int [tile, (unit, rank)])


def jobs_of(sheets: list[Sheet]) -> Iterator[Job]:
    """One job for every picture that is shown anywhere, in their order."""
    by_sheet = [np.argsort(sheet.numbers, axis=None, kind="stable") for sheet in sheets]
    ordered = [sheet.numbers.ravel()[order] for sheet, order in zip(sheets, by_sheet, strict=True)]
    wanted = np.unique(np.concatenate(ordered)) if ordered else np.zeros(0, np.int32)
    for number in wanted[wanted >= 0].tolist():
        places = []
        for which, (order, numbers) in enumerate(zip(by_sheet, ordered, strict=True)):
            first, last = np.searchsorted(numbers, [number, number + 1])
            if last > first:
                places.append((which, np.stack(np.unravel_index(order[first:last], sheets[which].numbers.shape), -1)))
        yield Job(number, tuple(places))


def cut_picture(run: Run, sheets: list[Sheet], tiles: crops.Tiles, job: Job) -> tuple[int, str]:
    """Cut all tiles of one picture, each window once; gives its number and what has to be said of it."""
    try:
        picture, note = run.read(job.number)
    except Unreadable as reason:
        raise ImagesError(f"{run.images.names[job.number]}: changed while it was looked at: {reason}") from None
    made: dict[tuple[int, ...], np.ndarray] = {}
    for which, places in job.places:
        sheet = sheets[which]
        for unit, rank in places.tolist():
            window = sheet.windows[unit, rank].tolist()
            key = (*sheet.size, *window)
            if key not in made:
                made[key] = crops.tile(picture, window, sheet.size, run.ground)
            tiles.put(which, unit, rank, made[key])
    return job.number, note


def record(
    run: Run,
    tally: Tally,
    sheet: Sheet,
    tiles: np.ndarray,
    refused: list[tuple[str, str]],
    remarks: dict[int, str],
    source: Source,
) -> Examples:
    """Everything that is known of one layer's examples."""
    here, there = sheet.units, sheet.numbers >= 0
    used = np.unique(sheet.numbers[there])
    places = np.stack(np.divmod(sheet.positions, crops.map_cols(run.graph.site(sheet.address))), -1)
    seen = len(run.images.names) + len(run.images.refused) - len(refused)
    width = np.ldexp(1.0, tally.exponent[here])
    return Examples(
        crops=tiles,
        activations=sheet.values,
        images=np.where(there, np.searchsorted(used, sheet.numbers), -1).astype(np.int32),
        positions=np.where(there[..., None], places, -1).astype(np.int32),
        boxes=np.where(there[..., None], crops.clipped(sheet.windows, run.size), 0).astype(np.int32),
        top=run.options.top,
        names=tuple(run.images.names[number] for number in used.tolist()),
        size=run.size,
        counts=tally.counts[here].copy(),
        first=(tally.first[here] * width).astype(np.float32),
        width=width.astype(np.float32),
        low=tally.low[here].copy(),
        high=tally.high[here].copy(),
        silent=tally.silent[here].copy(),
        seen=seen,
        refused=tuple(sorted(refused))[:NAMED],
        refused_count=len(refused),
        remarks=tuple((run.images.names[n], remarks[n]) for n in used.tolist() if n in remarks),
        notes=tuple(notes_on(tally, here, run.rectified, seen)),
        credit=source.credit,
        licence=source.licence,
    )


def notes_on(tally: Tally, units: slice, rectified: np.ndarray, seen: int) -> Iterator[str]:
    """What has to be said of each neuron; '' for nothing. Without an activation behind it, being below zero means nothing."""
    shut = rectified[units] & (tally.silent[units] == seen)
    for broken, silent in zip(tally.broken[units].tolist(), shut.tolist(), strict=True):
        if broken:
            yield f"its activation is no finite number on {broken:,} of {seen:,} pictures"
        else:
            yield f"it is active on none of {seen:,} pictures" if silent else ""
