"""What the documents say, held against the program."""

import re
import textwrap
from pathlib import Path

import pytest

import generator.__main__
from generator import errors
from generator.models import load_model
from generator.spec import ModelSpec, load_spec

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
DOCUMENTS = {"README.md": README, "CONTRIBUTING.md": CONTRIBUTING}
BASES = (ROOT, ROOT / "generator")  # what the paths in a document may be relative to
MADE = ("site/", "runs/", "../shared", "MODEL/")  # places that a document names and a checkout does not hold


def blocks(text, language):
    """The fenced blocks of one language, without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, flags=re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(body) for _, body in found]


def rows(text, head):
    """The rows of the table whose first column has this head: the cells of each."""
    table = re.search(rf"^\| {head} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, flags=re.MULTILINE)[1]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def code_words(text):
    """Everything that stands between backticks in a line."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))


def test_the_spec_in_the_readme_is_right(tmp_path):
    (text,) = blocks(README, "yaml")
    assert len(text.splitlines()) <= 15
    path = tmp_path / "atlas.yaml"
    path.write_text(text)
    assert [model.name for model in load_spec(path).models] == ["tiny-inception", "googlenet"]


def test_the_network_in_the_readme_can_be_loaded_with_the_arguments_it_names(tmp_path):
    (text,) = blocks(README, "python")
    (tmp_path / "nets.py").write_text(text)
    (width,) = re.findall(r"`arguments: \{width: (\d+)\}`", README)
    spec = ModelSpec(name="small", source="nets:small", input_size=32, arguments={"width": int(width)})
    assert load_model(spec, tmp_path).module[0].out_channels == int(width)


def test_the_readme_lists_every_command_and_no_other():
    listed = [re.match(r"`atlas ([\w-]+)", row[0])[1] for row in rows(README, "Command")]
    assert sorted(listed) == sorted(generator.__main__.atlas.commands)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_that_a_document_names_is_there(document):
    named = {words.split()[1] for words in code_words(DOCUMENTS[document]) if re.match(r"atlas [a-z]", words)}
    assert named <= set(generator.__main__.atlas.commands)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_that_a_document_names_is_there(document):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE)
    named = re.findall(r"(?:^    |`)make ([a-z-]+)", DOCUMENTS[document], flags=re.MULTILINE)
    assert named
    assert set(named) <= set(targets)


def test_the_exit_codes_in_the_readme_are_those_of_the_program():
    codes = {int(code): meaning for code, meaning in rows(README, "Exit code")}
    assert set(codes) == {0, errors.FAILED, errors.SPEC, errors.PAST_BUDGET, generator.__main__.INTERRUPTED}
    assert codes[0] == "good"
    assert codes[errors.FAILED] == "failed"
    assert "spec" in codes[errors.SPEC]
    assert "budget" in codes[errors.PAST_BUDGET]
    assert codes[generator.__main__.INTERRUPTED] == "interrupted"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_a_document_leads_somewhere(document):
    links = re.findall(r"\]\(([^)]+)\)", DOCUMENTS[document])
    missing = [link for link in links if not re.match(r"https?://", link) and not (ROOT / link).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_a_document_names_is_there(document):
    paths = [words for words in code_words(DOCUMENTS[document]) if re.fullmatch(r"[\w./-]*/[\w./-]*", words)]
    missing = [path for path in paths if not path.startswith(MADE) and not any((base / path).exists() for base in BASES)]
    assert missing == []


def test_the_map_has_every_module_once():
    listed = []
    for row in rows(CONTRIBUTING, "Module"):
        names = code_words(row[0])
        folder = names.pop(0) if names[0].endswith("/") else ""
        listed += [folder + name for name in names]
    modules = [path.relative_to(ROOT / "generator").as_posix() for path in (ROOT / "generator").rglob("*.py")]
    assert sorted(listed) == sorted(modules)


def test_the_prose_of_the_package_names_every_stage():
    stages = {path.stem for path in (ROOT / "generator").glob("*.py")} - {"__init__", "records"}
    stages |= {path.parent.name for path in (ROOT / "generator").glob("*/__init__.py")}
    named = re.findall(r"`(\w+)`", generator.__doc__)
    assert stages - set(named) == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_figure_is_left_to_be_filled_in(document):
    assert re.findall(r"@@\w*", DOCUMENTS[document]) == []
