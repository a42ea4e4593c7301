"""What code and which libraries a result comes from: a change of either makes it another result."""

from __future__ import annotations

import hashlib
import platform
import re
import zlib
from functools import lru_cache
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "torchvision", "pillow", "jinja2", "markupsafe", "markdown-it-py")
_FROM = re.compile(r"^[ \t]*from (generator(?:\.\w+)*) import (?:\(([^)]*)\)|([^(\n]*))", re.MULTILINE)
_PLAIN = re.compile(r"^[ \t]*import ([^\n]*\bgenerator\b[^\n]*)", re.MULTILINE)


@lru_cache(maxsize=64)
def code_digest(*modules: str) -> str:
    """SHA-256, as hex, over some modules (`generator.expand`), every module of ours that they import, and the libraries."""
    sha = hashlib.sha256()
    for file in sorted(_closure(modules)):
        sha.update(f"{file.relative_to(PACKAGE).as_posix()}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    sha.update(repr(library_versions()).encode())
    return sha.hexdigest()


@lru_cache(maxsize=1)
def program_digest() -> str:
    """SHA-256, as hex, over every module of ours and the libraries."""
    sha = hashlib.sha256(repr(library_versions()).encode())
    for file in sorted(PACKAGE.rglob("*.py")):
        sha.update(f"{file.relative_to(PACKAGE).as_posix()}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return sha.hexdigest()


@lru_cache(maxsize=1)
def library_versions() -> tuple[tuple[str, str], ...]:
    """(name, version) of all that a number or a byte of the site may depend on, without importing any library."""
    own = (("python", ".".join(platform.python_version_tuple()[:2])), ("zlib", zlib.ZLIB_RUNTIME_VERSION))
    return (*own, *((name, _version(name)) for name in LIBRARIES))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def _closure(modules: tuple[str, ...]) -> set[Path]:
    """The files of some modules, of those they import, and so on."""
    found: set[Path] = set()
    waiting = [file for name in modules for file in _files_of(name)]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _imported(file)
    return found


@lru_cache(maxsize=512)
def _imported(file: Path) -> tuple[Path, ...]:
    """The files of the modules of ours that a file imports anywhere in it, those under TYPE_CHECKING too."""
    text = file.read_text(encoding="utf-8")
    named = [name for line in _PLAIN.findall(text) for name in re.findall(r"generator(?:\.\w+)*", line)]
    for package, several, one in _FROM.findall(text):
        named += [package, *(f"{package}.{name}" for name in re.findall(r"\w+", several or one))]
    return tuple(found for name in dict.fromkeys(named) for found in _files_of(name))


def _files_of(module: str) -> tuple[Path, ...]:
    """The file of a module, or that of a package, after those of the packages it lies in; none where no module has the name.

    The package of everything is left out: what it hands on to users is nothing that a result depends on.
    """
    names = module.split(".")[1:]
    place = PACKAGE.joinpath(*names)
    own = [file for file in (place.with_suffix(".py"), place / "__init__.py") if names and file.is_file()]
    packages = [PACKAGE.joinpath(*names[:end], "__init__.py") for end in range(1, len(names))]
    return tuple(file for file in (*packages, *own) if own and file.is_file())
