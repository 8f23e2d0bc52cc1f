"""A loopback HTTP server of a folder that knows ranges and indexes and fails on demand: refused, cut, damaged."""

from __future__ import annotations

import hashlib
import html
import re
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote

Fault = Literal["503", "429", "403", "cut", "short", "damaged", "whole"]
"""503 and 429: refused; 403: no right; cut: the connection breaks in the body; short: fewer bytes, said so; damaged:
one byte is another; whole: the range is ignored."""


@dataclass
class FaultyServer:
    """What the server does, and what it was asked.

    Attributes:
        url: Of the folder.
        faults: Fault of the n-th request for a file whose path matches ``only``, by n from 0; used up once each.
        every: Fault of each of these requests that ``faults`` does not name.
        only: Regular expression.
        secret: Requests that carry it neither in their query nor as a password are refused (403).
        requests: ``(path, range header, status)`` of all requests.
    """

    url: str = ""
    faults: dict[int, Fault] = field(default_factory=dict)
    every: Fault | None = None
    only: str = r"^/data/"
    secret: str = ""
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    matched: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, path: str) -> Fault | None:
        """The fault of this request."""
        with self.lock:
            if not re.search(self.only, path):
                return None
            number, self.matched = self.matched, self.matched + 1
            return self.faults.get(number, self.every)

    def lets_in(self, path: str, authorization: str) -> bool:
        """Whether a request has the secret."""
        password = b64decode(authorization.removeprefix("Basic ")).decode()
        return self.secret in path.partition("?")[2] + password


@contextmanager
def serve(folder: Path) -> Iterator[FaultyServer]:
    """Serve a folder on a free port of the loopback interface."""
    server = FaultyServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            fault = server.fault(self.path)
            path = folder / unquote(self.path.partition("?")[0]).lstrip("/")
            wanted = self.headers.get("Range", "")
            content = path.read_bytes() if path.is_file() else b""
            if path.is_dir() and self.path.partition("?")[0].endswith("/"):
                content = _index(path)
            status, first, total = 200, 0, len(content)
            headers = {"Accept-Ranges": "bytes", "ETag": f'"{hashlib.md5(content).hexdigest()}"'}
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
            if fault in ("503", "429", "403"):
                status, content = int(fault), b"not now"
                headers["Retry-After"] = "0"
            elif not server.lets_in(self.path, self.headers.get("Authorization", "")):
                status, content = 403, b"no"
            elif not content and not path.is_file():
                status, content = 404, b"missing"
            elif match and fault != "whole":
                first = int(match[1])
                last = min(int(match[2] or total - 1), total - 1)
                status, content = 206, content[first : last + 1]
                headers["Content-Range"] = f"bytes {first}-{last}/{total}"
            if fault == "short":
                content = content[: len(content) // 2]
            if fault == "damaged":
                middle = len(content) // 2
                content = content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
            with server.lock:
                server.requests.append((self.path, wanted, status))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)
            if fault == "cut":
                self.wfile.flush()
                self.close_connection = True

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def _index(folder: Path) -> bytes:
    """What Apache answers for a folder: links to its parent, to other orders, to what lies in it."""
    names = [path.name + ("/" if path.is_dir() else "") for path in sorted(folder.iterdir())]
    links = "".join(f'<li><a href="{quote(name)}">{html.escape(name)}</a>' for name in names)
    return f'<html><a href="?C=N;O=D">Name</a> <a href="/">Up</a> <a href="../">..</a>{links}</html>'.encode()
