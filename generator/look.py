"""The look of a site: our templates and static files, and those of the user that stand in for them, file by file.

A template of the user's has the name of one of ours, which stays within reach as `ours/NAME`: `{% extends "ours/base.html" %}`.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateNotFound,
    TemplateSyntaxError,
    UndefinedError,
    meta,
    nodes,
)
from jinja2.utils import missing

from generator.errors import SPEC, AtlasError, nearest
from generator.records import AtlasFacts
from generator.site import MARKER
from generator.spec import Spec

_HERE = Path(__file__).resolve().parent
_NAMES = ("page", "common", "atlas")  # what every template of a page knows
_THEME = "theme.css"  # of static files the one that is not replaced: the user's variables come after ours
_MISSPELT = 0.8  # of 1: a static file whose name is so much like that of one of ours is taken for it, misspelt


def beside(name: str) -> Path:
    """The folder `templates` or `static`: inside the package where it was installed, beside it in a checkout."""
    inside = _HERE / name
    return inside if inside.is_dir() else _HERE.parent / name


class OverrideError(AtlasError):
    """A template or static file of the user's that cannot be used; a line for each, which begins with its file."""

    exit_code = SPEC

    @property
    def lines(self) -> tuple[str, ...]:
        """The problems, a line each."""
        return tuple(str(self).splitlines())


@dataclass(frozen=True)
class Look:
    """Folders of the user's templates and static files; None where the spec names none."""

    templates: Path | None = None
    static: Path | None = None


OURS = Look()


# -- templates ------------------------------------------------------------------------------------------------------------


class Renderer:
    """The templates, compiled once, and what every page knows of the atlas."""

    def __init__(self, atlas: AtlasFacts, look: Look = OURS) -> None:
        self.atlas, self.look = atlas, look
        self.environment = _environment(look)
        self.environment.globals["atlas"] = atlas

    def html(self, template: str, **values: Any) -> bytes:
        """A page, from a template and its record. Raises OverrideError for what is wrong with a template of the user's."""
        try:
            return self.environment.get_template(template).render(values).encode("utf-8")
        except Exception as error:
            if self.look.templates is None:
                raise
            told = _told(error, self.look.templates, self.environment)
            if told is None:
                raise
            raise OverrideError(told) from error


def _environment(look: Look) -> Environment:
    ours = FileSystemLoader(beside("templates"))
    own = [FileSystemLoader(look.templates)] if look.templates else []
    loader = ChoiceLoader([PrefixLoader({"ours": ours}), *own, ours])
    return Environment(
        loader=loader, autoescape=True, undefined=_Undefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False
    )


class _Undefined(StrictUndefined):
    """What is not there, told with the names most like it."""

    @property
    def _undefined_message(self) -> str:
        name, owner = str(self._undefined_name), self._undefined_obj
        if self._undefined_hint:
            return self._undefined_hint
        if owner is missing:
            return f"'{name}' is undefined{nearest(name, _NAMES)}"
        public = [each for each in dir(owner) if not each.startswith("_")]
        return f"'{name}' is undefined in a {type(owner).__name__}{nearest(name, public)}"


def _told(error: Exception, folder: Path, environment: Environment) -> str | None:
    """One line on what a template of the user's did wrong, with its file and line; None where it was one of ours."""
    if isinstance(error, TemplateSyntaxError) and _within(error.filename, folder):
        return f"{error.filename}:{error.lineno}: {error.message}"
    line = _blamed(error, folder)
    if line is None:
        return None
    if isinstance(error, TemplateNotFound):
        return f"{line}: {_not_there(str(error.name), environment)}"
    return f"{line}: {_plainly(error)}"


def _plainly(error: Exception) -> str:
    said = " ".join(str(error).split())
    return said if isinstance(error, UndefinedError) else f"{type(error).__name__}: {said}"


def _blamed(error: Exception, folder: Path) -> str | None:
    """`file:line` of the innermost place in a template, if that is the user's: or in a macro of ours that it called."""
    ours = beside("templates")
    frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename.endswith(tuple(_SUFFIXES))]
    for frame in reversed(frames):
        if _within(frame.filename, folder):
            return f"{frame.filename}:{frame.lineno}"
        if _within(frame.filename, ours) and frame.name != "template":  # Jinja's name for a macro; others are our own mistake
            return None
    return None


_SUFFIXES = (".html", ".xml", ".txt", ".svg", ".css")


def _within(file: str | None, folder: Path) -> bool:
    return file is not None and Path(file).is_relative_to(folder)


def template_problems(folder: Path) -> Iterator[str]:
    """What can be told of the user's templates before any page is made: which are used by none, which cannot be read."""
    environment = _environment(Look(folder))
    ours = {path.name for path in beside("templates").iterdir()}
    own = sorted(_visible(folder))
    used: set[str | None] = set()
    for name in own:
        try:
            tree = environment.parse((folder / name).read_text("utf-8"))
            used.update(meta.find_referenced_templates(tree))
            environment.get_template(name)  # filters and tests that there are not show only here
            yield from (f"{folder / name}:{line}: {text}" for line, text in _misfits(name, tree, environment))
        except TemplateSyntaxError as error:
            yield f"{folder / name}:{error.lineno}: {error.message}"
            used.add(None)
        except UnicodeDecodeError:
            yield f"{folder / name}: expected a text file in UTF-8"
    if None in used:  # a name that is worked out while rendering: any file may be meant
        return
    for name in own:
        if name not in ours and name not in used:
            yield f"{folder / name}: found a template that none uses, expected the name of one of ours{nearest(name, ours)}"


def _misfits(name: str, tree: nodes.Template, environment: Environment) -> Iterator[tuple[int, str]]:
    """Line and text of what does not fit the templates that a template extends: itself among them, blocks of no effect."""
    known: set[str] = set()
    seen, at = [name], tree
    while (extends := at.find(nodes.Extends)) is not None:
        if not isinstance(extends.template, nodes.Const):
            return  # any template may be meant
        parent = str(extends.template.value)
        line = tree.find(nodes.Extends).lineno  # type: ignore[union-attr]
        if parent in seen:
            if parent == name:  # others that go round are told of on their own
                yield line, _circular(name, environment)
            return
        seen.append(parent)
        try:
            at = _parsed(parent, environment)
        except TemplateNotFound:
            if parent == seen[1]:
                yield line, _not_there(parent, environment)
            return
        except (TemplateSyntaxError, UnicodeDecodeError):
            return  # told of on their own
        known.update(block.name for block in at.find_all(nodes.Block))
    for block in tree.iter_child_nodes() if len(seen) > 1 else ():
        if isinstance(block, nodes.Block) and block.name not in known:
            yield block.lineno, f"no block '{block.name}' in {seen[1]}{nearest(block.name, sorted(known))}"


def _circular(name: str, environment: Environment) -> str:
    """What to say of a template that extends itself, perhaps by way of others."""
    ours = f"ours/{name}"
    expected = f'"{ours}"' if ours in environment.list_templates() else "one that does not extend this"
    return f'found a template that extends itself by "{name}", expected {expected}'


def _not_there(name: str, environment: Environment) -> str:
    return f"no template '{name}'{nearest(name, environment.list_templates())}"


def _parsed(name: str, environment: Environment) -> nodes.Template:
    assert environment.loader is not None  # `_environment` gives one
    return environment.parse(environment.loader.get_source(environment, name)[0], name)


def _visible(folder: Path) -> Iterator[str]:
    """Every file of a folder, without those that editors and systems hide or leave behind."""
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") or part.endswith("~") for part in relative.parts):
            yield relative.as_posix()


# -- static files ---------------------------------------------------------------------------------------------------------


def static_files(look: Look = OURS) -> Iterator[tuple[str, bytes]]:
    """Style, scripts and what the user adds to them or puts in their place; of two themes theirs goes after ours."""
    files = dict(_our_static())
    if look.static is not None:
        files |= {path.relative_to(look.static).as_posix(): path for path in look.static.rglob("*") if path.is_file()}
    for name in sorted(files):
        content = files[name].read_bytes()
        whole = name != _THEME or look.static is None or not files[name].is_relative_to(look.static)
        yield name, content if whole else (beside("static") / name).read_bytes() + b"\n" + content


def _our_static() -> Iterator[tuple[str, Path]]:
    for path in beside("static").iterdir():
        if path.is_file() and path.name[0] not in "._":
            yield path.name, path


def static_problems(folder: Path, taken: frozenset[str]) -> Iterator[str]:
    """A line for each static file of the user's whose name a host drops, that lies where pages go (`taken`: top names), or
    whose name is almost that of one of ours.
    """
    ours = sorted(name for name, _ in _our_static())
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.name.startswith((".", "_")):
            yield f"{path}: found a name with a leading '{path.name[0]}', expected another: hosts drop such files"
        elif path.is_file() and (name.parts[0].lower() in taken):
            yield f"{path}: found the place of a page, expected another name than '{name.parts[0]}'"
        elif path.is_file() and (meant := _misspelt(name.as_posix(), ours)):
            yield f"{path}: found almost the name of a file of ours, expected just that or one less like it; nearest: {meant}"


def _misspelt(name: str, ours: list[str]) -> str:
    """The file of ours that a name was to be, by all appearances; '' for one of ours and for one unlike any."""
    same = [each for each in ours if Path(each).suffix == Path(name.lower()).suffix]
    close = get_close_matches(name.lower(), same, 1, _MISSPELT)
    return close[0] if close and name not in ours else ""


# -- what the spec says ---------------------------------------------------------------------------------------------------

_PAGES = frozenset({"index.html", "how-to-read.html", "404.html", "families", "sitemap", "sitemap.xml", "jump.js", MARKER})


def look_of(spec: Spec) -> Look:
    """The folders of a spec that override ours, looked through.

    Raises:
        SpecError: a folder that is not there.
        OverrideError: every file in them that cannot be used, a line each.
    """
    look = Look(_beside(spec, "templates"), _beside(spec, "static"))
    problems = list(template_problems(look.templates)) if look.templates else []
    if look.static:
        problems += static_problems(look.static, _PAGES | {model.name.lower() for model in spec.models})
    if problems:
        raise OverrideError("\n".join(problems))
    return look


def _beside(spec: Spec, key: Literal["templates", "static"]) -> Path | None:
    """A folder of the spec without detours, as Jinja will name its files; None where the spec has none."""
    return Path(os.path.normpath(spec.beside(key))) if getattr(spec, key) else None
