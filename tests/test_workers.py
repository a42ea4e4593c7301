"""Parallel work on one machine: every task once, the same bytes whoever does them, and a clear word where it ends early."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from real_models import ROOT

import generator.__main__
from generator import errors
from generator.build import Report, Want, build
from generator.errors import AtlasError, SpecError
from generator.keeping.store import Store
from generator.progress import Progress
from generator.spec import load_spec
from generator.workers import WorkerError, Workers, call, one_thread, parcels, processors, workers_of

NET = """
import os, time
from torch import nn
import torch

def make(seconds=0):
    time.sleep(seconds)
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 1)
    )
"""
SPEC = """
title: Tiny
models:
  - {name: one, source: 'tiny_net:make', input_size: 16}
  - {name: two, source: 'tiny_net:make', input_size: 24}
"""


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "tiny_net.py").write_text(NET)
    (tmp_path / "atlas.yaml").write_text(SPEC)
    return load_spec(tmp_path / "atlas.yaml")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# -- tasks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_task_is_done_once(jobs, count):
    assert sorted(Workers(jobs).each("worker_tasks:square", list(range(count)))) == [(n, n * n) for n in range(count)]


def test_one_job_is_this_process_and_several_are_others():
    assert {pid for _, pid in Workers(1).each("worker_tasks:process", [0, 1])} == {os.getpid()}
    pids = {pid for _, pid in Workers(2).each("worker_tasks:process", [0, 1, 2, 3])}
    assert len(pids) == 2 and os.getpid() not in pids


def test_a_process_without_a_task_imports_what_comes_next():
    assert [n for _, n in Workers(2).each("worker_tasks:square", [3], ("colorsys",))] == [9]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_mistake_of_the_users_arrives_as_it_was_raised(jobs):
    with pytest.raises(SpecError) as told:
        list(Workers(jobs).each("worker_tasks:mistake", list(range(6))))
    assert told.value.lines == ("atlas.yaml:1:1: title: found 'a'", "atlas.yaml:2:1: authors: found 'b'")


def test_a_mistake_of_ours_shows_where_in_the_worker_it_happened():
    program = "from generator.workers import Workers; list(Workers(2).each('worker_tasks:ours', [1, 2, 3, 4]))"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert re.search(r"worker_tasks\.py\", line \d+, in ours", done.stderr)
    assert "ZeroDivisionError" in done.stderr


def test_a_worker_that_dies_is_told_in_a_line():
    with pytest.raises(WorkerError, match=r"a worker process died \(SIGKILL\), perhaps for lack of memory; --jobs 1") as told:
        list(Workers(2).each("worker_tasks:dies", list(range(6))))
    assert len(told.value.lines) == 1
    assert sorted(Workers(2).each("worker_tasks:square", [1, 2])) == [(0, 1), (1, 4)]  # others take their place


def every_mistake(kind=AtlasError):
    for each in kind.__subclasses__():
        yield each
        yield from every_mistake(each)


def test_every_mistake_survives_the_way_from_another_process():
    assert generator.__main__ and errors
    kinds = list(every_mistake())
    assert len(kinds) > 8
    for kind in kinds:
        mistake = kind(("one", "two")) if issubclass(kind, SpecError) else kind("one")
        found = pickle.loads(pickle.dumps(mistake))
        assert (type(found), found.lines, found.exit_code) == (kind, mistake.lines, mistake.exit_code)


def test_each_task_has_one_thread_though_it_is_the_one_that_imports_torch():
    program = """
import os
os.environ.pop("OMP_NUM_THREADS", None)
import numpy
from generator.workers import call
print([call("worker_tasks:threads", 0, 0)[1] for _ in range(2)])
import torch
print(torch.get_num_threads(), "OMP_NUM_THREADS" in os.environ)
"""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    first, second = done.stdout.splitlines()
    assert first == "[(1, [1]), (1, [1])]"
    assert second == f"{processors()} False"


def test_the_threads_that_were_are_given_back():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_as_many_jobs_as_processors_unless_said():
    assert workers_of(None).jobs == processors() >= 1
    assert workers_of(3).jobs == 3
    assert call("math:sqrt", 5, 4.0) == (5, 2.0)


@dataclass
class Task:
    key: str


@dataclass
class Part(Task):
    shared: str


def of_models(count: int, layers: int, kind=lambda n, layer: Task(f"model {n}")) -> list:
    """Layers of several models, one of each in turn."""
    return [kind(n, layer) for layer in range(layers) for n in range(count)]


def opened(found, tasks) -> list[set[str]]:
    return [{tasks[place].key for place in parcel} for parcel in found]


@pytest.mark.parametrize(("workers", "models"), [(1, 1), (1, 5), (2, 1), (2, 3), (2, 20), (16, 5), (100, 1000)])
def test_parcels_hold_every_task_once_and_never_two_models(workers, models):
    tasks = of_models(models, 7)
    found = parcels(tasks, workers)
    assert sorted(place for parcel in found for place in parcel) == list(range(len(tasks)))
    assert all(len(each) == 1 for each in opened(found, tasks))


def test_one_model_is_shared_out_among_the_workers_and_many_are_not_cut():
    assert [len(each) for each in parcels(of_models(1, 7), 2)] == [1] * 7
    assert [len(each) for each in parcels(of_models(20, 7), 2)] == [7] * 20
    assert len(parcels(of_models(20, 7), 10)) == 40
    assert parcels([], 2) == []


def test_the_tasks_of_a_model_follow_one_another_for_a_single_worker():
    tasks = of_models(3, 4)
    order = [tasks[place].key for parcel in parcels(tasks, 1) for place in parcel]
    assert order == sorted(order)


def test_what_shares_more_than_its_key_stays_together():
    tasks = of_models(20, 3, lambda n, layer: Part(f"{n} {layer}", f"model {n}"))
    assert [len({tasks[place].shared for place in parcel}) for parcel in parcels(tasks, 2)] == [1] * 20
    assert parcels(["a", "b"], 2) == [[0], [1]]


# -- threads ----------------------------------------------------------------------------------------------------------------


def test_threads_give_what_one_after_the_other_gives():
    assert dict(Workers(2).each("worker_tasks:heeding", [0.0, 0.01, 0.02], together=True)) == {0: 0.0, 1: 0.01, 2: 0.02}


def test_threads_that_nobody_waits_for_end_and_later_ones_work_again():
    began = time.monotonic()
    found = Workers(2).each("worker_tasks:heeding", [0.0, 60.0, 60.0, 60.0], together=True)
    assert next(found) == (0, 0.0)
    found.close()
    assert time.monotonic() - began < 20
    assert dict(Workers(2).each("worker_tasks:heeding", [0.01], together=True)) == {0: 0.01}


# -- builds ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def alone(spec, tmp_path):
    """The site as one process makes it, in its own cache."""
    build(spec, tmp_path / "alone", Progress(quiet=True), Want(Workers(1)))
    Store(spec.folder / spec.cache.folder).clear()
    return contents(tmp_path / "alone")


@pytest.mark.parametrize("jobs", [2, 3])
def test_the_site_is_the_same_bytes_whatever_the_number_of_workers(spec, tmp_path, alone, jobs):
    report = Report()
    build(spec, tmp_path / "site", Progress(quiet=True), Want(Workers(jobs)), report)
    assert contents(tmp_path / "site") == alone
    assert report.made["weights"] == 8
    assert alone


@pytest.mark.skipif("ATLAS_SLOW" not in os.environ, reason="takes minutes; set ATLAS_SLOW to run it")
def test_the_bundled_atlas_is_the_same_bytes_whatever_the_number_of_workers(tmp_path):
    spec = load_spec(ROOT / "atlas.yaml")
    seen = []
    for jobs in (1, 2, 3):
        own = spec.model_copy(update={"cache": spec.cache.model_copy(update={"folder": str(tmp_path / f"cache{jobs}")})})
        build(own, tmp_path / f"site{jobs}", Progress(quiet=True), Want(Workers(jobs)))
        seen.append(contents(tmp_path / f"site{jobs}"))
    assert seen[0] == seen[1] == seen[2]


def command(folder: Path, *arguments: str, **more) -> subprocess.Popen:
    """`atlas build` in a process and a session of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "generator", "build", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **more,
    )


def test_two_builds_of_one_spec_at_the_same_moment_are_both_good(spec, tmp_path, alone):
    """They share a cache and know nothing of each other."""
    both = [command(tmp_path, "-j", "1", "-q", "-o", name) for name in ("first", "second")]
    assert [(each.communicate()[1], each.returncode) for each in both] == [("", 0)] * 2
    assert contents(tmp_path / "first") == contents(tmp_path / "second") == alone
    assert list((tmp_path / ".atlas-cache").rglob("*.part")) == []


def test_a_damaged_result_is_worked_out_anew_with_a_note(spec, tmp_path, alone):
    build(spec, tmp_path / "site", Progress(quiet=True), Want(Workers(1)))
    for path in (tmp_path / ".atlas-cache").glob("??/*.safetensors"):
        path.write_bytes(path.read_bytes()[:-7])
    (tmp_path / "site" / "index.html").unlink()
    done = command(tmp_path, "-j", "2", "-o", "site")
    _, said = done.communicate()
    assert done.returncode == 0
    assert len(re.findall(r"is damaged; it is worked out anew\n", said)) > 8
    assert contents(tmp_path / "site") == alone


def alive(session: int) -> list[str]:
    """The processes of a session that run."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state = (place / "stat").read_text().rpartition(")")[2].split()
            if int(state[3]) == session and state[0] not in "ZX":
                found.append(f"{place.name} {(place / 'cmdline').read_text()}")
        except OSError:
            continue
    return found


def left_after(session: int, seconds: float = 10) -> list[str]:
    """The processes of a session that do not end in so many seconds."""
    until = time.monotonic() + seconds
    while alive(session) and time.monotonic() < until:
        time.sleep(0.05)
    return alive(session)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
def test_an_interrupt_of_all_processes_ends_a_parallel_build_with_130_and_the_old_site_whole(spec, tmp_path, alone):
    (tmp_path / "atlas.yaml").write_text(SPEC.replace("input_size: 24", "input_size: 24, arguments: {seconds: 60}"))
    process = command(tmp_path, "-j", "2", "-o", "alone")
    cache = tmp_path / ".atlas-cache"
    until = time.monotonic() + 60
    while not list(cache.glob("??/*.safetensors")) and time.monotonic() < until:  # one model is surveyed, the other is asleep
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    out, said = process.communicate(timeout=30)
    assert (process.returncode, out, said.strip()) == (130, "", "interrupted")
    assert left_after(process.pid) == []
    assert contents(tmp_path / "alone") == alone
    assert sorted(path.name for path in tmp_path.iterdir() if "alone" in path.name) == ["alone"]


def test_a_worker_killed_during_a_build_is_told_in_a_line(spec, tmp_path, alone):
    (tmp_path / "tiny_net.py").write_text(NET.replace("time.sleep(seconds)", "os.kill(os.getpid(), 9)"))
    process = command(tmp_path, "-j", "2", "-o", "alone")
    out, said = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert said.splitlines() == ["a worker process died (SIGKILL), perhaps for lack of memory; --jobs 1 takes the least"]
    assert contents(tmp_path / "alone") == alone


def test_a_mistake_found_in_a_worker_is_one_line_and_exit_code_2(spec, tmp_path):
    (tmp_path / "atlas.yaml").write_text(SPEC.replace("input_size: 24", "input_size: 24, layers: [nine]"))
    process = command(tmp_path, "-j", "2", "-q")
    _, said = process.communicate()
    assert process.returncode == 2
    assert re.fullmatch(r"atlas\.yaml:5:\d+: models\[1\]\.layers\[0\]: two: .*'nine'.*\n", said)
    assert not (tmp_path / "site").exists()
