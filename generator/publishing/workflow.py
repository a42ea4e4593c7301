"""The workflow that builds an atlas on GitHub and publishes it with GitHub Pages, and what is left for the user to set."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from generator.errors import AtlasError, SpecError
from generator.spec import Spec

PLACE = Path(".github/workflows/atlas.yml")  # in the root of a repository

# Major versions of the actions as of 2026. The site goes up as an artifact: a branch that holds it would grow with every build.
_TEMPLATE = """\
# Builds the atlas of {spec} and publishes it with GitHub Pages, after every push to the branch below.
# It needs, once: Settings > Pages > Build and deployment > Source: GitHub Actions.
name: atlas

on:
  push:
    branches: [{branch}]
  workflow_dispatch:

env:
  # Where pip installs the program from that builds the atlas; this is the one line to fill in, like
  # "git+https://github.com/OWNER/REPOSITORY", with @ and a tag or commit at its end to stay with one version.
  GENERATOR: {generator}

permissions:
  contents: read

concurrency:
  group: pages
  cancel-in-progress: false

jobs:
  build:
    runs-on: ubuntu-latest
    timeout-minutes: 60
    steps:
      - name: Is the generator filled in?
        if: env.GENERATOR == ''
        run: |
          echo "::error::GENERATOR is empty in {place}: write there where pip installs the program from"
          exit 1
      - uses: actions/checkout@v7
      - uses: actions/setup-python@v7
        with:
          python-version: "3.12"
      - name: Install PyTorch for the processor
        run: pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu
      - name: Install the generator
        run: pip install "$GENERATOR"
      - name: Build the atlas
        run: atlas build {quoted} -o "$RUNNER_TEMP/site"
      - name: Check the atlas
        run: atlas check --site "$RUNNER_TEMP/site"
      - uses: actions/upload-pages-artifact@v5
        with:
          path: ${{{{ runner.temp }}}}/site

  deploy:
    needs: build
    runs-on: ubuntu-latest
    permissions:
      pages: write
      id-token: write
    environment:
      name: github-pages
      url: ${{{{ steps.deployment.outputs.page_url }}}}
    steps:
      - id: deployment
        uses: actions/deploy-pages@v5
"""


def workflow_place(spec: Path, force: bool) -> Path:
    """Where the workflow for a spec goes: into its repository, or beside it where it is in none.

    Raises:
        SpecError: there is one already, and `force` does not say to overwrite it.
    """
    path = (repository(spec) or spec.resolve().parent) / PLACE
    if path.exists() and not force:
        raise SpecError([f"{path}: is there already; --force overwrites it"])
    return path


def write_workflow(spec: Path, path: Path, generator: str = "") -> None:
    """Write the workflow for a spec to its place, with what pip is to install as `generator`, to be filled in where empty.

    Raises AtlasError where it cannot be written.
    """
    root = path.parents[len(PLACE.parts) - 1]
    name = spec.resolve().relative_to(root).as_posix()
    said = json.dumps(generator, ensure_ascii=False)
    text = _TEMPLATE.format(spec=name, quoted=shlex.quote(name), branch=_branch(root), place=PLACE, generator=said)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AtlasError(f"{path}: cannot be written: {error.strerror}") from None


def repository(spec: Path) -> Path | None:
    """The root of the git repository that a file lies in; None where it is in none."""
    return next((folder for folder in spec.resolve().parents if (folder / ".git").exists()), None)


def _branch(root: Path) -> str:
    """The branch that is checked out, `main` where that cannot be told."""
    found = re.fullmatch(r"ref: refs/heads/([\w./-]+)", _read(root / ".git/HEAD").strip())
    return found[1] if found else "main"


def published_at(root: Path | None) -> str:
    """Where GitHub Pages will publish a repository, from its remote; '' where that is not on GitHub."""
    config = _read(root / ".git/config") if root else ""
    found = re.search(r"github\.com[:/]([\w.-]+)/([\w.-]+?)(?:\.git)?/?\s*$", config, flags=re.MULTILINE)
    if not found:
        return ""
    owner, name = found[1].lower(), found[2]
    return f"https://{name.lower()}/" if name.lower() == f"{owner}.github.io" else f"https://{owner}.github.io/{name}/"


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def left_to_do(spec: Path, loaded: Spec, generator: str) -> Iterator[str]:
    """What the user has to do until the atlas is published, a line each."""
    root, site_url = repository(spec), loaded.site_url
    where = published_at(root)
    if root is None:
        yield f"{spec.resolve().parent} is in no git repository: make it one (git init), with {PLACE} at its root"
    if not site_url:
        yield f"in {spec}: site_url: {where or 'https://OWNER.github.io/REPOSITORY/'}"
    elif where and site_url != where:
        yield f"{spec} says site_url {site_url}, GitHub Pages publishes at {where} unless it has a domain of its own"
    yield "on GitHub: Settings > Pages > Build and deployment > Source: GitHub Actions"
    if not generator:
        yield f'in {PLACE}: GENERATOR: where pip installs this program from, like "git+https://github.com/OWNER/REPOSITORY"'
    yield f"keep the built site out of git: a line '{Path(loaded.output.folder).as_posix()}/' in .gitignore"
    yield f"commit {', '.join([str(spec), str(PLACE), *_named(loaded)])}, and push (GitHub refuses files over 100 MB)"


def _named(spec: Spec) -> list[str]:
    """The files and folders beside a spec without which it cannot be built, from its folder."""
    said = [name for name in (spec.families, spec.notes, spec.templates, spec.static) if name]
    models = [path for model in spec.models for path in model.files(spec.folder)]
    paths = [*(spec.folder / name for name in said), *models]
    return list(dict.fromkeys(Path(os.path.normpath(path)).as_posix() for path in paths))
