"""The workflow that builds an atlas on GitHub and publishes it with GitHub Pages, and what is left for the user to set."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from generator.errors import AtlasError, SpecError

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
      - uses: actions/checkout@v7
      - uses: actions/setup-python@v7
        with:
          python-version: "3.12"
      - name: Install PyTorch for the processor
        run: pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu
      - name: Install the generator
        run: pip install weight-atlas  # or from its source: pip install git+https://...
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


def write_workflow(spec: Path, path: Path) -> None:
    """Write the workflow for a spec to its place; raises AtlasError where it cannot be written."""
    root = path.parents[len(PLACE.parts) - 1]
    name = spec.resolve().relative_to(root).as_posix()
    text = _TEMPLATE.format(spec=name, quoted=shlex.quote(name), branch=_branch(root))
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


def left_to_do(spec: Path, site_url: str) -> Iterator[str]:
    """What the user has to do until the atlas is published, a line each."""
    root = repository(spec)
    where = published_at(root)
    if root is None:
        yield f"{spec.resolve().parent} is in no git repository: make it one (git init), with {PLACE} at its root"
    if not site_url:
        yield f"in {spec}: site_url: {where or 'https://OWNER.github.io/REPOSITORY/'}"
    elif where and site_url != where:
        yield f"{spec} says site_url {site_url}, GitHub Pages publishes at {where} unless it has a domain of its own"
    yield "on GitHub: Settings > Pages > Build and deployment > Source: GitHub Actions"
    yield f"commit {spec}, {PLACE} and whatever the spec names (checkpoints, families, notes), and push"
