"""Building on a cluster: a real scheduler and real workers, in processes of this machine; some of them are killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from real_models import ROOT

pytest.importorskip("distributed", reason="a cluster needs Dask: pip install 'weight-atlas[cluster]'")

import generator.cluster
from generator.build import Report, Want, build
from generator.cluster import ClusterError
from generator.errors import AtlasError
from generator.keeping.tensors import read_value
from generator.look import Look
from generator.progress import Progress
from generator.spec import load_spec
from generator.workers import Workers

HERE = Path(__file__).parent
MODELS = 5
NET = """
import os, time
from pathlib import Path
from torch import nn
import torch

HERE = Path(__file__).parent

def make(seed):
    with open(HERE / "opened", "a") as file:
        file.write(f"{os.getpid()} {seed}\\n")
    try:  # the first to come finds something to do that never ends
        (HERE / "trap").rename(HERE / "taken")
        (HERE / "held").write_text(str(os.getpid()))
        time.sleep(600)
    except FileNotFoundError:
        pass
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 5, 1)
    )
"""


def spec_in(folder: Path, more: str = ""):
    """A spec of several small networks."""
    (folder / "cluster_net.py").write_text(NET)
    models = [
        f"  - {{name: net{n}, source: 'cluster_net:make', arguments: {{seed: {n}}}, input_size: 16}}" for n in range(MODELS)
    ]
    (folder / "atlas.yaml").write_text("\n".join(["title: Many", "models:", *models, more]))
    return load_spec(folder / "atlas.yaml")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def until(there, process: subprocess.Popen | None = None, seconds: float = 120):
    """What `there` gives as soon as it gives something; the process it is to come from must not have ended."""
    end = time.monotonic() + seconds
    while not (found := there()):
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
    return found


@dataclass
class Cluster:
    """A scheduler and its workers."""

    folder: Path
    started: list[subprocess.Popen] = field(default_factory=list)
    address: str = ""

    def begin(self, **settings: str) -> Cluster:
        file = self.folder / "scheduler.json"
        self.run("scheduler", "--port", "0", "--scheduler-file", str(file), folder=self.folder, **settings)
        self.address = json.loads(
            until(lambda: file.exists() and file.read_text().rstrip().endswith("}") and file.read_text())
        )["address"]
        return self

    def worker(self, *more: str, path: str = f"{ROOT}:{HERE}", name: str = "worker") -> subprocess.Popen:
        own = self.folder / f"{name}{len(self.started)}"
        own.mkdir()
        arguments = (self.address, "--nthreads", "1", "--local-directory", str(own), *(more or ("--no-nanny",)))
        return self.run("worker", *arguments, folder=own, PYTHONPATH=path)

    def run(self, kind: str, *arguments: str, folder: Path, **settings: str) -> subprocess.Popen:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        with open(self.folder / "log", "a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", kind, "--no-dashboard", "--host", "127.0.0.1", *arguments],
                cwd=folder,
                env={**environment, "OMP_NUM_THREADS": "1", **settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def end(self) -> None:
        for process in reversed(self.started):
            process.terminate()
        for process in self.started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def cluster(tmp_path_factory):
    """A scheduler; workers are up to the test."""
    with ExitStack() as stack:
        found = Cluster(tmp_path_factory.mktemp("cluster"))
        stack.callback(found.end)
        yield found.begin()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A scheduler and two workers, for tests that leave them as they are."""
    with ExitStack() as stack:
        found = Cluster(tmp_path_factory.mktemp("pair"))
        stack.callback(found.end)
        found.begin()
        found.worker(), found.worker()
        yield found


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The site as this process alone makes it, and how often it worked out what."""
    folder, report = tmp_path_factory.mktemp("local"), Report()
    build(spec_in(folder), folder / "site", Progress(quiet=True), report=report)
    assert report.made["weights"] == 3 * MODELS + 1  # the layer of the input is the same in all
    return Local(contents(folder / "site"), dict(report.made))


@dataclass(frozen=True)
class Local:
    site: dict[str, bytes]
    made: dict[str, int]

    def is_the_work_of(self, made: dict[str, int]) -> bool:
        """Whether everything was worked out, and nothing twice but the input, at which two workers may be at the same moment."""
        return made.keys() == self.made.keys() and all(made[kind] - count in (0, 1) for kind, count in self.made.items())


def built(spec, target: Path, cluster: Cluster) -> Report:
    report = Report()
    build(spec, target, Progress(quiet=True), Want(Workers(cluster=cluster.address)), report)
    return report


def bundles(folder: Path) -> list[Path]:
    """The results that are files of a site."""
    return [path for path in folder.glob("??/*.safetensors") if _is_bundle(read_value(path))]


def _is_bundle(value) -> bool:
    return isinstance(value, tuple) and any(
        isinstance(each, tuple) and len(each) == 2 and "/" in str(each[0]) for each in value
    )


# -- the same site --------------------------------------------------------------------------------------------------------


def test_a_worker_killed_during_the_build_costs_its_task_and_not_a_byte(cluster, tmp_path, local):
    """One of two workers is lost while it opens a model for its layers; all that it did before stands."""
    spec_in(tmp_path)
    workers = [cluster.worker(), cluster.worker()]
    program = f"""
import json
from pathlib import Path
from generator.build import Report, Want, build
from generator.progress import Progress
from generator.spec import load_spec
from generator.workers import Workers
report = Report()
build(load_spec("atlas.yaml"), Path("site"), Progress(quiet=True), Want(Workers(cluster="{cluster.address}")), report)
print(json.dumps(report.made))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: len(opened(tmp_path)) > MODELS, process)  # all are surveyed, the first is opened for its layers
    (tmp_path / "trap").write_text("")
    victim = int(until(lambda: (tmp_path / "held").exists() and (tmp_path / "held").read_text(), process))
    assert victim in [each.pid for each in workers]
    os.kill(victim, signal.SIGKILL)
    out, said = process.communicate(timeout=300)
    assert (process.returncode, said) == (0, "")
    assert contents(tmp_path / "site") == local.site
    assert local.is_the_work_of(json.loads(out))


def opened(folder: Path) -> list[str]:
    path = folder / "opened"
    return path.read_text().splitlines() if path.exists() else []


def test_workers_with_disks_of_their_own_meet_at_an_address(pair, tmp_path, local):
    """Neither the cache of this machine nor the site in the making need be in their reach."""
    share = tmp_path / "share"
    spec = spec_in(tmp_path, f"cache: {{folder: mine, address: '{share.as_uri()}'}}")
    report = built(spec, tmp_path / "site", pair)
    assert contents(tmp_path / "site") == local.site
    assert local.is_the_work_of(report.made)
    assert len(list(share.glob("??/*.safetensors"))) >= sum(local.made.values())
    assert bundles(share) == bundles(tmp_path / "mine") == []
    assert list(pair.folder.glob("worker*/**/weight-atlas/??/*.safetensors"))

    again = built(spec, tmp_path / "again", pair)
    assert contents(tmp_path / "again") == local.site
    assert not again.made["weights"]


def test_what_is_built_already_needs_no_cluster(tmp_path, pair, local):
    spec = spec_in(tmp_path)
    built(spec, tmp_path / "site", pair)
    assert contents(tmp_path / "site") == local.site
    built(spec, tmp_path / "site", Cluster(tmp_path, address="tcp://127.0.0.1:1"))
    assert bundles(tmp_path / ".atlas-cache") == []


def test_a_single_worker_of_a_single_thread_does_the_work_itself(cluster, tmp_path):
    cluster.worker()
    found = dict(Workers(cluster=cluster.address).each("worker_tasks:process", [0, 1, 2]))
    assert set(found.values()) == {cluster.started[-1].pid}


def test_results_come_as_they_are_done(pair):
    """So that progress moves, and what was done before an interrupt is kept."""
    began = time.monotonic()
    came = [time.monotonic() - began for _ in Workers(cluster=pair.address).each("worker_tasks:process", list(range(24)))]
    assert came[0] < came[-1] / 2


# -- what can be wrong ----------------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(generator.cluster, "ANSWER", 1)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "gopher://127.0.0.1:1", "tcp://nowhere.invalid:8786"])
def test_no_scheduler_at_the_address_is_one_line(impatient, address):
    with pytest.raises(ClusterError, match=rf"no Dask scheduler answers at '{address}'") as told:
        list(Workers(cluster=address).each("worker_tasks:square", [1]))
    assert len(told.value.lines) == 1 and told.value.exit_code == 2


def test_the_command_ends_with_2_and_one_line_where_no_scheduler_answers(tmp_path):
    spec_in(tmp_path)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-m", "generator", "build", "--cluster", address],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"no Dask scheduler answers at '{address}' \(.*\)\n", done.stderr)
    assert not (tmp_path / "site").exists()


def test_a_scheduler_without_workers_is_one_line(cluster, monkeypatch):
    monkeypatch.setattr(generator.cluster, "ANSWER", 4)  # enough for the scheduler, which does answer
    with pytest.raises(ClusterError, match="the cluster has no worker: none came within 4 seconds"):
        list(Workers(cluster=cluster.address).each("worker_tasks:square", [1]))


def test_a_worker_that_lacks_the_program_is_one_line(cluster, tmp_path):
    (tmp_path / "generator").mkdir()  # stands before ours, which may be installed, as if there were none
    (tmp_path / "generator/__init__.py").write_text(
        "raise ModuleNotFoundError('No module named generator', name='generator')\n"
    )
    cluster.worker(path=f"{tmp_path}:{HERE}")
    with pytest.raises(ClusterError, match="a worker of the cluster lacks this program: install weight-atlas"):
        list(Workers(cluster=cluster.address).each("worker_tasks:square", [1, 2]))


def test_a_worker_with_another_version_is_one_line(cluster, tmp_path):
    for name in ("generator", "templates", "static"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "generator" / "globs.py").write_text((ROOT / "generator" / "globs.py").read_text() + "\n# older\n")
    cluster.worker(path=f"{tmp_path}:{HERE}")
    with pytest.raises(ClusterError, match=r"the worker tcp://\S+ has another version of weight-atlas or of its libraries"):
        list(Workers(cluster=cluster.address).each("worker_tasks:square", [1, 2]))


def test_a_file_that_a_worker_does_not_find_is_one_line_that_names_the_worker(pair, tmp_path):
    spec = spec_in(tmp_path)
    model = spec.models[0].model_copy(update={"weights": "none.safetensors"})
    with pytest.raises(AtlasError, match=r"the worker tcp://\S+: net0: .*none\.safetensors") as told:
        built(spec.model_copy(update={"models": (model,)}), tmp_path / "site", pair)
    assert len(told.value.lines) == 1 and told.value.exit_code == 2


def test_mistakes_of_the_spec_are_told_as_ever(pair, tmp_path):
    spec = spec_in(tmp_path)
    model = spec.models[0].model_copy(update={"layers": ("nine",)})
    with pytest.raises(AtlasError, match=r"atlas\.yaml:\d+:\d+: models\[0\]\.layers: net0: the model has no layer 'nine'"):
        built(spec.model_copy(update={"models": (model,)}), tmp_path / "site", pair)


def test_a_mistake_of_ours_shows_where_on_the_worker_it_happened(pair):
    with pytest.raises(ZeroDivisionError) as told:
        list(Workers(cluster=pair.address).each("worker_tasks:ours", [1, 2, 3]))
    assert "worker_tasks.py" in "".join(str(each) for each in (told.value.__cause__, *told.traceback))


def test_a_task_that_kills_every_worker_is_given_up(tmp_path_factory, tmp_path):
    found = Cluster(tmp_path_factory.mktemp("brittle"))
    with ExitStack() as stack:
        stack.callback(found.end)
        found.begin(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0").worker("--nanny")
        with pytest.raises(ClusterError, match="a task was given up: its workers died"):
            list(Workers(cluster=found.address).each("worker_tasks:dies", [1, 2, 3]))


@dataclass(frozen=True)
class Apart:
    """A task of another machine."""

    cache: Path
    address: str = ""
    look: object = None
    place: str = ""


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (
            Apart(Path("/nowhere/cache")),
            "does not see /nowhere/cache; share it with the workers, or name a shared place: cache.addr",
        ),
        (Apart(Path("/tmp"), look=Look(templates=Path("/nowhere/templates"))), "does not see /nowhere/templates; share it"),
        (Apart(Path("/tmp"), look=Look(static=Path("/nowhere/static"))), "does not see /nowhere/static; share it"),
        (Apart(Path("/tmp"), place="/nowhere/images.zip"), "does not see /nowhere/images.zip; share it"),
    ],
)
def test_a_folder_that_a_worker_does_not_see_is_one_line(monkeypatch, task, said):
    monkeypatch.setattr(generator.cluster, "_here", lambda: "the worker tcp://a:1")
    with pytest.raises(ClusterError) as told:
        generator.cluster.placed(task)
    assert said in str(told.value) and len(told.value.lines) == 1


def test_a_task_is_told_from_the_root(monkeypatch, tmp_path):
    """A worker runs elsewhere than the command, which may have been given a spec in its own folder."""
    monkeypatch.chdir(tmp_path)
    found = generator.cluster.rooted(Apart(Path("cache"), "s3://a", Look(Path("t"), None), "images"))
    assert found == Apart(tmp_path / "cache", "s3://a", Look(tmp_path / "t", None), str(tmp_path / "images"))
    assert generator.cluster.rooted(7) == 7


def test_a_scheduler_that_is_lost_is_one_line(cluster, tmp_path):
    spec_in(tmp_path)
    cluster.worker(), cluster.worker()
    (tmp_path / "trap").write_text("")
    process = subprocess.Popen(
        [sys.executable, "-m", "generator", "build", "-q", "--cluster", cluster.address],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    victim = int(until(lambda: (tmp_path / "held").exists() and (tmp_path / "held").read_text(), process))
    cluster.started[0].kill()
    out, said = process.communicate(timeout=60)
    os.kill(victim, signal.SIGKILL)
    told = "the scheduler of the cluster was lost; what was worked out is kept: build again\n"
    assert (process.returncode, out, said) == (1, "", told)
    assert not (tmp_path / "site").exists()


def test_an_interrupted_build_lets_go_of_the_cluster(cluster, tmp_path):
    """It ends at once, and what it had begun is the workers' last of it."""
    spec_in(tmp_path)
    cluster.worker(), cluster.worker()
    (tmp_path / "trap").write_text("")
    process = subprocess.Popen(
        [sys.executable, "-m", "generator", "build", "-q", "--cluster", cluster.address],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    victim = int(until(lambda: (tmp_path / "held").exists() and (tmp_path / "held").read_text(), process))
    os.killpg(process.pid, signal.SIGINT)
    out, said = process.communicate(timeout=30)
    assert (process.returncode, out, said.strip()) == (130, "", "interrupted")
    assert not (tmp_path / "site").exists()
    os.kill(victim, signal.SIGKILL)
    assert list(Workers(cluster=cluster.address).each("worker_tasks:square", [2])) == [(0, 4)]
