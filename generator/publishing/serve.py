"""A built site over HTTP, on this machine alone and as its host will serve it: under its sub-path, with its 404 page.

Every page that is served has a line added that loads it anew when the site has changed, and shows why it could not be; the
files stay as they are.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote, unquote, urlsplit

from generator.addresses import NOT_FOUND
from generator.errors import AtlasError

HOST = "127.0.0.1"
RELOAD, EDITION = "~reload.js", "~edition"  # served beside the site's own files, which have no such names
EVERY_MS = 700  # how often a page asks whether it has changed; it holds no connection open, of which browsers allow six

# The standard library's table depends on the machine: on some, .js is text/plain there, and browsers refuse it.
TYPES = {
    ".avif": "image/avif",
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".mp4": "video/mp4",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml; charset=utf-8",
}

_SCRIPT = """\
// Added by `atlas serve`: loads the page anew when the site was built anew, and shows what kept it from being built.
(function () {
  var seen = document.currentScript.dataset.edition, bar = document.createElement("pre");
  bar.setAttribute("role", "alert");
  bar.style.cssText = "position:fixed;inset:auto 0 0 0;margin:0;padding:.75rem 1rem;max-height:40vh;overflow:auto;z-index:99;" +
    "white-space:pre-wrap;overflow-wrap:anywhere;font:.875rem/1.4 monospace;background:#7a1020;color:#fff";
  function show(mistake) {
    if (bar.textContent !== mistake) bar.textContent = mistake;
    if (mistake && !bar.isConnected) document.body.append(bar);
    if (!mistake) bar.remove();
  }
  setInterval(function () {
    if (document.hidden) return;
    fetch("%s", { cache: "no-store" }).then(function (answer) { return answer.text(); }).then(function (said) {
      var end = (said + "\\n").indexOf("\\n");
      if (said.slice(0, end) !== seen) location.reload();
      show(said.slice(end + 1));
    }, function () { /* the server has ended */ });
  }, %d);
})();
"""


@dataclass(frozen=True)
class Answer:
    """What a request is answered with."""

    status: HTTPStatus
    type: str = "text/plain; charset=utf-8"
    body: bytes = b""
    location: str = ""


@dataclass(frozen=True)
class Served:
    """A site as it is served now."""

    folder: Path
    base: str  # the path it lies under, '/' at both ends
    edition: str  # another after every build
    mistake: str = ""  # what keeps the sources, as they are now, from being built; a line or more

    def answer(self, target: str) -> Answer:
        """The answer to a request for `target`, a path with perhaps a query."""
        path = unquote(target.partition("?")[0].partition("#")[0])
        if path in (self.base[:-1], "/") and path != self.base:
            return Answer(HTTPStatus.FOUND, location=self.base)
        if not path.startswith(self.base):
            return self._missing()
        name = path[len(self.base) :]
        if name == EDITION:
            return Answer(HTTPStatus.OK, body="\n".join(filter(None, (self.edition, self.mistake))).encode("utf-8", "replace"))
        if name == RELOAD:
            return Answer(HTTPStatus.OK, TYPES[".js"], (_SCRIPT % (self.base + EDITION, EVERY_MS)).encode())
        return self._file(name)

    def _file(self, name: str) -> Answer:
        """A file of the site; the index of a folder, to which an address without the last '/' leads."""
        place = inside(self.folder, f"{name}index.html" if not name or name.endswith("/") else name)
        if place is None:
            return self._missing()
        if os.path.isdir(place):  # which, unlike Path.is_dir, knows names that are too long to be any
            return Answer(HTTPStatus.MOVED_PERMANENTLY, location=f"{quote(self.base + name)}/")
        content = read(place)
        return self._missing() if content is None else self._page(HTTPStatus.OK, place, content)

    def _missing(self) -> Answer:
        place = self.folder / NOT_FOUND
        content = read(place)
        if content is None:
            return Answer(HTTPStatus.NOT_FOUND, body=b"There is no page here.\n")
        return self._page(HTTPStatus.NOT_FOUND, place, content)

    def _page(self, status: HTTPStatus, place: Path, content: bytes) -> Answer:
        kind = TYPES.get(place.suffix.lower(), "application/octet-stream")
        return Answer(status, kind, self._reloading(content) if place.suffix == ".html" else content)

    def _reloading(self, page: bytes) -> bytes:
        """A page with the script that loads it anew; at its end, where the end tag of the body may have been left out."""
        script = f'<script src="{quote(self.base)}{RELOAD}" data-edition="{self.edition}"></script>\n'.encode()
        before, end, after = page.rpartition(b"</body>")
        return before + script + end + after if end else page + script


def inside(folder: Path, name: str) -> Path | None:
    """A path in the folder; None for one that leads out of it, by dots or by a link, or to what a host keeps to itself."""
    parts = name.split("/")
    if any(not part or part[0] == "." or set(part) & set("\\:\0") for part in parts):
        return None
    place = folder.joinpath(*parts)
    try:
        return place if place.resolve().is_relative_to(folder.resolve()) else None
    except (OSError, RuntimeError):  # a name too long, links in a circle
        return None


def read(place: Path) -> bytes | None:
    """A file's content; None where there is none."""
    try:
        return place.read_bytes()
    except OSError:
        return None


class SiteServer(ThreadingHTTPServer):
    """Serves `site`, which may be replaced by another while it runs. Bound to HOST: no other machine reaches it."""

    daemon_threads = True

    def __init__(self, site: Served, port: int) -> None:
        self.site = site
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            raise AtlasError(f"port {port}: {'in use; name another' if taken else error.strerror}") from None

    @property
    def address(self) -> str:
        """Where to look at the site."""
        return f"http://{HOST}:{self.server_address[1]}{self.site.base}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Inside, requests are answered, in threads of their own."""
        thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away in the middle is nothing to tell of."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server: SiteServer

    def do_GET(self) -> None:
        """Answer with headers and body."""
        self.wfile.write(self._head().body)

    def do_HEAD(self) -> None:
        """Answer with headers alone."""
        self._head()

    def _head(self) -> Answer:
        answer = self.server.site.answer(self.path)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if answer.location:
            self.send_header("Location", answer.location)
        self.end_headers()
        return answer

    def log_message(self, *_: object) -> None:
        """Nothing: the terminal is for mistakes in what is being edited."""


def base_of(site_url: str) -> str:
    """The path a site lies under where it is published."""
    return unquote(urlsplit(site_url).path) or "/"
