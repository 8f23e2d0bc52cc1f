"""A Hub on loopback: the endpoints that publishing, downloading and streaming a dataset use, and faults on demand.

Standard library only, but for ``hf_xet``, which reads back what the genuine client wrote into the local CAS folder that
the token endpoint hands out. Run it by hand with ``python tests/hub_server.py DIR``; the tests use ``HubServer``.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from support.hub_endpoints import ROUTES, Endpoints
from support.hub_state import Blob, Fault, HubError, Repo, card_problems, xet_files

__all__ = ["Blob", "Fault", "HubServer", "Repo", "card_problems"]


class HubServer:
    """The server. ``tokens`` maps a token to its role, ``write`` or ``read``; the user ``org`` owns every namespace."""

    def __init__(self, root: Path, card_check: Callable[[str], list[str]] | None = None) -> None:
        self.root = root
        self.lfs = root / "lfs"
        self.cas = root / "cas"
        for folder in (self.lfs, self.cas):
            folder.mkdir(parents=True, exist_ok=True)
        self.tokens = {"hf_write": "write", "hf_read": "read"}
        self.repos: dict[str, Repo] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.received = 0
        self.card_check = card_check or card_problems
        self.lock = threading.RLock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        for fault in self.faults:
            fault.release.set()
        self._http.shutdown()
        self._http.server_close()

    def environment(self, cache: Path, token: str | None = "hf_write", xet: bool = True) -> dict[str, str]:
        """Variables that point a process at this server, with a cache of its own."""
        values = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(cache),
            "HF_XET_CACHE": str(cache / "xet"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "0" if xet else "1",
            "HF_HUB_OFFLINE": "0",
            "HF_DATASETS_OFFLINE": "0",
        }
        return values | ({"HF_TOKEN": token} if token else {})

    @contextmanager
    def fault(self, pattern: str, kind: str, **values: Any) -> Iterator[Fault]:
        """Something goes wrong while the block runs."""
        fault = Fault(pattern, kind, **values)
        with self.lock:
            self.faults.append(fault)
        try:
            yield fault
        finally:
            fault.release.set()
            with self.lock:
                self.faults.remove(fault)

    def take_fault(self, request: str) -> Fault | None:
        """The fault that this request meets."""
        with self.lock:
            for fault in self.faults:
                if re.search(fault.pattern, request) and fault.times > 0:
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

    def stored_bytes(self) -> int:
        """Bytes that clients have sent as file content: LFS bodies received, and what Xet wrote into the CAS folder."""
        xorbs = self.cas / "xet" / "xorbs"
        sent = [path for path in xorbs.rglob("*") if path.is_file() and path.suffix not in (".redb", ".tagset")]
        return self.received + sum(path.stat().st_size for path in sent)

    def xet_hash(self, sha256: str) -> tuple[str, int]:
        """Xet's hash and the size of an uploaded file, looked up in the shards that the client wrote; "" if unknown."""
        for path in sorted((self.cas / "xet" / "xorbs" / "shards").glob("*.mdb")):
            for file_hash, size, digest in xet_files(path.read_bytes()):
                if digest == sha256:
                    return file_hash, size
        return "", 0

    def file(self, blob: Blob) -> Path:
        """Where the content of an LFS file lies; taken out of the CAS first where it came by Xet."""
        path = self.lfs / blob.sha256
        if not path.exists():
            import hf_xet

            with self.lock:
                temporary = path.with_suffix(".part")
                with hf_xet.XetSession().new_file_download_group(endpoint=f"local://{self.cas}") as group:
                    info = hf_xet.XetFileInfo(blob.xet_hash, blob.size)
                    group.start_download_file(info, str(temporary))
                temporary.replace(path)
        return path


class _Handler(Endpoints):
    _data: bytes | None = None
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _serve(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        self._data = None
        with self.hub.lock:
            self.hub.requests.append((self.command, path))
        fault = self.hub.take_fault(f"{self.command} {path}")
        try:
            if fault is not None and self._suffer(fault):
                return
            for method, pattern, answer in ROUTES:
                match = re.fullmatch(pattern, url.path)
                if match and self.command in method.split("|"):
                    answer(self, *(unquote(group) for group in match.groups()))
                    return
            raise HubError(404, f"no such endpoint: {self.command} {path}", "EntryNotFound")
        except HubError as error:
            self.body()  # so that the connection can go on
            headers = {"X-Error-Code": error.code} if error.code else {}
            headers["X-Error-Message"] = error.message
            self._json({"error": error.message}, error.status, headers)

    def _suffer(self, fault: Fault) -> bool:
        """Act out a fault. Returns True if the request has been answered."""
        if fault.kind == "status":
            raise HubError(fault.status, f"made to fail with {fault.status}")
        if fault.kind == "hold":
            fault.reached.set()
            fault.release.wait(60)
        elif fault.kind == "slow":
            time.sleep(fault.seconds)
        elif fault.kind == "cut":
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length // 2)
            self.close_connection = True
            self.connection.close()
            return True
        return False

    # What every endpoint needs

    def body(self) -> bytes:
        """See ``Endpoints.body``."""
        if self._data is None:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                self._data = b"".join(self._chunks())
            else:
                self._data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return self._data

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()


if __name__ == "__main__":
    with HubServer(Path(sys.argv[1])) as server:
        print(f"HF_ENDPOINT={server.url} HF_TOKEN=hf_write", flush=True)
        threading.Event().wait()
