"""The one door for parallel work: the same tasks in this process, in several of this machine, or on a cluster.

A task is plain data and the name of the function that does it, so that handing it out imports nothing of what it needs.
Whatever the number of workers, each task runs on one thread: sums then come out the same to the last bit. Tasks that share a
model go to as few workers as keeps all busy, one after the other: to open a model takes longer than many a task.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from generator.errors import AtlasError
from generator.interrupts import in_threads, stay

UNBOUNDED = 1 << 62  # bytes
THREADS = 4  # that arithmetic keeps busy in one process: beyond, Python's own lock is in the way
SPREAD = 4  # parcels for each worker, at least, so that none is left with much to do when the others are done


class WorkerError(AtlasError):
    """A worker that is gone."""


@dataclass(frozen=True)
class Workers:
    """Who does the work."""

    jobs: int = 1  # processes of this machine; 1: this one itself
    cluster: str = ""  # address of a Dask scheduler, in place of processes of this machine

    def each(
        self, function: str, tasks: Sequence[Any], following: Sequence[str] = (), together: bool = False
    ) -> Generator[tuple[int, Any], None, None]:
        """Do all tasks; yields (place of the task, its result) as each is done, in any order.

        function: `module:name` of a function of one argument; following: modules that the work after this needs, which
        processes without a task import meanwhile; together: whether tasks are mostly arithmetic on something large that they
        share, so that a few threads of this process do them, which hold it once.

        Raises:
            ClusterError: no cluster, or one that cannot do the work.
            WorkerError: a process that died over a task.
            Whatever a task raises.
        """
        if self.cluster and tasks:
            from generator.cluster import on_cluster

            yield from on_cluster(self.cluster, function, tasks)
        elif together and 1 < self.jobs <= THREADS:
            yield from _in_threads(self.jobs, function, tasks)
        elif self.jobs > 1 and (len(tasks) > 1 or (tasks and following)):
            yield from _in_processes(self.jobs, function, tasks, following)
        else:
            yield from (call(function, place, tasks[place]) for parcel in parcels(tasks, 1) for place in parcel)


ALONE = Workers()


def workers_of(jobs: int | None, cluster: str = "") -> Workers:
    """As many workers as asked for, else one for each processor that this process may use."""
    return Workers(jobs or processors(), cluster)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parcels(tasks: Sequence[Any], workers: int) -> list[list[int]]:
    """The places of all tasks, in parcels to be done one after the other by one worker.

    Those of a model stay together. A model is shared out among the workers, a task at a time, where there are so few models
    that each worker must open each; else it is cut into as few parcels as leave `SPREAD` for each worker.
    """
    models: dict[Any, list[int]] = defaultdict(list)
    for place, task in enumerate(tasks):
        models[getattr(task, "shared", getattr(task, "key", place))].append(place)
    cuts = -(-SPREAD * workers // max(1, len(models)))
    found = []
    for places in models.values():
        several = len(places) if cuts >= workers else cuts
        found += [places[first::several] for first in range(min(several, len(places)))]
    return found


def parcels_of(tasks: Sequence[Any], workers: int) -> list[list[tuple[int, Any]]]:
    """As `parcels`, with the tasks."""
    return [[(place, tasks[place]) for place in parcel] for parcel in parcels(tasks, workers)]


def call_each(function: str, tasks: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Do a parcel of tasks, each with its place."""
    return [call(function, place, task) for place, task in tasks]


def call(function: str, place: int, task: Any) -> tuple[int, Any]:
    """Do one task on one thread."""
    module, _, name = function.partition(":")
    does = getattr(importlib.import_module(module), name)
    with one_thread():
        return place, does(task)


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, libraries for arrays use one thread each: those that are imported, and torch where it is imported on the way."""
    from threadpoolctl import threadpool_limits

    known = sys.modules.get("torch")
    before = known.get_num_threads() if known else processors()
    with threadpool_limits(1), _told("OMP_NUM_THREADS", "1"):
        if known:
            known.set_num_threads(1)
        try:
            yield
        finally:
            if "torch" in sys.modules:
                sys.modules["torch"].set_num_threads(before)


@contextmanager
def _told(name: str, value: str) -> Iterator[None]:
    """Inside, a variable of the environment is set: what is loaded there reads it."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


# -- threads of this process ----------------------------------------------------------------------------------------------


def _in_threads(count: int, function: str, tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    module, _, name = function.partition(":")
    with one_thread(), ThreadPoolExecutor(count) as pool:
        does = getattr(importlib.import_module(module), name)
        order = [place for parcel in parcels(tasks, 1) for place in parcel]  # one model after the other
        places = {pool.submit(does, tasks[place]): place for place in order}
        try:
            with in_threads():
                for done in as_completed(places):
                    yield places.pop(done), done.result()
        finally:
            pool.shutdown(cancel_futures=True)
            stay()


# -- processes of this machine --------------------------------------------------------------------------------------------


def _in_processes(jobs: int, function: str, tasks: Sequence[Any], following: Sequence[str]) -> Iterator[tuple[int, Any]]:
    import joblib
    from joblib.externals.loky import BrokenProcessPool

    work = [joblib.delayed(_in_process)(function, parcel) for parcel in parcels_of(tasks, jobs)]
    if following:
        work += [joblib.delayed(_import)(following)] * (jobs - len(work))
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        pool = joblib.Parallel(jobs if following else min(jobs, len(tasks)), return_as="generator_unordered", **_AS_IT_IS)
    try:
        with _deaf():
            found = pool(work)
        with closing(found):
            yield from (each for parcel in found for each in parcel)
    except BrokenProcessPool as error:
        raise WorkerError(_died(error)) from error


_AS_IT_IS: dict[str, Any] = {"batch_size": 1, "max_nbytes": None}  # a task at a time, and no files for large arrays


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes begun inside hear of no interrupt. Ctrl-C reaches every process of a terminal; this one ends the others."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # a process of Python's own, which once begun ends whatever deafness there is
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _in_process(function: str, parcel: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """What a process of a pool runs."""
    from joblib.externals.loky import process_executor

    process_executor._MAX_MEMORY_LEAK_SIZE = UNBOUNDED  # a model in memory is no leak for which to end the process
    return call_each(function, parcel)


def _import(modules: Sequence[str]) -> list[tuple[int, Any]]:
    for module in modules:
        importlib.import_module(module)
    return []


def _died(error: BaseException) -> str:
    """One line on processes that ended in the middle of a task."""
    signals = " ".join(dict.fromkeys(re.findall(r"SIG[A-Z]+", str(error))))
    told = f" ({signals})" if signals else ""
    return f"a worker process died{told}, perhaps for lack of memory; --jobs 1 takes the least"
