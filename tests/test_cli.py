"""The command line: what it prints where, and how it ends."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

from generator.__main__ import main
from generator.build import Want
from generator.commands.layers import HEADS
from generator.errors import AtlasError, LayerError
from generator.progress import Progress, duration
from generator.records import Layer
from generator.spec import load_spec
from generator.workers import Workers, workers_of

REPOSITORY = Path(__file__).parents[1]
GOOD = "title: t\nmodels:\n  - {name: one, source: bundled}\n  - {name: two, source: 'nets:make'}\n"
LAYERS = (
    Layer("input", "input", 3, (8, 8), None, None, 0, (), (), ()),
    Layer("conv1", "Conv2d", 16, (8, 8), (1, 7), (1, 1), 336, ("input",), ("bn1", "relu"), ()),
    Layer("0", "add", 16, None, None, None, 0, ("conv1", "input"), (), ()),
)


@dataclass
class Loaded:
    module: object
    input_shape: tuple


@dataclass
class Traced:
    layers: dict


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """A good spec named atlas.yaml in the working folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "atlas.yaml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def calls(monkeypatch):
    """Stands in for the stages that need torch, and keeps what they were called with."""
    seen = []
    stand_in(
        monkeypatch,
        "generator.models",
        load_model=lambda model, folder: seen.append((model, folder)) or Loaded(model.name, (3, 8, 8)),
    )
    table = {layer.address: layer for layer in LAYERS}
    stand_in(
        monkeypatch, "generator.graph", trace=lambda module, shape: Traced(table), choose=lambda graph, patterns: ("input", "0")
    )
    stand_in(
        monkeypatch,
        "generator.build",
        Want=Want,
        build=lambda *given: seen.append(given) or "3 pages",
        check=lambda given: ["one: 3 layers"],
    )
    return seen


def stand_in(monkeypatch, name, **members):
    module = types.ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)


def run(capsys, *arguments):
    """Exit code, standard output and standard error of the command in this process."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def atlas(*arguments, **options):
    """The command in a process of its own."""
    command = [sys.executable, "-m", "generator", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, **options)


@pytest.mark.parametrize(
    "command", [(), ("build",), ("check",), ("layers",), ("schema",), ("init",), ("link-figure",), ("clean",)]
)
def test_every_help_has_an_example(capsys, command):
    code, out, _ = run(capsys, *command, "--help")
    assert code == 0
    assert re.search(rf"Examples?:\n +atlas {' '.join(command)}", out)


def test_the_help_documents_every_exit_code(capsys):
    _, out, _ = run(capsys, "--help")
    assert re.findall(r"^ +(\d+)  ", out, flags=re.MULTILINE) == ["0", "1", "2", "3", "130"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nonsense",),
        ("chek",),
        ("build", "a.yaml", "b.yaml"),
        ("build", "-o"),
        ("layers", "atlas.yaml", "--source", "bundled"),
        ("layers", "--model", "three"),
        ("layers", "--source", "vgg"),
        ("init", "vgg"),
        ("init",),
        ("check", "none.yaml"),
        ("build", "none.yaml"),
        ("check", "--site", "nosite"),
        ("link-figure", "no.svg", "--atlas", "site"),
        ("init", "--generator", "x", "-o", "new.yaml"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_2(capsys, spec, calls, arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_no_command_at_all_is_the_help_and_2(capsys):
    code, out, err = run(capsys)
    assert (code, out) == (2, "")
    assert "Exit codes:" in err


def test_every_mistake_of_a_spec_is_a_line_on_the_standard_error(capsys, spec):
    spec.write_text("titel: t\nmodels: []\n")
    code, out, err = run(capsys, "check")
    assert (code, out) == (2, "")
    assert [line.split(": ")[0] for line in err.splitlines()] == ["atlas.yaml:1:1", "atlas.yaml:1:1", "atlas.yaml:2:9"]


def test_build_hands_over_spec_folder_and_progress(capsys, spec, calls):
    code, out, err = run(capsys, "build")
    loaded, target, progress, want = calls.pop()
    assert (code, out, err) == (0, f"3 pages\nto look at it, open {Path('site/index.html')}\n", "")
    assert (loaded.title, target, type(progress), want) == ("t", Path("site"), Progress, Want(workers_of(None)))


def test_build_hands_over_who_works_and_what_is_asked(capsys, spec, calls, monkeypatch):
    run(capsys, "build", "--jobs", "3", "--fresh")
    assert calls.pop()[3] == Want(Workers(3), fresh=True)
    monkeypatch.setenv("ATLAS_JOBS", "5")
    run(capsys, "build", "--cluster", "tcp://there:8786", "--only", "one/0")
    _, target, _, want = calls.pop()
    assert (target, want) == (Path("site-only"), Want(Workers(5, "tcp://there:8786"), only="one/0"))
    assert run(capsys, "build", "--jobs", "0")[0] == 2


def test_the_folder_of_the_site_is_beside_the_spec_unless_given(capsys, spec, calls, monkeypatch):
    monkeypatch.chdir(spec.parent.parent)
    run(capsys, "build", str(spec))
    assert calls.pop()[1] == spec.parent / "site"
    run(capsys, "build", str(spec), "-o", "elsewhere")
    assert calls.pop()[1] == Path("elsewhere")


def test_quiet_says_nothing(capsys, spec, calls):
    assert run(capsys, "build", "--quiet") == (0, "", "")


def test_check_prints_the_lines_it_gets(capsys, spec, calls):
    assert run(capsys, "check") == (0, "one: 3 layers\n", "")


def test_a_failure_that_is_not_ours_is_its_lines_and_its_code(capsys, spec, calls, monkeypatch):
    def fail(error):
        def build(*given):
            raise error

        stand_in(monkeypatch, "generator.build", build=build, Want=Want)
        return run(capsys, "build")

    assert fail(AtlasError("disk full")) == (1, "", "disk full\n")
    assert fail(LayerError("no layer 'x'")) == (2, "", "no layer 'x'\n")


def test_our_own_mistake_is_a_traceback(spec, calls, monkeypatch):
    stand_in(monkeypatch, "generator.build", build=lambda *given: 1 / 0, Want=Want)
    with pytest.raises(ZeroDivisionError):
        main(["build"])


def test_a_folder_in_place_of_a_spec_leads_to_the_check_of_sites(capsys, spec, calls):
    (spec.parent / "site").mkdir()
    code, out, err = run(capsys, "check", "site")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "site is a folder, not a spec. A built site? atlas check --site site" in err


def test_layers_piped_are_lines_with_tabs(capsys, spec, calls):
    code, out, err = run(capsys, "layers", "--model", "two")
    assert (code, err) == (0, "")
    assert [line.split("\t") for line in out.splitlines()] == [
        list(HEADS),
        ["input", "input", "3", "", "8x8", "auto", "", ""],
        ["conv1", "Conv2d", "16", "1x7", "8x8", "", "input", "bn1, relu"],
        ["0", "add", "16", "", "", "auto", "conv1, input", ""],
    ]
    assert [(model.name, folder) for model, folder in calls] == [("two", Path())]


def test_layers_of_several_models_are_headed_by_their_names(capsys, spec, calls):
    _, out, _ = run(capsys, "layers")
    assert [line for line in out.splitlines() if line.startswith("#")] == ["# one", "# two"]


def test_layers_of_a_source_need_no_spec_and_no_weights(capsys, tmp_path, monkeypatch, calls):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, "layers", "--source", "torchvision:vgg16")
    assert (code, out.count("\n"), calls[0][0].weights) == (0, 4, "")


def test_layers_on_a_terminal_are_a_drawn_table(capsys, spec, calls, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    _, out, _ = run(capsys, "layers", "--model", "one")
    assert "\t" not in out
    assert re.search(r"conv1 +Conv2d +16 +1x7 +8x8 +input +bn1, relu", out)


def test_schema_prints_json(capsys):
    code, out, _ = run(capsys, "schema")
    assert (code, json.loads(out)["$schema"]) == (0, "https://json-schema.org/draft/2020-12/schema")


def test_init_writes_a_spec_that_loads_and_overwrites_none_unless_forced(capsys, tmp_path, monkeypatch, calls):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "atlas.yaml"
    assert run(capsys, "init", "torchvision:vgg16")[0] == 0
    assert (load_spec(path).models[0].weights, load_spec(path).models[0].layers) == ("DEFAULT", ("auto",))
    assert '#   - input\n    #   - "0"\n' in path.read_text()
    assert run(capsys, "init", "nets:make") == (2, "", "atlas.yaml: is there already; --force overwrites it\n")
    assert load_spec(path).models[0].source == "torchvision:vgg16"
    assert run(capsys, "init", "nets:make", "--weights", "runs/no: 1.pth", "--force")[0] == 0
    assert load_spec(path).models[0].weights == "runs/no: 1.pth"


@pytest.mark.parametrize(
    ("source", "weights", "tried"),
    [
        ("nets:make", "a.pth", "a.pth"),
        ("bundled", "a.pth", "a.pth"),
        ("torchvision:vgg16", "./a", "./a"),
        ("torchvision:vgg16", "DEFAULT", ""),  # which would be downloaded
        ("nets:make", "none", "none"),
    ],
)
def test_init_tries_the_file_of_weights_as_build_would(capsys, tmp_path, monkeypatch, calls, source, weights, tried):
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "init", source, "--weights", weights)[0] == 0
    ((model, folder),) = calls
    assert (model.weights, folder) == (tried, Path())


def test_init_refuses_weights_that_are_not_there(tmp_path):
    ended = atlas("init", "--weights", "missing.pth", cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "there is no file 'missing.pth'" in ended.stderr
    assert not (tmp_path / "atlas.yaml").exists()


def test_the_first_spec_of_the_bundled_network_names_it_as_the_demo_does(capsys, tmp_path, monkeypatch, calls):
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "init")[0] == 0
    made, demo = load_spec("atlas.yaml"), load_spec(REPOSITORY / "atlas.yaml")
    assert (made.title, made.models[0].name) == (demo.title, demo.models[0].name)


def test_init_into_a_folder_that_is_not_there_fails_in_one_line(capsys, tmp_path, calls):
    code, _, err = run(capsys, "init", "-o", str(tmp_path / "none" / "atlas.yaml"))
    assert (code, err) == (1, f"{tmp_path}/none/atlas.yaml: cannot be written: No such file or directory\n")


@pytest.mark.parametrize(("arguments", "code"), [(("--help",), 0), (("schema",), 0), (("check", "none.yaml"), 2)])
def test_what_needs_no_network_imports_no_torch(tmp_path, arguments, code):
    """So that help and mistakes come at once (0.2 s); the time itself is not asserted, machines differ."""
    script = (
        f"import sys; from generator.__main__ import main\ntry: main({list(arguments)})\nfinally: print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (code, "False")


def test_exit_codes_and_streams_of_the_real_process(tmp_path):
    (tmp_path / "bad.yaml").write_text("title: no\n")
    bad = atlas("check", "bad.yaml", cwd=tmp_path)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.splitlines()[-1].startswith("bad.yaml:1:8: title: found no, which YAML reads as false")
    assert atlas("--version").returncode == 0
    assert atlas("chek").returncode == 2


@pytest.mark.parametrize("wait", ["time.sleep(60)", "exec('time.sleep(60)')"])
def test_an_interrupt_ends_with_130_and_without_a_traceback(spec, wait):
    """The build is a stand-in that waits: what is tested is the way out, also from code that was compiled from text."""
    (spec.parent / "waiting.py").write_text(f"""
import sys, time, types
from generator.__main__ import main
from generator.build import Want
def build(*given):
    print("waiting", flush=True)
    {wait}
sys.modules["generator.build"] = types.SimpleNamespace(build=build, Want=lambda *given: given)
main(["build"])
""")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-m", "waiting"], text=True, cwd=spec.parent, env=environment, **pipes)
    assert process.stdout.readline() == "waiting\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err.strip()) == (130, "interrupted")
    assert time.monotonic() - began < 5


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_piped_progress_is_one_plain_line_a_stage(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    progress = Progress(stream=stream)
    with progress.stage("weights", 1200) as step:
        step(1)
        assert stream.getvalue() == ""
        step(1199)
    with progress.stage("tracing"):
        pass
    progress.note("a note")
    assert re.fullmatch(r"weights: 1,200 in \d\.\d s\ntracing: \d\.\d s\na note\n", stream.getvalue())


def test_quiet_progress_is_nothing():
    stream = Terminal()
    progress = Progress(quiet=True, stream=stream)
    with progress.stage("weights", 2) as step:
        step(2)
    progress.note("a note")
    assert stream.getvalue() == ""


def test_progress_on_a_terminal_draws_counts_and_time_left(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    with Progress(stream=stream).stage("weights [unit]", 3) as step:
        step(2)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert re.search(r"weights \[unit\] .* 2/3 .* left", plain)
    assert re.search(r"weights \[unit\]: 2 in \d\.\d s\n$", plain)


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress(stream=stream).stage("weights", 1) as step:
        step(1)
    assert "\x1b" not in stream.getvalue()


def test_a_stage_that_fails_leaves_no_line_and_lets_the_error_through():
    stream = io.StringIO()

    def fail():
        with Progress(stream=stream).stage("weights", 3) as step:
            step(1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (59.97, "1 min 0 s"), (75, "1 min 15 s"), (3599.7, "1 h 0 min"), (3700, "1 h 1 min")],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert duration(seconds) == text
