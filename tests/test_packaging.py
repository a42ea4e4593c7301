"""The package as others get it: an sdist, a wheel from it, and an atlas built by that wheel where there is no checkout."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest brings it along there
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
BUNDLED = "generator/models/bundled"
TRAINED = (ROOT / BUNDLED / "tiny_inception.safetensors").is_file()
DATA = [f"{BUNDLED}/classes.tsv", f"{BUNDLED}/MODEL_CARD.md", *([f"{BUNDLED}/tiny_inception.safetensors"] if TRAINED else [])]
IMPORTED_AS = {
    "markdown-it-py": "markdown_it",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "dask[distributed]": "distributed",
}
PART_OF = {"markupsafe": "jinja2", "pydantic_core": "pydantic"}  # each is the other's own, and comes with it
NETS = """
from torch import nn

def small():
    return nn.Sequential(nn.Conv2d(3, 8, 5), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1))
"""


def run(*command, cwd, check=True):
    """Run a command that sees nothing of this checkout; its output is in the message where it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment["OMP_NUM_THREADS"] = "2"
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        pytest.fail(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}", pytrace=False)
    return done


def package(kind, source, into):
    """The one file that `python -m build` makes."""
    run(sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", into, source, cwd=into)
    (made,) = into.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    return package("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(sdist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (top,) = folder.iterdir()
    return top


@pytest.fixture(scope="module")
def wheel(unpacked, tmp_path_factory):
    return package("wheel", unpacked, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of commands of an environment with the wheel; only third-party packages are borrowed from this one.

    They are lent by a .pth file, whose folders come last and whose own .pth files (an editable install of this project) are
    not read.
    """
    home = tmp_path_factory.mktemp("environment") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home.parent)
    commands = home / ("Scripts" if os.name == "nt" else "bin")
    python = commands / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=home)
    own = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).stdout.strip())
    lent = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (own / "lent.pth").write_text("\n".join(lent) + "\n")
    return commands


def sources(folder):
    return {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file() and is_source(path)}


def is_source(path):
    return not {"__pycache__", "node_modules"} & set(path.parts) and not path.name.startswith(".")


def test_the_sdist_holds_everything_that_a_checkout_is_built_and_tested_from(unpacked):
    held = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    wanted = {"LICENSE", "README.md", "CONTRIBUTING.md", "Makefile", "atlas.yaml", "pyproject.toml", *DATA}
    for folder in ("generator", "templates", "static", "tests"):
        wanted |= sources(folder)
    assert wanted - held == set()
    assert not {path for path in held if ".atlas-cache" in path}  # where the examples have been built there is one


def test_the_wheel_holds_the_package_with_templates_and_styles_inside_and_nothing_else(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    inside = {f"generator/{name}" for folder in ("templates", "static") for name in sources(folder)}
    assert held == sources("generator") | inside
    assert set(DATA) <= held


def test_the_wheel_carries_the_licence_and_the_command(wheel):
    archive = zipfile.ZipFile(wheel)
    (licence,) = (name for name in archive.namelist() if name.endswith("/LICENSE"))
    (entries,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
    assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert "atlas = generator.__main__:main" in archive.read(entries).decode()


def test_the_installed_package_knows_nothing_of_the_checkout(installed, tmp_path):
    code = "import generator, sys; print(generator.__file__); print('\\n'.join(sys.path))"
    module, *paths = run(installed / "python", "-c", code, cwd=tmp_path).stdout.splitlines()
    assert Path(module).is_relative_to(installed.parent)
    assert str(ROOT) not in paths


def test_a_wheel_in_a_clean_environment_builds_an_atlas_in_an_empty_folder(installed, unpacked, tmp_path):
    source, few = "bundled", "layers: [input, conv0, conv1, mixed3a]"  # enough to be an atlas
    if not TRAINED:  # a network without the bundled one's weights
        source, few = "nets:small", "layers: auto"
        (tmp_path / "nets.py").write_text(NETS)
    run(installed / "atlas", "init", source, cwd=tmp_path)
    spec = (tmp_path / "atlas.yaml").read_text()
    assert spec.count("\n    layers: auto") == 1
    (tmp_path / "atlas.yaml").write_text(spec.replace("\n    layers: auto", f"\n    {few}"))
    run(installed / "atlas", "build", "--quiet", cwd=tmp_path)
    site = tmp_path / "site"
    for style in sources("static"):
        assert (site / Path(style).name).read_bytes() == (unpacked / style).read_bytes()
    assert "atlas.css" in (site / "index.html").read_text("utf-8")
    assert list(site.glob("*/*/0.html"))


def test_an_installed_package_takes_its_templates_from_inside_itself(installed, tmp_path):
    code = "from generator.look import beside; print(beside('templates')); print(beside('static'))"
    for folder in run(installed / "python", "-c", code, cwd=tmp_path).stdout.split():
        assert Path(folder).is_relative_to(installed.parent)
        assert list(Path(folder).iterdir())


def test_the_spec_that_init_writes_is_the_only_thing_it_leaves(installed, tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    run(installed / "atlas", "init", "nets:small", cwd=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {"nets.py", "atlas.yaml"}


def test_every_package_that_is_imported_is_declared_and_every_declared_one_is_imported():
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["cluster"]]
    names = [re.match(r"[\w.-]+(\[distributed\])?", each)[0] for each in declared]
    assert {IMPORTED_AS.get(name, name) for name in names} == set(third_party(ROOT / "generator"))


def third_party(folder):
    """The top-level names that the modules of a folder import, other than Python's and the project's own."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in {each.partition(".")[0] for each in names} - sys.stdlib_module_names - {"generator"}:
                yield PART_OF.get(name, name)


def test_importing_the_command_imports_nothing_heavy(installed, tmp_path):
    code = "import generator.__main__, sys; print({'torch', 'numpy', 'yaml'} & set(sys.modules))"
    assert run(installed / "python", "-c", code, cwd=tmp_path).stdout.strip() == "set()"


MAKE = pytest.mark.skipif(not shutil.which("make"), reason="make is not here")


@pytest.fixture
def checkout(tmp_path):
    """A folder with the Makefile and a stand-in for Python that makes environments whose pip only writes down its calls."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    fake = tmp_path / "fakepython"
    fake.write_text(
        "#!/bin/sh\n"
        'case "$1 $2" in\n'
        f'"-m venv") echo venv >> calls; mkdir -p "$3/bin"; cp {fake} "$3/bin/python";;\n'
        '"-m pip") echo pip >> calls; test ! -e broken;;\n'
        '"-m pytest") echo pytest >> calls;;\n'
        "esac\n"
    )
    fake.chmod(0o755)
    return tmp_path


def make(folder, *arguments):
    """`make test` in a folder, with the stand-in; gives its exit code, the calls it made and all it said."""
    (folder / "calls").unlink(missing_ok=True)
    done = run("make", "test", "PYTHONS=./fakepython", *arguments, cwd=folder, check=False)
    calls = (folder / "calls").read_text().split() if (folder / "calls").exists() else []
    return done.returncode, calls, done.stdout + done.stderr


@MAKE
def test_make_installs_once(checkout):
    assert make(checkout)[:2] == (0, ["venv", "pip", "pytest"])
    assert make(checkout)[:2] == (0, ["pytest"])


@MAKE
def test_make_installs_into_the_same_environment_when_pyproject_has_changed(checkout):
    make(checkout)
    stamp = (checkout / ".venv" / "installed").stat()
    os.utime(checkout / "pyproject.toml", (stamp.st_atime + 5, stamp.st_mtime + 5))
    assert make(checkout)[1] == ["pip", "pytest"]


@MAKE
def test_make_begins_anew_after_an_install_that_was_broken_off(checkout):
    (checkout / "broken").touch()
    code, calls, _ = make(checkout)
    assert (code != 0, calls) == (True, ["venv", "pip"])
    (checkout / ".venv" / "half").touch()
    (checkout / "broken").unlink()
    assert make(checkout)[1] == ["venv", "pip", "pytest"]
    assert not (checkout / ".venv" / "half").exists()


@MAKE
def test_make_begins_anew_where_the_folder_has_been_moved(checkout, tmp_path_factory):
    make(checkout)
    moved = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(checkout, moved)
    assert make(moved)[1] == ["venv", "pip", "pytest"]


@MAKE
def test_make_leaves_an_environment_that_it_did_not_make(checkout):
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "mine").touch()
    code, calls, said = make(checkout)
    assert (code != 0, calls) == (True, [])
    assert "was not made by make" in said
    run("make", "clean", cwd=checkout, check=False)
    assert (checkout / ".venv" / "mine").exists()


@MAKE
@pytest.mark.parametrize(
    ("python", "says"),
    [
        ("exit 1", "No Python >= 3.10 was found"),
        ('case "$2" in *ensurepip*) exit 1;; esac', "apt install python3-venv"),
    ],
)
def test_make_says_what_is_missing_of_python(checkout, python, says):
    (checkout / "fakepython").write_text(f"#!/bin/sh\n{python}\n")
    code, _, said = make(checkout)
    assert code != 0
    assert says in said
    assert not (checkout / ".venv").exists()


@MAKE
def test_make_alone_lists_every_target(checkout):
    said = run("make", cwd=checkout).stdout
    (phony,) = re.findall(r"^\.PHONY: ([a-z -]+)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert re.findall(r"^  ([a-z-]+) ", said, flags=re.MULTILINE) == phony.split()
