"""The only writer: files into a temporary folder beside the target, then swapped in whole.

What the program made is listed in `atlas-site.json`, in the site itself. Of a site nothing else is ever removed: files that
someone put there (`CNAME`, a `.git` folder) move along into the new site.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from generator.errors import SPEC, AtlasError

MARKER = "atlas-site.json"  # not a dotfile: hosts drop those, and a site fetched back from its host is still known as ours
MADE_BY = "weight-atlas"
NO_JEKYLL = ".nojekyll"  # the one dotfile: it tells GitHub Pages to publish a branch as it stands
_NEW, _OLD = ".atlas-new-", ".atlas-old-"  # between a site's name and a random end: the folders beside it while it is swapped


class SiteError(AtlasError):
    """A target that is not ours to write to."""

    exit_code = SPEC


@dataclass(frozen=True)
class Summary:
    """What was written."""

    files: int
    bytes: int
    pages: int  # of the files, those that are HTML

    def __str__(self) -> str:
        return f"{self.pages:,} pages, {self.files:,} files, {self.bytes / 1e6:.1f} MB"


def prepare_target(target: Path) -> None:
    """Make sure, before any work is done, that a site may be written there. Raises SiteError with the reason where not."""
    if target.exists() and not target.is_dir():
        raise SiteError(f"{target} is a file; name a folder for the site, or one that does not exist yet")
    if target.is_dir() and any(target.iterdir()) and _made(target) is None:
        raise SiteError(f"{target} is not empty and was not made by this program (no {MARKER} in it); name another folder")


def write_site(files: Iterable[tuple[str, bytes]], target: Path, on_file: Callable[[str], object] | None = None) -> Summary:
    """Write all files, then swap them in for the site that was there; `on_file` is called with each path once it is written.

    Whatever ends it early, an error or an interrupt, leaves the previous site as it was. A killed build leaves its temporary
    folder behind; the next one removes it. Raises SiteError for a target that is not ours, or where a file that someone put
    into the previous site has the name of one of the new.
    """
    with staged(target) as stage:
        paths: list[str] = []
        size = pages = 0
        for path, content in files:
            put_file(stage.folder, path, content)
            paths.append(path)
            size, pages = size + len(content), pages + path.endswith(".html")
            if on_file is not None:
                on_file(path)
        stage.finish(paths)
    return Summary(len(paths), size, pages)


@dataclass(frozen=True)
class Stage:
    """A site in the making, in a folder beside the one it is to replace. Several processes may put files into it."""

    folder: Path
    target: Path

    def carry(self, paths: Iterable[str]) -> None:
        """Take files of the site that stands over as they are: linked, where the disk can, so that nothing is copied."""
        made: set[str] = set()
        for path in paths:
            _make_parent(self.folder, path, made)
            try:
                os.link(self.target / path, self.folder / path)
            except OSError:
                shutil.copy2(self.target / path, self.folder / path)

    def finish(self, paths: Sequence[str]) -> None:
        """Swap the site in; `paths` are all its files. Raises SiteError where one stands in the way of a file of others."""
        _mark(self.folder, paths)
        guests = _guests(self.target, paths)
        _refuse_clashes(self.target, guests, paths)
        self.folder.chmod(0o755)
        _swap(self.folder, self.target, guests)


@contextmanager
def staged(target: Path) -> Iterator[Stage]:
    """A stage for a site at `target`, which is removed with all that is in it unless the site was swapped in.

    Raises SiteError for a target that is not ours.
    """
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear_leftovers(target)
    prepare_target(target)
    folder = Path(tempfile.mkdtemp(prefix=target.name + _NEW, dir=target.parent))
    try:
        _mark(folder, (), writer=os.getpid())
        yield Stage(folder, target)
    finally:
        if folder.exists():
            _remove(folder, _written_files(folder))


def put_file(folder: Path, path: str, content: bytes) -> os.stat_result:
    """Write one file of a site into a stage's folder. A path that comes twice is a mistake of ours: FileExistsError."""
    _check_name(path)
    try:
        file = open(folder / path, "xb")  # noqa: SIM115 (closed below)
    except FileNotFoundError:
        _make_parent(folder, path, set())
        file = open(folder / path, "xb")  # noqa: SIM115
    with file:
        file.write(content)
        file.flush()
        return os.fstat(file.fileno())


def _make_parent(folder: Path, path: str, made: set[str]) -> None:
    """Make the folder a file goes into, unless it is among those that were made."""
    parent = path.rpartition("/")[0]
    if parent not in made:
        (folder / parent).mkdir(parents=True, exist_ok=True)
        made.add(parent)


def _check_name(path: str) -> None:
    """Refuse what hosts drop and what would leave the folder; such a name is a mistake of ours."""
    parts = path.split("/")
    hidden = any(not part or part.startswith((".", "_")) for part in parts) and path != NO_JEKYLL
    if path == MARKER or hidden or "\\" in path:
        raise ValueError(f"a site cannot hold a file named {path!r}")


def _mark(folder: Path, paths: Iterable[str], **more: int) -> None:
    """Write the marker: who made this folder, which files are its own, by folder; while it is written, by which process."""
    held: dict[str, list[str]] = {}
    for path in paths:
        parent, _, name = path.rpartition("/")
        held.setdefault(parent, []).append(name)
    said = {"made_by": MADE_BY, **more, "files": held}
    whole = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"
    partial = folder / (MARKER + ".new")
    partial.write_bytes(whole)
    partial.replace(folder / MARKER)


def _made(folder: Path) -> list[str] | None:
    """The files the program wrote into a folder, or None where it did not make it."""
    try:
        said = _marked(folder)
        if said["made_by"] != MADE_BY:
            return None
        files = [f"{parent}/{name}" if parent else name for parent, names in said["files"].items() for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return [path for path in files if _stays_inside(path)]


def _marked(folder: Path) -> Any:
    """What the marker of a folder says."""
    return json.loads((folder / MARKER).read_bytes())


def _abandoned(folder: Path) -> bool:
    """Whether no process writes to a temporary folder any more. Where that cannot be asked, none is taken to."""
    writer = _marked(folder).get("writer")
    if os.name != "posix" or not isinstance(writer, int) or writer <= 0:
        return True
    try:
        os.kill(writer, 0)  # asks, sends nothing
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return writer == os.getpid()


def _stays_inside(path: str) -> bool:
    """Whether a path of a marker, which anyone may have written, leads to a place in its folder."""
    return not PurePosixPath(path).is_absolute() and ".." not in path.split("/") and "\\" not in path and ":" not in path


def _guests(site: Path, coming: Iterable[str] = ()) -> list[str]:
    """What others put into a site: files, and whole folders of theirs unless files are `coming` there."""
    made = _made(site)
    if made is None:
        return []
    return list(_foreign(site, "", {*made, MARKER}, _folders(made) | _folders(coming)))


def _folders(paths: Iterable[str]) -> set[str]:
    """Every folder on the way to some files."""
    nearest = {PurePosixPath(path).parent for path in paths}
    return {str(folder) for one in nearest for folder in (one, *one.parents)}


def _foreign(site: Path, within: str, ours: set[str], folders: set[str]) -> Iterator[str]:
    """Entries of a folder that are not the program's, and those of its own subfolders."""
    with os.scandir(site / within) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = f"{within}/{entry.name}" if within else entry.name
        if entry.is_dir(follow_symlinks=False) and path in folders:
            yield from _foreign(site, path, ours, folders)
        elif path not in ours:
            yield path


def _refuse_clashes(target: Path, guests: list[str], paths: Sequence[str]) -> None:
    """Files of others keep their place; one that stands where a new file goes is the user's to move."""
    new = {*paths, *_folders(paths)}
    clash = [guest for guest in guests if guest in new]
    if clash:
        more = f" and {len(clash) - 1} more" if len(clash) > 1 else ""
        raise SiteError(f"{target / clash[0]}{more} was not made by this program and stands where a page goes; move it away")


def _swap(fresh: Path, target: Path, guests: list[str]) -> None:
    """Put the new site where the old one was. After a kill between the two renames the next build puts the old one back."""
    if not target.exists():
        fresh.rename(target)
        return
    made = _made(target) or []
    old = _unused(target, _OLD)
    try:
        target.rename(old)
        fresh.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    _move_guests(old, target, guests)
    _remove(old, made)


def _unused(target: Path, between: str) -> Path:
    """A name beside the target that nothing has."""
    number = 0
    while (path := target.with_name(f"{target.name}{between}{number}")).exists():
        number += 1
    return path


def _move_guests(old: Path, target: Path, guests: list[str]) -> None:
    """Carry what others put into the old site over to the new; what finds its place taken stays where it is."""
    for guest in guests:
        place = target / guest
        if not os.path.lexists(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            (old / guest).rename(place)


def _remove(folder: Path, paths: list[str]) -> None:
    """Remove the program's own files, then the folders that are empty; what others put there stays, and its folder with it."""
    for path in (*paths, MARKER, MARKER + ".new"):
        (folder / path).unlink(missing_ok=True)
    for place, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(place)
        except OSError:
            continue  # someone else's file is in it


def _clear_leftovers(target: Path) -> None:
    """Finish what a killed build began: put the old site back where none stands, remove what is left of either."""
    if not target.parent.is_dir():
        return
    beside = sorted(path for path in target.parent.iterdir() if path.is_dir() and not path.is_symlink())
    for path in beside:
        if path.name.startswith(target.name + _OLD) and _made(path) is not None:
            if not target.exists():
                path.rename(target)
            else:
                _move_guests(path, target, _guests(path))
                _remove(path, _made(path) or [])
    for path in beside:
        if path.name.startswith(target.name + _NEW) and _made(path) is not None and _abandoned(path):
            _remove(path, _written_files(path))


def _written_files(folder: Path) -> list[str]:
    """Every file of a temporary folder: all of them are ours, for nobody else is told its name."""
    return [str((Path(place) / name).relative_to(folder)) for place, _, names in os.walk(folder) for name in names]
