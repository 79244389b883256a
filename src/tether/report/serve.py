"""Serves one report to the browsers of this machine, and nothing else."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tether.errors import RequestError

LOOPBACK = "127.0.0.1"
_TYPES = {".html": "text/html", ".csv": "text/csv", ".json": "application/json"}


def server(page: Path, port: int = 8000) -> ThreadingHTTPServer:
    """A server of `page` and the CSV and JSON beside it on 127.0.0.1; `serve_forever` starts it.

    No other path has an answer, no folder is listed, and a request that names another host is refused, so a
    web site cannot reach it by pointing its own name here.

    Args:
        page: such as `report.html`; each request reads it anew.
        port: 0 lets the system choose.

    Raises:
        RequestError: when the page is missing or the port is taken or not allowed.

    Example:
        >>> with server(Path("report.html"), 0) as s:  # doctest: +SKIP
        ...     s.serve_forever()
    """
    if not page.is_file():
        raise RequestError(
            f"report: expected the page {page}, but there is none; leave --serve out to write it"
        )
    files = {f"/{p.name}": p for p in (page.with_suffix(ending) for ending in _TYPES)}
    files["/"] = page.with_suffix(".html")
    handler = type("Handler", (_Handler,), {"files": files})
    try:
        return ThreadingHTTPServer((LOOPBACK, port), handler)
    except (OSError, OverflowError) as e:
        taken = isinstance(e, OSError) and e.errno == errno.EADDRINUSE
        why = "it is in use" if taken else str(e)
        raise RequestError(f"--port {port}: cannot listen there, {why}; take another, or 0 for any") from e


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the named files."""

    files: Mapping[str, Path]
    server_version = "tether"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        if not self._ours():
            self.send_error(403, "this report is served on 127.0.0.1 only")
            return
        path = self.files.get(unquote(urlsplit(self.path).path))
        try:
            content = None if path is None else path.read_bytes()
        except OSError:
            content = None
        if path is None or content is None:
            self.send_error(404, "only the report, its CSV and its JSON are served")
            return
        self.send_response(200)
        self.send_header("Content-Type", f"{_TYPES[path.suffix]}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _ours(self) -> bool:
        """Whether the request names this host by address or as localhost."""
        port = self.connection.getsockname()[1]
        return self.headers.get("Host", "") in (f"{LOOPBACK}:{port}", f"localhost:{port}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet: the terminal belongs to the address."""
