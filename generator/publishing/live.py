"""A site that follows its sources: built once, and again as far as needed whenever one of them changes."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread

from watchfiles import DefaultFilter, watch

from generator.build import Report, Want, build
from generator.errors import AtlasError
from generator.look import beside
from generator.progress import Progress, duration
from generator.publishing.serve import Served, SiteServer, base_of
from generator.spec import Spec, load_spec
from generator.workers import ALONE, Workers

DEBOUNCE, STEP = 400, 50  # milliseconds: changes that come close together are one


@dataclass(frozen=True)
class Sources:
    """What a site is made of, as absolute paths."""

    words: frozenset[Path]  # the spec and the file of families
    folders: frozenset[Path]  # notes, templates, static files
    weights: frozenset[Path]  # checkpoints and the code of models: files, or folders of modules

    @property
    def all(self) -> frozenset[Path]:
        """Every one of them."""
        return self.words | self.folders | self.weights


def sources(spec: Spec, path: Path) -> Sources:
    """The sources of a spec that was read from `path`. Our own templates and static files are among them."""
    words = [path, *([spec.folder / spec.families] if spec.families else [])]
    folders = [spec.folder / name for name in (spec.notes, spec.templates, spec.static) if name]
    weights = [file for model in spec.models for file in model.files(spec.folder)]
    return Sources(_resolved(words), _resolved([*folders, beside("templates"), beside("static")]), _resolved(weights))


def _resolved(paths: list[Path]) -> frozenset[Path]:
    return frozenset(path.resolve() for path in paths)


class Live:
    """A spec and its site. A build does again only what a change touches, so that a change of words or looks takes seconds."""

    def __init__(self, path: Path, spec: Spec, progress: Progress, workers: Workers = ALONE) -> None:
        self.path, self.spec, self.progress, self.workers = path, spec, progress, workers
        self.built = False

    @property
    def target(self) -> Path:
        """The folder of the site."""
        return self.spec.folder / self.spec.output.folder

    @property
    def sources(self) -> Sources:
        """What to watch."""
        return sources(self.spec, self.path)

    def served(self) -> Served:
        """The site as it stands."""
        return Served(self.target.resolve(), base_of(self.spec.site_url), str(time.time_ns()))

    def update(self, report: Report | None = None) -> None:
        """Build the site with its sources as they are now.

        Raises:
            AtlasError: a mistake in one of them. The site stays as it was.
        """
        spec = load_spec(self.path)
        progress = Progress(quiet=True) if self.built else self.progress
        build(spec, spec.folder / spec.output.folder, progress, Want(self.workers), report)
        self.spec, self.built = spec, True


# -- watching -------------------------------------------------------------------------------------------------------------


class Watcher:
    """Tells of changes of some files and folders. Those of files are seen in their folders: editors put a new one in place."""

    def __init__(self) -> None:
        self.places: frozenset[Path] = frozenset()
        self.there: frozenset[Path] = frozenset()  # the folders among them
        self.changes: SimpleQueue[frozenset[Path]] = SimpleQueue()
        self._stop = Event()

    def follow(self, places: frozenset[Path]) -> None:
        """Watch these, which need not all be there yet, in place of what was watched before."""
        there = frozenset(place for place in places if place.is_dir())
        if (places, there) == (self.places, self.there):
            return
        self.end()
        self.places, self.there, self._stop = places, there, Event()
        parents = {place.parent for place in places if place.parent.is_dir()}
        for folders, deep in ((there, True), (parents, False)):
            if folders:
                Thread(target=self._tell, args=(self._stop, sorted(folders), deep), daemon=True).start()

    def end(self) -> None:
        """Watch no more."""
        self._stop.set()

    def _tell(self, stop: Event, folders: list[Path], deep: bool) -> None:
        """Put what changes into the queue until stopped."""
        wanted = DefaultFilter()
        found = watch(
            *folders,
            watch_filter=lambda change, path: wanted(change, path) and (deep or Path(path) in self.places),
            stop_event=stop,
            debounce=DEBOUNCE,
            step=STEP,
            recursive=deep,
            raise_interrupt=False,
        )
        for changes in found:
            self.changes.put(frozenset(Path(path) for _, path in changes))

    def next(self, timeout: float | None = None) -> frozenset[Path]:
        """The next changes, once there are any; none where the time is out."""
        try:
            changed = self.changes.get(timeout=timeout)
            while not self.changes.empty():
                changed |= self.changes.get()
        except Empty:
            return frozenset()
        return changed


# -- both -----------------------------------------------------------------------------------------------------------------


def run(live: Live, server: SiteServer, stop: Event) -> None:
    """Follow the sources until `stop` is set; a mistake in one of them is told, and the site stays as it is."""
    watcher = Watcher()
    watcher.follow(live.sources.all)
    try:
        while not stop.is_set():
            changed = watcher.next(timeout=0.25)  # not for ever: an interrupt is to be heard on every system
            if changed:
                renew(live, server, changed)
            watcher.follow(live.sources.all)
    finally:
        watcher.end()


def renew(live: Live, server: SiteServer, changed: frozenset[Path]) -> None:
    """Build the site anew and serve it, in one line; or say in one what is wrong, here and on the pages that are open."""
    began = time.monotonic()
    names = ", ".join(sorted(path.name for path in changed)[:3])
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    try:
        live.update()
    except AtlasError as error:
        print("\n".join(error.lines), file=sys.stderr, flush=True)
        server.site = replace(server.site, mistake="\n".join(error.lines))
        return
    before, server.site = server.address, live.served()
    moved = f", now at {server.address}" if server.address != before else ""
    live.progress.note(f"{names}{more}: built anew in {duration(time.monotonic() - began)}{moved}")
