"""A host for the tests: a folder under a sub-path on 127.0.0.1, with a 404 page and gzip, as GitHub Pages has them."""

from __future__ import annotations

import gzip
import mimetypes
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

SQUEEZED = ("text/", "application/json", "application/javascript", "image/svg+xml")


class Host:
    """Serves a folder until it is closed; `url` is the address of the folder and ends in a slash."""

    def __init__(self, folder: Path, prefix: str = "/sub/path/", squeeze: bool = True) -> None:
        self.folder, self.prefix, self.squeeze = folder.resolve(), prefix, squeeze
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"host": self}))
        self.server.daemon_threads = True
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @cached_property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}{self.prefix}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def find(self, path: str) -> Path | None:
        """The file of a request's path, or None: no folder listings, nothing outside the folder."""
        if not path.startswith(self.prefix):
            return None
        file = (self.folder / path[len(self.prefix) :]).resolve()
        file = file / "index.html" if file.is_dir() else file
        return file if file.is_file() and file.is_relative_to(self.folder) else None


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of files, with the headers of a good static host."""

    host: Host
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        found = self.host.find(unquote(urlsplit(self.path).path))
        missing = self.host.folder / "404.html"
        if found:
            self.answer(200, found.read_bytes(), mimetypes.guess_type(found.name)[0] or "application/octet-stream")
        else:
            self.answer(404, missing.read_bytes() if missing.is_file() else b"not found", "text/html")

    do_HEAD = do_GET  # noqa: N815

    def answer(self, status: int, body: bytes, kind: str) -> None:
        text = kind.startswith(SQUEEZED)
        squeeze = self.host.squeeze and text and "gzip" in self.headers.get("Accept-Encoding", "")
        body = gzip.compress(body, 6, mtime=0) if squeeze else body
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if text else kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=31536000")
        self.send_header("Vary", "Accept-Encoding")
        if squeeze:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *message: object) -> None:
        """Say nothing: the tests' own output is what is read."""
