"""The one door for Dask: tasks on the workers of a cluster, through joblib's backend for it.

A task whose worker is lost is done by another. What a worker needs it reads from the folder of results, which it must see, or
from an address: it then keeps what it reads in a folder of its own.
"""

from __future__ import annotations

import importlib
import logging
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import closing, contextmanager
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from generator.errors import SPEC, AtlasError, ModelError
from generator.keeping.code import program_digest
from generator.keeping.files import Digests
from generator.keeping.store import Store
from generator.look import Look, beside
from generator.workers import WorkerError, call_each, parcels_of

ANSWER = 10  # seconds in which a scheduler must answer, and a worker must be there
AHEAD = 8  # tasks a thread of the cluster that are handed out before they are asked for: workers may come later
MIRROR = 8 * 10**9  # bytes that a worker keeps of what it has read from an address


class ClusterError(AtlasError):
    """A cluster that cannot be reached, or that cannot do the work."""

    exit_code = SPEC


def on_cluster(address: str, function: str, tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """Do all tasks on the workers of the scheduler at `address`; yields (place, result) as each is done, in any order.

    Raises:
        ClusterError: no scheduler or no worker there, or workers that lack what they need.
        WorkerError: the scheduler was lost.
        Whatever a task raises.
    """
    import joblib

    with _client(address) as client, _explained():
        with joblib.parallel_config(_backend(client)):
            pool = joblib.Parallel(batch_size=1, return_as="generator_unordered", pre_dispatch=f"{AHEAD}*n_jobs")
        program, threads = same_program(), sum(client.ncores().values())
        parcels = parcels_of([rooted(task) for task in tasks], max(2, threads))
        work = (joblib.delayed(_begin)(pickle.dumps((function, parcel, program))) for parcel in parcels)
        with closing(pool(work)) as found:
            yield from (each for parcel in found for each in parcel)


def _begin(packed: bytes) -> list[tuple[int, Any]]:
    """What Dask is given: nothing that the scheduler, which reads it too, would need this program for."""
    import pickle

    from generator.cluster import call_afar

    return call_afar(*pickle.loads(packed))


_begin.__module__ = "__main__"  # so that it travels whole, not as the name of something to be imported


def rooted(task: Any) -> Any:
    """A task whose files and folders are named from the root: a worker runs in a folder of its own."""
    if not is_dataclass(task) or isinstance(task, type):
        return task
    held = {each.name: getattr(task, each.name) for each in fields(task)}
    more: dict[str, Any] = {name: value.absolute() for name, value in held.items() if isinstance(value, Path)}
    if isinstance(held.get("look"), Look):
        more["look"] = rooted(held["look"])
    if held.get("place") and isinstance(held["place"], str):
        more["place"] = str(Path(held["place"]).absolute())
    return replace(task, **more) if more else task


@contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError("a cluster needs Dask: pip install 'weight-atlas[cluster]'") from None
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong is told once, by us
    try:
        client = Client(address, timeout=ANSWER)
    except (OSError, ValueError) as error:
        raise ClusterError(f"no Dask scheduler answers at '{address}' ({str(error).splitlines()[0]})") from None
    with client:
        yield client


def _backend(client: Any) -> Any:
    """joblib's backend for Dask, with two things mended: an error of Dask's own (a worker lost once too often, code that a
    worker lacks) would leave joblib waiting for ever, and on a single thread it would do the work right here.
    """
    backend = importlib.import_module("joblib._dask").DaskDistributedBackend

    class Backend(backend):  # type: ignore[misc, valid-type]
        def submit(self, func: Any, callback: Any = None) -> Any:
            future = super().submit(func, callback)
            future.add_done_callback(lambda done: callback(done) if callback and done.exception() else None)
            return future

        def retrieve_result_callback(self, out: Any) -> Any:
            if hasattr(out, "exception") and out.exception():
                raise out.exception()
            return super().retrieve_result_callback(out)

        def effective_n_jobs(self, n_jobs: int) -> int:
            return max(2, super().effective_n_jobs(n_jobs))

    return Backend(client=client, wait_for_workers_timeout=ANSWER)


@contextmanager
def _explained() -> Iterator[None]:
    """What Dask raises of itself, in one line each."""
    from distributed.scheduler import KilledWorker

    try:
        yield
    except KilledWorker as error:
        raise ClusterError("a task was given up: its workers died, one after the other, perhaps for lack of memory") from error
    except CancelledError as error:
        raise WorkerError("the scheduler of the cluster was lost; what was worked out is kept: build again") from error
    except TimeoutError as error:
        raise ClusterError(f"the cluster has no worker: none came within {ANSWER} seconds") from error
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "generator":
            raise
        raise ClusterError(
            "a worker of the cluster lacks this program: install weight-atlas, the same version, on each"
        ) from error


# -- on a worker ----------------------------------------------------------------------------------------------------------

_ONE_AT_A_TIME = Lock()  # threads of one process would share its model, its templates and its number of threads


def call_afar(function: str, parcel: Sequence[tuple[int, Any]], program: str) -> list[tuple[int, Any]]:
    """Do some tasks on a worker of a cluster."""
    if same_program() != program:
        raise ClusterError(f"{_here()} has another version of weight-atlas or of its libraries; install the same on each")
    with _ONE_AT_A_TIME:
        try:
            return call_each(function, [(place, placed(task)) for place, task in parcel])
        except ModelError as error:
            raise ModelError(f"{_here()}: {error}") from error


@lru_cache(maxsize=1)
def same_program() -> str:
    """A digest of our code, our templates and the libraries: what must be the same wherever a part of the work is done."""
    digests = Digests()
    return " ".join([program_digest(), *(digests.of_folder(beside(name)) for name in ("templates", "static"))])


def placed(task: Any) -> Any:
    """A task with its folder of results where this worker can use it. Raises ClusterError for one that it cannot see."""
    for folder in _places(task):
        if not folder.exists():
            raise ClusterError(f"{_here()} does not see {folder}; share it with the workers, under the same name")
    cache = getattr(task, "cache", None)
    if cache is None:
        return task
    if getattr(task, "address", ""):
        mirror = Path(_worker().local_directory) / "weight-atlas"
        Store(mirror).trim(MIRROR, spared=0)
        return replace(task, cache=mirror)
    if not (cache / "CACHEDIR.TAG").is_file():
        raise ClusterError(f"{_here()} does not see {cache}; share it with the workers, or name a shared place: cache.address")
    return task


def _places(task: Any) -> list[Path]:
    """The user's own folders and archives that a task reads."""
    look, place = getattr(task, "look", None), getattr(task, "place", "")
    pictures = [Path(place)] if place and isinstance(place, str) else []
    return [*pictures, *(folder for folder in (look.templates, look.static) if folder)] if look else pictures


def _worker() -> Any:
    from distributed import get_worker

    return get_worker()


def _here() -> str:
    return f"the worker {_worker().address}"
