"""An S3 server on loopback (moto), and a proxy before it that cuts and resets connections and answers 503."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import struct
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEYS = {"AWS_ACCESS_KEY_ID": "not-a-real-key-id", "AWS_SECRET_ACCESS_KEY": "not-a-real-secret"}


@dataclass
class S3:
    """A running server.

    Attributes:
        url: Of the server.
        environment: What a process needs to reach it.
        gets: Keys of all GET requests that asked for an object.
    """

    url: str
    environment: dict[str, str]
    client: Any = None

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Store an object, and its bucket if need be."""
        with suppress(self.client.exceptions.BucketAlreadyOwnedByYou):
            self.client.create_bucket(Bucket=bucket)
        self.client.put_object(Bucket=bucket, Key=key, Body=data)

    def put_folder(self, bucket: str, prefix: str, folder: Path) -> None:
        """Store all files of a folder."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(bucket, f"{prefix}{path.relative_to(folder).as_posix()}", path.read_bytes())

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """The keys of all objects below a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def get(self, bucket: str, key: str) -> bytes:
        """The content of an object."""
        data: bytes = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return data

    def content(self, bucket: str, prefix: str) -> dict[str, str]:
        """``builds.content`` of a dataset in a bucket."""
        wanted = [key.removeprefix(prefix) for key in self.keys(bucket, prefix)]
        return {
            key: hashlib.sha256(self.get(bucket, prefix + key)).hexdigest()
            for key in sorted(wanted)
            if key.startswith(("data/", "index/")) or key in ("manifest.json", "README.md")
        }


def environment(url: str) -> dict[str, str]:
    """Variables for boto: this endpoint, these keys, nothing of the machine's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | KEYS | {
        "AWS_ENDPOINT_URL_S3": url, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_MAX_ATTEMPTS": "1",  # boto's own tries wait for seconds
    }  # fmt: skip


@contextmanager
def serve_s3() -> Iterator[S3]:
    """An empty S3 server on a free port, with a client."""
    import botocore.session
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    session = botocore.session.Session()
    client = session.create_client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    try:
        yield S3(url, environment(url), client)
    finally:
        urllib.request.urlopen(f"{url}/moto-api/reset", data=b"").close()  # buckets belong to the process otherwise
        server.stop()


@dataclass
class CuttingProxy:
    """A TCP proxy that ends some connections after some bytes of the server's answer, in three ways by turns.

    The connection is closed, or reset; or instead of the server the proxy answers that it is overloaded (503).

    Attributes:
        url: Of the proxy.
        share: Share of the connections that are cut, by seeded chance.
        refuse: Cut every connection at once: the server is away.
        deny: Answer requests of these methods that access is denied (403).
        unconditional: Answer conditional requests that they are not implemented (501), as some stores do.
        damage: So many of the next uploads of Parquet files arrive with another byte.
        hold: Never hand on more than the head of an upload whose first line contains this; sets ``held``.
        cut: Number of connections that were cut.
        requests: First lines of the first requests of all connections, such as ``GET /bucket/a.pdf HTTP/1.1``.
    """

    url: str = ""
    share: float = 0.0
    refuse: bool = False
    deny: tuple[str, ...] = ()
    unconditional: bool = False
    damage: int = 0
    hold: str = ""
    held: threading.Event = field(default_factory=threading.Event)
    cut: int = 0
    requests: list[str] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self) -> tuple[int, str] | None:
        """Bytes of the answer after which the next connection is cut, and how; None: it is not."""
        with self.lock:
            if self.refuse or self.chance.random() < self.share:
                self.cut += 1
                how = ("close", "reset", "503")[self.cut % 3]
                return (0, "close") if self.refuse else (self.chance.randrange(1, 8000), how)
            return None


@contextmanager
def proxy(target: str) -> Iterator[CuttingProxy]:
    """A proxy before ``http://host:port``. Every connection serves one request, so that cuts fall evenly."""
    host, _, port = target.removeprefix("http://").partition(":")
    listener = socket.create_server(("127.0.0.1", 0))
    state = CuttingProxy(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def serve(client: socket.socket) -> None:
        limit, how = state.fault() or (None, "")
        with client, suppress(OSError), socket.create_connection((host, int(port))) as server:
            if limit == 0:
                return
            if how == "503":
                client.recv(65536)
                client.sendall(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return

            def forward() -> None:
                with suppress(OSError):
                    first = b""
                    while data := client.recv(65536):
                        if not first:
                            first = data.split(b"\r\n")[0]
                            with state.lock:
                                state.requests.append(first.decode())
                            if first.decode().partition(" ")[0] in state.deny:
                                client.sendall(_error(b"403 Forbidden", b"AccessDenied", first.startswith(b"HEAD")))
                                client.shutdown(socket.SHUT_RDWR)
                                return
                            if state.unconditional and b"\r\nif-none-match:" in data.lower():
                                client.sendall(_error(b"501 Not Implemented", b"NotImplemented", False))
                                client.shutdown(socket.SHUT_RDWR)
                                return
                            data = _one_request(data)
                        if state.hold and state.hold in first.decode() and first.startswith(b"PUT"):
                            state.held.set()
                            continue
                        if state.damage and first.startswith(b"PUT") and b"PAR1" in data:
                            state.damage -= 1
                            data = data.replace(b"PAR1", b"PAR2", 1)
                        server.sendall(data)

            threading.Thread(target=forward, daemon=True).start()
            sent = 0
            while data := server.recv(65536):
                if limit is not None and sent + len(data) >= limit:
                    client.sendall(data[: limit - sent])
                    if how == "reset":
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.shutdown(socket.SHUT_RD if how == "reset" else socket.SHUT_RDWR)  # wakes ``forward`` too
                    return
                client.sendall(data)
                sent += len(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield state
    finally:
        listener.close()


def _error(status: bytes, code: bytes, head: bool) -> bytes:
    """An answer of S3 that says no; that to a HEAD request has no body."""
    body = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>No</Message></Error>" % code
    fields = b"Content-Type: application/xml\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    return b"HTTP/1.1 %s\r\n%s%s" % (status, fields, b"" if head else body)


def _one_request(data: bytes) -> bytes:
    """Ask the server to close after its answer."""
    return data.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)


def without_driver(environment: Mapping[str, str], folder: Path, module: str) -> dict[str, str]:
    """An environment whose Python cannot import a module."""
    (folder / f"{module}.py").write_text(f"raise ImportError('no {module}')\n")
    return {**environment, "PYTHONPATH": str(folder)}
