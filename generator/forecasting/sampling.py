"""A few neurons of every layer, worked out as a build works out all of them: what they read, their pictures, their tables.

Which paths can be read, and what shape a kernel has, does not depend on the neuron; so a sample settles both for good.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from generator.analysis import LayerTask, analyse
from generator.interrupts import leaving_at_once
from generator.keeping.code import code_digest
from generator.keeping.store import Store, key_of
from generator.picturing import FaceTask, picture
from generator.records import Branch, Layer, LayerKeys, LayerPlan

FEW, MANY = 8, 32  # neurons of the two samples of a layer: what all of them take lies on the line through these
RUN = 8  # neurons that lie side by side in a sample, so that those of one group of a convolution are among them


class SampleStore(Store):
    """The results of samples, among those of builds in one folder: the same keys stand for other files."""

    def path(self, key: str) -> Path:
        """Where the file of a key is."""
        return super().path(key_of(what="sample", of=key))


@dataclass(frozen=True)
class SampleTask:
    """A layer to be sampled, by any process."""

    layer: LayerTask  # of all its neurons
    sizes: tuple[int, ...]  # of the samples


@dataclass(frozen=True)
class Sample:
    """What is known of some neurons of a layer."""

    units: tuple[int, ...]  # which these are, ascending
    keys: LayerKeys  # of what was worked out of them
    seconds: float  # of processor time that it took


class Opening(NamedTuple):
    """What a process takes to begin and to open the model, before it works anything out."""

    seconds: float = 0.0  # of processor time
    own: int = 0  # bytes of memory of its own; 0 where the system does not tell
    shared: int = 0  # bytes of memory that it shares with others of its kind: libraries


@dataclass(frozen=True)
class Sampled:
    """The samples of one layer, smallest first."""

    samples: tuple[Sample, ...]
    opening: Opening
    looks: str  # folder of the feature visualizations that its pages show, '' for none
    sha256: str  # of the weights that they must be of


def sample_sizes(neurons: int, rows: int) -> tuple[int, ...]:
    """Of a layer's samples, smallest first; one of all neurons where it has few. rows: of a table, which a sample must fill."""
    most = max(MANY, rows)
    return (FEW, most) if neurons > most else (neurons,)


def spread(neurons: int, size: int) -> tuple[int, ...]:
    """So many of a layer's neurons, in short runs over its whole range."""
    if size >= neurons:
        return tuple(range(neurons))
    run = min(RUN, max(1, size // 4))
    runs = -(-size // run)
    starts = [number * (neurons - run) // max(1, runs - 1) // run * run for number in range(runs)]
    found = sorted({start + step for start in starts for step in range(run)})
    left = (unit for unit in range(neurons) if unit not in set(found))
    return tuple(sorted([*found, *(next(left) for _ in range(size - len(found)))][:size]))


def sample(task: SampleTask) -> Sampled:
    """Work out the samples of one layer, as far as they are not kept yet.

    Raises:
        RefusedError: as a build would.
    """
    store, tasks = sample_store(task.layer), [_of_units(task.layer, size) for size in task.sizes]
    due = any(not store.has(_seconds_key(each)) for each in tasks)
    opening = _opened(task.layer, tasks[0], store) if due else _opening(task.layer, store)
    return Sampled(tuple(_sampled(each, store) for each in tasks), opening, task.layer.looks, task.layer.sha256)


def picture_timed(task: FaceTask) -> float:
    """Make the faces that are not kept yet, for good; returns the seconds of processor time that it took."""
    store, key = Store(task.cache), key_of(what="seconds", of=[each.key for each in task.wanted])
    seconds = _seconds(lambda: picture(task))
    if not store.has(key):
        store.put(key, seconds)
    return float(store.get(key, trusted=True))


def sample_store(task: LayerTask) -> Store:
    """Where the results of samples are kept: never at a place shared with other machines."""
    return SampleStore(task.cache)


def _of_units(task: LayerTask, size: int) -> LayerTask:
    """The task as if its layer had no neurons but a sample of them."""
    plan = task.plan
    units = spread(plan.layer.neurons, size)
    return replace(task, plan=narrowed(plan, units), units=units, looks="", address="")


def narrowed(plan: LayerPlan, units: Sequence[int]) -> LayerPlan:
    """A layer as if it had no neurons but some of its own."""
    return replace(
        plan,
        digest=key_of(of=plan.digest, units=units),
        layer=replace(plan.layer, neurons=len(units), branches=tuple(_branches(plan.layer, units))),
        labels=tuple(plan.labels[unit] for unit in units) if plan.labels else (),
    )


def _branches(layer: Layer, units: Sequence[int]) -> Iterator[Branch]:
    """The branches of a concat that some of its neurons are from, by the places of these."""
    for branch in layer.branches:
        start, stop = bisect_left(units, branch.start), bisect_left(units, branch.stop)
        if start < stop:
            yield Branch(branch.address, start, stop)


def _sampled(task: LayerTask, store: Store) -> Sample:
    key, keys = _seconds_key(task), []
    seconds = _seconds(lambda: keys.append(analyse(task, store).keys))
    if not store.has(key):
        store.put(key, seconds)
    return Sample(task.units, keys[0], store.get(key, trusted=True))


def _seconds_key(task: LayerTask) -> str:
    """Of the time that a sample took when all of it was worked out."""
    plan, options, code = task.plan, list(vars(task.options).values()), code_digest("generator.analysis")
    return key_of(what="seconds", path=plan.digest, units=task.units, options=options, code=code)


def _seconds(work: Callable[[], object]) -> float:
    """Seconds of processor time that something takes."""
    began = time.process_time()
    work()
    return time.process_time() - began


def _opening_key(task: LayerTask) -> str:
    return key_of(what="opening", of=task.sha256, source=task.model.source)


def _opening(task: LayerTask, store: Store) -> Opening:
    """What was found when the model was opened; nothing where that is forgotten."""
    key = _opening_key(task)
    return Opening(*store.get(key, trusted=True)) if store.has(key) else Opening()


_begun = False  # whether this process has worked out a sample before


def _opened(task: LayerTask, smallest: LayerTask, store: Store) -> Opening:
    """Open the model; a process that does so for the first time also imports all that a sample takes, and uses it once.

    The time that such a process has been at it already counts.
    """
    global _begun
    began, first = time.process_time() if _begun else 0.0, not _begun
    with leaving_at_once():
        from generator.survey import opened_once

    opened_once(task.model, task.folder, task.key)
    seconds = time.process_time() - began
    if first:
        _begun = True
        with TemporaryDirectory() as folder:
            analyse(smallest, Store(Path(folder)))
    if first or not store.has(_opening_key(task)):
        store.put(_opening_key(task), (seconds, *_memory()))
    return _opening(task, store)


def _memory() -> tuple[int, int]:
    """Bytes of memory of this process that are its own, and those that it shares; zeros where the system does not tell."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return 0, 0
    held = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines}
    return held["Anonymous"], held["Rss"] - held["Anonymous"]
