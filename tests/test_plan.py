"""What `atlas plan` tells beforehand, held against what a build then makes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from real_models import ROOT, missing

from generator.__main__ import main
from generator.build import build, store_of
from generator.context import crops, examples, visualize
from generator.errors import PAST_BUDGET, ImagesError, ModelError, RefusedError, SpecError
from generator.forecasting import facetimes
from generator.forecasting.budget import past_budget
from generator.forecasting.facetimes import time_key
from generator.forecasting.forecast import Forecast, forecast, memory_with, seconds_with
from generator.forecasting.hosts import HOSTS, fits_of, in_bytes
from generator.forecasting.sampling import RUN, SampleStore, sample_sizes, spread
from generator.forecasting.standins import _windows
from generator.keeping.files import Digests
from generator.picturing import FaceTask, face_tasks, picture
from generator.plans import planned
from generator.progress import Progress
from generator.site import MARKER
from generator.spec import load_spec
from generator.workers import ALONE

QUIET = Progress(quiet=True)
NET = """
import torch
from torch import nn


class Attention(nn.Module):
    def forward(self, x):
        return x @ x.transpose(2, 3)


class Fork(nn.Module):
    \"\"\"A concat of two branches, one of them depthwise, beside an operation that cannot be read through.\"\"\"

    def __init__(self, inputs):
        super().__init__()
        self.narrow = nn.Conv2d(inputs, 24, 1)
        self.wide = nn.Sequential(nn.Conv2d(inputs, 40, 3, padding=1), nn.Conv2d(40, 40, 5, padding=2, groups=40))

    def forward(self, x):
        return torch.cat([self.narrow(x), self.wide(x)], 1)


def make(width=90, attention=False, classes=12, channels=3):
    torch.manual_seed(0)
    between = Attention() if attention else nn.ReLU()
    return nn.Sequential(
        nn.Conv2d(channels, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, width, 3, padding=1), between,
        nn.Conv2d(width, 48, 3, padding=1), nn.ReLU(), Fork(48), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes),
    )
"""
SPEC = """title: Planned
models:
  - name: net
    source: planned_net:make
    input_size: 16
"""


@pytest.fixture
def spec(tmp_path):
    """Writes a spec of a small network, with more lines for the model and for the whole, and loads it."""
    (tmp_path / "planned_net.py").write_text(NET)

    def load(model: str = "", more: str = ""):
        text = SPEC + "".join(f"    {line}\n" for line in model.splitlines()) + more
        (tmp_path / "atlas.yaml").write_text(text)
        return load_spec(tmp_path / "atlas.yaml")

    return load


def held_against_its_build(spec, target: Path) -> Forecast:
    """The forecast of a spec, which its build has borne out."""
    site, models = forecast(spec, ALONE, QUIET)
    made = build(spec, target, QUIET)
    assert (site.files, site.pages) == (made.files, made.pages)
    assert site.bytes == pytest.approx(made.bytes, rel=0.1)
    files = [path for path in target.rglob("*") if path.is_file() and path.name != MARKER]
    assert site.largest == pytest.approx(max(path.stat().st_size for path in files), rel=0.25)
    entries = Counter(path.parent for path in target.rglob("*") if path.name != MARKER)
    assert entries[target / site.where] == site.widest == max(entries.values())
    assert sum(one.neurons for one in models) == site.neurons
    return site


LAYERS = 'layers: [input, "0", "3", "5", "7.wide.0", "7", "10"]'


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("", ""),
        (LAYERS, ""),
        (LAYERS, "pages: per-layer\n"),
        (f"{LAYERS}\nneurons: {{'3': 0-9, '7': [3, 30, '60-63']}}", "connections: {show: 5}\n"),
        ("", "connections: {show: 60}\nsite_url: https://example.org/atlas/\noembed: ['3', '7']\n"),
        ("arguments: {attention: true}", ""),
        ("arguments: {width: 33}", "nmf: {side: inputs, factors: 2}\n"),
    ],
)
def test_files_are_exact_and_bytes_near(spec, tmp_path, model, more):
    held_against_its_build(spec(model, more), tmp_path / "site")


def test_a_layer_whose_neurons_lie_in_folders_of_a_thousand(spec, tmp_path):
    site = held_against_its_build(spec('arguments: {classes: 3000}\nlayers: ["7", "10"]'), tmp_path / "site")
    assert site.widest <= 1000
    assert site.neurons == 3064


def test_families_and_notes_are_counted(spec, tmp_path):
    (tmp_path / "notes" / "net").mkdir(parents=True)
    (tmp_path / "notes" / "net" / "3.md").write_text("All of [[3:80]] and its like.")
    (tmp_path / "families.yaml").write_text(
        "Late:\n  neurons: {'3': [80, 84-89], '7': [1, 60]}\nEarly:\n  neurons: {'0': 0-3}\n"
    )
    held_against_its_build(spec("", "families: families.yaml\nnotes: notes\n"), tmp_path / "site")


def test_faces_that_take_long_are_counted_before_they_are_made(spec, tmp_path):
    faces = "faces: {visualization: {kind: make, size: 32, steps: 4}}\n"
    site, _ = forecast(spec(LAYERS, faces), ALONE, QUIET)
    made = build(spec(LAYERS, faces), tmp_path / "site", QUIET)
    assert (site.files, site.pages) == (made.files, made.pages)
    assert site.bytes == pytest.approx(made.bytes, rel=0.25)  # noise of a few steps is not what stands in for it


@pytest.fixture
def pictures(tmp_path):
    """Makes a folder beside the spec with so many pictures, and a file that is none."""

    def make(count: int) -> None:
        (tmp_path / "pictures").mkdir()
        for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), np.uint8)):
            Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number:03}.png")
        (tmp_path / "pictures" / "broken.png").write_bytes(b"no picture")

    return make


MADE = "faces: {visualization: {kind: make, size: 32, steps: 4}}\n"
SEEN = "faces: {images: {path: pictures, top: 2, spread: 1}}\n"
BOTH = "faces: {visualization: {kind: make, size: 32, steps: 4}, images: pictures}\n"


def test_files_are_exact_where_neurons_see_little_of_pictures_that_are_not_looked_at_yet(spec, tmp_path, pictures):
    pictures(20)
    loaded = spec('layers: ["0", "3", "10"]', SEEN)
    site, _ = forecast(loaded, ALONE, QUIET)
    assert site.files == build(loaded, tmp_path / "site", QUIET).files
    sprites = {path.parent.name for path in tmp_path.glob("site/*/*/examples*.webp")}
    large = {path.parent.name for path in tmp_path.glob("site/*/*/examples-large.webp")}
    assert len(sprites) == 3 and large < sprites  # in some, what they see is too small for a second


def dear_tasks(loaded, field: str) -> list[FaceTask]:
    """The tasks of a spec of one model for a kind of faces that takes long."""
    store = store_of(loaded)
    (model,) = planned(loaded, store, Digests(store.folder / "files.json"), ALONE, QUIET)
    return [task for task in face_tasks(loaded, model, store) if task.field == field]


def count_as_time(monkeypatch, owner: object, name: str, cost: Callable[..., int]) -> list[int]:
    """Calls of one function of the program are all that takes time from now on; gives what each took."""
    real, spent = getattr(owner, name), []

    def counted(*given):
        spent.append(cost(*given))
        return real(*given)

    monkeypatch.setattr(owner, name, counted)
    monkeypatch.setattr("time.process_time", lambda: float(sum(spent)))
    return spent


def timed(task: FaceTask) -> tuple:
    """What is kept of the time of a task."""
    return SampleStore(task.cache).get(time_key(task))


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("how", "each"),
    [("steps: 4", 4), ("steps: 40", 40), ("steps: 1", 1), ("steps: 4, negative: true", 8), ("steps: 4, images: 3", 12)],
)
def test_visualizations_take_their_steps_for_all_images_of_all_neurons(spec, monkeypatch, how, each):
    faces = f"faces: {{visualization: {{kind: make, size: 32, {how}}}}}\n"
    tasks = dear_tasks(spec('layers: ["0", "3", "5"]', faces), "looks")
    monkeypatch.setattr(facetimes, "SPENT", 10**6)
    spent = count_as_time(monkeypatch, visualize, "judge", lambda studio, images, *_: len(images))
    assert [facetimes.face_time(task)[:3] for task in tasks] == [(each * count, False, False) for count in (16, 90, 48)]
    assert len(spent) <= 3 * (1 + facetimes.STEPS)


def test_a_step_that_takes_long_is_timed_on_few_neurons(spec, monkeypatch):
    (task,) = dear_tasks(spec('layers: ["3"]', MADE), "looks")
    spent = count_as_time(monkeypatch, visualize, "judge", lambda studio, images, *_: 100 * len(images))
    assert facetimes.face_time(task).seconds == 100 * 4 * 90
    assert spent == [200, 200]


def test_batches_of_visualizations_that_are_kept_take_nothing(spec, monkeypatch):
    loaded = spec('layers: ["3"]', MADE)
    (task,) = dear_tasks(loaded, "looks")
    before, _ = forecast(loaded, ALONE, QUIET)
    assert before.kept == ()
    monkeypatch.setattr("generator.picturing.heed", interrupt)  # called after a batch
    with pytest.raises(KeyboardInterrupt):
        picture(task)
    left, (_, opening, each, _) = facetimes.face_time(task), timed(task)
    assert left[:3] == (pytest.approx(opening + each * (90 - 32)), True, False)
    after, _ = forecast(loaded, ALONE, QUIET)
    assert (after.kept, after.longest) == (("feature visualizations",), left.seconds)
    assert before.longest == pytest.approx(opening + each * 90)


@pytest.mark.parametrize(("count", "batches"), [("", 5), (", count: 65", 2), (", count: 64", 1), (", count: 1", 1)])
def test_examples_take_a_pass_over_all_pictures_that_are_asked_for(spec, pictures, monkeypatch, count, batches):
    pictures(299)  # and a broken one
    (task,) = dear_tasks(spec('layers: ["3", "5"]', f"faces: {{images: {{path: pictures{count}}}}}\n"), "examples")
    monkeypatch.setattr(facetimes, "LOOKED", 10.0)
    spent = count_as_time(monkeypatch, examples, "count_batch", lambda *_: 1)
    assert facetimes.face_time(task)[:3] == (batches, False, False)
    assert len(spent) == 1 + min(3, batches)


def test_of_pictures_that_take_long_few_are_looked_at(spec, pictures, monkeypatch):
    pictures(299)
    (task,) = dear_tasks(spec('layers: ["3"]', SEEN), "examples")
    spent = count_as_time(monkeypatch, examples, "count_batch", lambda *_: 100)
    assert facetimes.face_time(task).seconds == 500
    assert spent == [100, 100]


def test_cutting_takes_all_tiles_of_all_neurons(spec, pictures, monkeypatch):
    pictures(99)
    (task,) = dear_tasks(spec('layers: ["3", "5"]', SEEN), "examples")
    spent = count_as_time(monkeypatch, crops.Tiles, "put", lambda *_: 1)
    assert facetimes.face_time(task).seconds == pytest.approx(3 * (90 + 48))
    assert len(spent) < 3 * (90 + 48)  # those of a few pictures


def test_pictures_that_were_looked_at_take_nothing(spec, pictures, monkeypatch):
    pictures(299)
    (task,) = dear_tasks(spec('layers: ["3"]', SEEN), "examples")
    whole, told = facetimes.face_time(task), []
    monkeypatch.setattr("generator.picturing.heed", lambda _: told.append(1) or (interrupt() if len(told) > 3 else None))
    monkeypatch.setattr(examples, "collect_examples", partial(examples.collect_examples, every=64))
    with pytest.raises(KeyboardInterrupt):
        picture(task)
    left, each = facetimes.face_time(task), timed(task)[2]
    assert (whole.begun, left.begun) == (False, True)
    assert whole.seconds - left.seconds == pytest.approx(3 * each)  # it was told of none, then of each batch


def test_what_is_kept_of_faces_that_take_long_is_not_counted(spec, pictures, tmp_path, capsys):
    pictures(20)
    loaded = spec('layers: ["3"]', BOTH)
    before, _ = forecast(loaded, ALONE, QUIET)
    assert (before.kept, before.at_most) == ((), False)
    assert min(before.longest, before.threaded) > 0
    build(loaded, tmp_path / "site", QUIET)
    after, _ = forecast(loaded, ALONE, QUIET)
    assert after.kept == ("feature visualizations", "dataset examples")
    assert (after.longest, after.threaded) == (0, 0)
    _, out, _ = run(capsys, str(loaded._path), "-j", "1", "-q")
    assert "# the seconds are without what is kept of its feature visualizations and dataset examples\n" in out


def test_of_many_steps_it_says_that_it_may_be_fewer(spec, capsys):
    path = str(spec('layers: ["0"]', "faces: {visualization: {kind: make, size: 16, steps: 96}}\n")._path)
    _, out, _ = run(capsys, path, "-j", "1", "-q")
    assert "# the seconds are at most, as feature visualizations may end before their last step\n" in out
    _, out, _ = run(capsys, path, "-j", "1", "--json")
    assert (json.loads(out)["site"]["at_most"], json.loads(out)["site"]["kept"]) == (True, [])


def test_faces_that_take_long_are_timed_once(spec, pictures, monkeypatch):
    pictures(20)
    first, _ = forecast(spec('layers: ["3"]', BOTH), ALONE, QUIET)
    monkeypatch.setattr("generator.survey.opened_once", lambda *_: pytest.fail("opened the model"))
    monkeypatch.setattr(visualize, "climb", lambda *_: pytest.fail("made images"))
    monkeypatch.setattr(examples, "count_batch", lambda *_: pytest.fail("looked at pictures"))
    again, _ = forecast(spec('layers: ["3"]', f"{BOTH}description: Other words.\n"), ALONE, QUIET)
    assert (again.longest, again.threaded) == (first.longest, first.threaded)


@pytest.mark.parametrize(
    ("model", "faces", "error", "words"),
    [
        ("", "images: nowhere", SpecError, "faces.images: found 'nowhere', expected a file or folder that is there"),
        ("", "images: planned_net.py", ImagesError, "is neither a folder nor a zip that can be read"),
        ("", "images: pictures", ImagesError, "none of 1 pictures can be used; broken.png"),
        ("arguments: {channels: 5}", "visualization: make", ModelError, r"^net: 0: its model reads 5 channels"),
        ("", "layers: {nothing: none}", SpecError, "found 'nothing', expected one of the chosen layers"),
    ],
)
def test_a_mistake_is_told_as_the_build_tells_it(spec, pictures, tmp_path, model, faces, error, words):
    pictures(0)
    loaded = spec(f'layers: ["0", "3"]\n{model}', f"faces: {{{faces}}}\n")
    with pytest.raises(error, match=words) as before:
        forecast(loaded, ALONE, QUIET)
    with pytest.raises(error) as after:
        build(loaded, tmp_path / "site", QUIET)
    assert str(before.value) == str(after.value)


def test_two_models_are_told_apart_and_together(spec, tmp_path):
    second = "  - {name: other, source: 'planned_net:make', input_size: 16, arguments: {width: 40}}\n"
    site, models = forecast(spec("", second), ALONE, QUIET)
    assert [one.name for one in models] == ["net", "other"]
    made = build(spec("", second), tmp_path / "site", QUIET)
    assert site.files == made.files
    for one in models:
        paths = [path for path in (tmp_path / "site" / one.name).rglob("*") if path.is_file()]
        assert (one.files, one.pages) == (len(paths), sum(path.suffix == ".html" for path in paths))
        assert one.bytes == pytest.approx(sum(path.stat().st_size for path in paths), rel=0.1)


def test_a_build_is_the_same_with_a_plan_before_it(spec, tmp_path):
    build(spec("", "cache: {folder: other}\n"), tmp_path / "one", QUIET)
    forecast(spec(), ALONE, QUIET)
    build(spec(), tmp_path / "two", QUIET)
    one, two = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("one", "two")
    )
    assert one == two


def test_only_a_sample_of_a_layer_is_worked_out(spec, monkeypatch):
    asked = []
    real = __import__("generator.reading", fromlist=["weights_into"]).weights_into

    def counting(graph, target, sources, blocked=(), units=()):
        asked.append(len(units))
        return real(graph, target, sources, blocked, units)

    monkeypatch.setattr("generator.reading.weights_into", counting)
    forecast(spec(), ALONE, QUIET)
    assert asked
    assert all(0 < count <= 32 for count in asked)


def test_a_second_plan_opens_no_model(spec, monkeypatch):
    first = forecast(spec(), ALONE, QUIET)
    monkeypatch.setattr("generator.survey.opened_once", lambda *_: pytest.fail("opened the model"))
    assert forecast(spec(), ALONE, QUIET) == first


def test_torch_is_not_imported_before_it_is_needed():
    code = "import sys, generator.forecasting.forecast; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_path_that_cannot_be_read_is_an_error_as_it_will_be_in_the_build(spec):
    with pytest.raises(RefusedError, match="matmul"):
        forecast(spec('arguments: {attention: true}\nlayers: ["3", "5"]'), ALONE, QUIET)


# -- samples --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("neurons", [1, 7, 31, 32, 33, 100, 2048])
@pytest.mark.parametrize("size", [1, 8, 32, 60])
def test_a_sample_has_its_size_and_spans_the_layer(neurons, size):
    units = spread(neurons, size)
    assert len(units) == min(neurons, size)
    assert list(units) == sorted(set(units))
    assert units[0] >= 0
    assert units[-1] < neurons
    if size >= 8:
        assert units[0] == 0
        assert units[-1] >= neurons - 2 * RUN


def test_a_sample_holds_whole_groups_of_a_convolution():
    assert [unit % RUN for unit in spread(250, 32)] == list(range(RUN)) * 4


@pytest.mark.parametrize(
    ("neurons", "rows", "sizes"), [(1, 20, (1,)), (32, 20, (32,)), (33, 20, (8, 32)), (64, 90, (64,)), (91, 90, (8, 90))]
)
def test_small_layers_have_one_sample_and_large_ones_two(neurons, rows, sizes):
    assert sample_sizes(neurons, rows) == sizes


@pytest.mark.parametrize("shape", [(4, 3, 2, 2), (4, 1), (1, 5), (8, 8, 1, 1)])
@pytest.mark.parametrize("neurons", [1, 4, 50])
def test_windows_show_the_sample_s_own_numbers_and_take_no_memory(shape, neurons):
    sample = np.random.default_rng(0).random(shape).astype(np.float32)
    found = _windows(sample, neurons)
    assert found.shape == (neurons, *shape[1:])
    assert np.isin(found, sample).all()


# -- budget and hosts -----------------------------------------------------------------------------------------------------

SITE = Forecast("", 3, 40, 900, 50, 19_999, 2 * 10**9, 30 * 10**6, 200, "net/3", 1000.0, 3.0, 10**8, 5 * 10**8, 2 * 10**8)


def test_every_limit_that_is_exceeded_is_told_with_its_place(spec):
    limits = "budget:\n  bytes: 1 GB\n  files: 19998\n  seconds: 10 minutes\n  memory: 1.2 GB\n"
    assert past_budget(spec("", limits), SITE, 700.0, 1_300_000_000) == [
        f"{spec('', limits)._path}:7:10: budget.bytes: found about 2.0 GB, expected at most 1.0 GB",
        f"{spec('', limits)._path}:8:10: budget.files: found 19,999 files, expected at most 19,998",
        f"{spec('', limits)._path}:9:12: budget.seconds: found about 11 min 40 s, expected at most 10 min 0 s",
        f"{spec('', limits)._path}:10:11: budget.memory: found about 1.3 GB, expected at most 1.2 GB",
    ]


def test_what_is_at_its_limit_is_within_it_and_no_limit_is_none(spec):
    assert past_budget(spec("", "budget: {files: 19999, bytes: 2 GB}\n"), SITE, 700.0, 10**10) == []
    assert past_budget(spec(), SITE, 10**6, 10**12) == []


def test_a_host_says_which_of_its_limits_are_exceeded():
    found = {fit.host.name: fit.exceeded for fit in fits_of(SITE, 700.0)}
    assert found["GitHub Pages"] == ("2.0 GB, 1.0 GB at most", "12 minutes, 10 at most")
    assert found["Cloudflare Pages, free"] == ("a file of 30 MB, 25 MiB at most",)  # with its list of files it has 20,000
    assert found["Vercel"] == ("20,000 files, 15,000 at most",)
    assert all(not fit.exceeded for fit in fits_of(SITE._replace(files=100, bytes=10**6, largest=10**5), 60.0))
    assert all(host.source.startswith("https://") for host in HOSTS)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 KB"), (9_960, "10 KB"), (999_600, "1.0 MB"), (25 * 2**20, "25 MiB"),
     (1_240_000_000, "1.2 GB"), (10**15, "1,000 TB")],
)  # fmt: skip
def test_bytes_read_as_people_say_them(count, words):
    assert in_bytes(count) == words


def test_more_processes_take_less_time_and_more_memory():
    assert seconds_with(SITE, 1, 4) < seconds_with(SITE, 1, 2) < seconds_with(SITE, 1, 1)
    assert memory_with(SITE, 1) < memory_with(SITE, 2)
    assert memory_with(SITE._replace(own=0), 2) == 0  # not known


def test_a_layer_of_visualizations_is_made_by_one_process_and_pictures_are_looked_at_by_all_processors(monkeypatch):
    monkeypatch.setattr("generator.forecasting.forecast.processors", lambda: 4)
    site = SITE._replace(opening=0.0)
    assert seconds_with(site._replace(longest=400.0), 1, 2) == seconds_with(site, 1, 2) == 501.0
    assert seconds_with(site._replace(longest=400.0), 1, 10) == 401.0
    assert seconds_with(site._replace(threaded=200.0), 1, 1) == 1 + 800 + 50
    assert seconds_with(site._replace(threaded=200.0), 1, 10) == seconds_with(site, 1, 10) == 101.0


# -- the command ----------------------------------------------------------------------------------------------------------


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["plan", *arguments])
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def test_piped_it_prints_columns_between_tabs(spec, capsys):
    path = str(spec()._path)
    code, out, _ = run(capsys, path, "-j", "1", "-q")
    assert code == 0
    head, net, site, blank, hosts, *each = [line.split("\t") for line in out.splitlines()]
    assert head[:3] == ["model", "layers", "neurons"]
    assert len(net) == len(site) == len(head)
    assert net[0], site[0] == ("net", "the site")
    assert (blank, hosts) == ([""], ["host", "fits", "because"])
    assert [row[1] for row in each] == ["yes", "yes", "yes"]


def test_json_holds_the_site_its_models_and_the_hosts(spec, capsys):
    code, out, err = run(capsys, str(spec()._path), "-j", "1", "--json")
    said = json.loads(out)
    assert (code, err) == (0, "")
    assert said["site"]["files"] > said["models"][0]["files"] > 0
    assert said["models"][0]["name"] == "net"
    assert {host["name"]: host["fits"] for host in said["hosts"]} == {host.name: True for host in HOSTS}
    assert said["past_budget"] == []


def test_past_the_budget_it_ends_with_three_and_a_line_for_each_limit(spec, capsys):
    path = str(spec("", "budget:\n  files: 10\n  bytes: 1 KB\n")._path)
    code, out, err = run(capsys, path, "-j", "1", "-q")
    assert code == PAST_BUDGET == 3
    assert out.startswith("model\t")
    lines = err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{path}:8:10: budget.bytes: found about ") and lines[0].endswith("expected at most 1.0 KB")
    assert lines[1].startswith(f"{path}:7:10: budget.files: found ") and lines[1].endswith(" files, expected at most 10")


# -- real models ----------------------------------------------------------------------------------------------------------


def test_a_real_network_is_forecast_as_it_is_built(tmp_path):
    if missing("resnet20"):
        pytest.skip(missing("resnet20"))
    text = (ROOT / "examples" / "resnet20.yaml").read_text().replace("../../shared", str(ROOT.parent / "shared"))
    (tmp_path / "nets.py").write_text((ROOT / "examples" / "nets.py").read_text())
    (tmp_path / "atlas.yaml").write_text(text)
    held_against_its_build(load_spec(tmp_path / "atlas.yaml"), tmp_path / "site")
