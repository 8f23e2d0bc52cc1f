"""Objects below a URL: whole writes that are checked, reads, copies, listings, each tried again where that can help."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, InvalidStateError, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from mmprolong_data.errors import FormatError, MMProLongError
from mmprolong_data.remote import MissingError, RefusedError, Retries, SourceError, open_system, redacted

from .hashes import Hashes, hashes_of, hashes_of_file

S = TypeVar("S")
T = TypeVar("T")
PART = 8 << 20
"""Bytes of a part of an upload."""
PARTS_AT_ONCE = 4
"""Parts of one object that are on their way at a time: with ``PART`` the memory that an upload takes."""
_MOST_PARTS = 5000
THREADS = 16
"""Small objects that are read, copied or removed at a time."""
CHUNK = 16 << 20
"""Bytes asked for at a time when an object is read back or fetched."""
GRACE = 3.0
"""Seconds that a call may go on after ``Objects.close``: an upload then ends after a part, and takes its parts away."""
_PUT: dict[str, dict[str, Any]] = {"s3": {"max_concurrency": PARTS_AT_ONCE}, "gs": {}}
"""Protocol -> how its file system puts a file."""
_REMEDY = " Remedy: run the same command again when the server can be reached; what is complete is kept"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a listing says of an object; ``modified``: seconds, 0 where it is not told."""

    bytes: int
    modified: float


class Objects:
    """The objects of a folder in a bucket, by their path below it. Safe to use from several threads.

    An object is written as a whole or not at all. What was written is looked at again: its size, and its hash as far as
    the store tells one; where it tells none that is known here (encryption by a key of yours), the bytes are read back.

    Args:
        url: Of the folder.
        retries: How failures are met.
    """

    def __init__(self, url: str, retries: Retries | None = None) -> None:
        self.url = url.rstrip("/")
        self._retries = retries or Retries(remedy=_REMEDY, what="written or read")
        self._scheme = url.partition("://")[0]
        self._opened: tuple[Any, str] | None = None
        self._lock = threading.Lock()
        self._closed: Future[None] = Future()

    def close(self) -> None:
        """Let no call wait for another try, and end uploads that are under way."""
        with contextlib.suppress(InvalidStateError):
            self._closed.set_result(None)
        self._retries.close()

    @property
    def retries(self) -> int:
        """Calls that had to be repeated so far."""
        return self._retries.count

    def check(self, folder: str) -> None:
        """Find out, before any work is done, whether objects in a folder can be written, listed and removed.

        Raises:
            MMProLongError: they cannot; says why.
        """
        probe = f"{folder}/{secrets.token_hex(8)}"
        self.write(probe, b"written to find out whether objects can be written here")
        self.list(probe)
        self.remove(probe)

    def put(self, path: Path, key: str, sha256: str = "") -> None:
        """Write a file. Memory: some parts of it (``PART``).

        Raises:
            MMProLongError: it cannot be written, or the file is not the one that ``sha256`` was taken of.
        """
        size = path.stat().st_size
        part = max(PART, -(-size // _MOST_PARTS))
        hashes = hashes_of_file(path, part)
        if sha256 and hashes.sha256 != sha256:
            raise MMProLongError(
                f"{path}: changed since it was made (a full or failing disk?). Remedy: run the same command again"
            )
        options = _PUT[self._scheme] | {"chunksize": part}

        def attempt() -> None:
            system, full = self._at(key)
            self._call(system, "put_file", str(path), full, callback=_watch(self._closed), **options)
            self._check_written(system, full, size, hashes)

        self._run(attempt, key, writes=True)

    def write(self, key: str, data: bytes) -> None:
        """Write a small object. Raises as ``put`` does."""

        def attempt() -> None:
            system, full = self._at(key)
            self._call(system, "pipe_file", full, data)
            self._check_written(system, full, len(data), hashes_of(data))

        self._run(attempt, key, writes=True)

    def create(self, key: str, data: bytes) -> bytes:
        """Write a small object unless it is there. Returns its content: ``data``, or what somebody else has written.

        Stores without conditional writes overwrite; whoever is interested has to look at the content again.
        """

        def attempt() -> None:
            system, full = self._at(key)
            try:
                self._call(system, "pipe_file", full, data, mode="create")
            except FileExistsError:
                pass
            except OSError as error:
                if error.errno != errno.ENOSYS:  # what s3fs makes of "501 Not Implemented"
                    raise
                try:
                    self._call(system, "info", full)
                except FileNotFoundError:
                    self._call(system, "pipe_file", full, data)

        self._run(attempt, key, writes=True)
        found = self.read(key)
        if found is None:
            raise MMProLongError(f"{self._where(key)}: was removed as soon as it was written. Remedy: who removes it?")
        return found

    def read(self, key: str) -> bytes | None:
        """The content of a small object; None where there is none."""
        system, full = self._at(key)
        try:
            data: bytes = self._retries.run(lambda: self._call(system, "cat_file", full), self._where(key))
        except MissingError:
            return None
        except SourceError as error:
            raise self._explained(error, key) from None
        return data

    def read_all(self, keys: Iterable[str]) -> Iterator[bytes | None]:
        """``read`` of many, in order."""
        return self.each(self.read, keys)

    def each(self, call: Callable[[S], T], items: Iterable[S], threads: int = THREADS) -> Iterator[T]:
        """``call`` of many, some of them at a time, in order. After the first exception no more are begun."""
        executor = ThreadPoolExecutor(threads, thread_name_prefix="bucket")
        try:
            yield from executor.map(call, items)
        finally:
            executor.shutdown(cancel_futures=True)

    def fetch(self, key: str, path: Path, sha256: str = "") -> None:
        """Bring an object to a file, a piece at a time.

        Raises:
            FormatError: it is missing.
            MMProLongError: it cannot be fetched, or is not what ``sha256`` was taken of.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")

        def attempt() -> None:
            system, full = self._at(key)
            digest = hashlib.sha256()
            with temporary.open("wb") as stream:
                for data in self._pieces(system, full):
                    stream.write(data)
                    digest.update(data)
            if sha256 and digest.hexdigest() != sha256:
                raise OSError("the bytes that came have another hash")

        try:
            self._run(attempt, key)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def exists(self, key: str) -> bool:
        """True if there is such an object."""
        return self.size(key) is not None

    def size(self, key: str) -> int | None:
        """Bytes of an object; None where there is none."""
        system, full = self._at(key)
        try:
            return int(self._retries.run(lambda: self._call(system, "info", full), self._where(key))["size"])
        except MissingError:
            return None
        except SourceError as error:
            raise self._explained(error, key) from None

    def move(self, source: str, target: str, size: int) -> None:
        """Copy on the server, check the size, remove the source. May be called again after an interruption."""
        system, old = self._at(source)
        new = self._at(target)[1]

        def attempt() -> None:
            self._call(system, "cp_file", old, new)
            if (now := self._call(system, "info", new)["size"]) != size:
                raise OSError(f"{now} bytes of {size} were copied")

        try:
            self._run(attempt, source, writes=True)
        except MissingError:
            if self.size(target) != size:
                raise FormatError(f"{self._where(source)}: missing. Remedy: run the same build again") from None
        self.remove(source)

    def remove(self, key: str) -> None:
        """Remove an object, if it is there."""
        system, full = self._at(key)

        def attempt() -> None:
            with contextlib.suppress(FileNotFoundError):
                self._call(system, "rm_file", full)

        self._run(attempt, key, writes=True)

    def list(self, key: str) -> dict[str, Entry]:
        """Path -> entry of all objects below ``key``, as the store knows them now."""
        system, full = self._at(key)
        try:
            found = self._run(lambda: self._call(system, "find", full, detail=True), key)
        except MissingError:
            self._check_bucket(system)
            found = {}
        start = len(self._at("")[1])
        return {
            name[start:]: Entry(int(info["size"]), _seconds(info))
            for name, info in found.items()
            if name.startswith(f"{full}/")
        }

    def with_open(self, key: str, size: int, call: Callable[[Any], T]) -> T:
        """``call`` with a binary file of an object whose size is known; it is called again where a read fails."""
        system, full = self._at(key)

        def attempt() -> T:
            with system.open(full, "rb", cache_type="none", size=size) as stream:
                return call(stream)

        return self._run(attempt, key)

    def _check_bucket(self, system: Any) -> None:
        bucket = self._at("")[1].partition("/")[0]
        try:
            self._retries.run(lambda: self._call(system, "info", bucket), self._where(""))
        except MissingError:
            raise MMProLongError(
                f"{self._scheme}://{bucket}: there is no such bucket. Remedy: make it, or check the URL"
            ) from None
        except SourceError as error:
            raise self._explained(error, "") from None

    def _at(self, key: str) -> tuple[Any, str]:
        """The file system, and the path of an object in it."""
        with self._lock:
            if self._opened is None:
                self._opened = open_system(self.url, {"use_listings_cache": False})
            system, base = self._opened
        return system, f"{base}/{key}"

    def _where(self, key: str) -> str:
        return f"{redacted(self.url)}/{key}".rstrip("/")

    def _run(self, call: Callable[[], T], key: str, *, writes: bool = False) -> T:
        try:
            return self._retries.run(call, self._where(key))
        except MissingError:
            if writes:  # an object that is written cannot be missing
                self._check_bucket(self._at("")[0])
            raise
        except SourceError as error:
            raise self._explained(error, key) from None

    def _explained(self, error: SourceError, key: str) -> MMProLongError:
        if not isinstance(error, RefusedError):
            return error
        cause = "no credentials were found" if "no credentials" in str(error) else "access is refused"
        return RefusedError(
            f"{self._where(key)}: {cause}. Remedy: credentials in the environment that may list, read, write and remove"
            " objects there"
        )

    def _pieces(self, system: Any, full: str) -> Iterator[bytes]:
        """The bytes of an object."""
        size, start = int(self._call(system, "info", full)["size"]), 0
        while start < size:
            data: bytes = self._call(system, "cat_file", full, start=start, end=min(start + CHUNK, size))
            if not data:
                raise OSError(f"{start} bytes of {size} came")
            yield data
            start += len(data)

    def _call(self, system: Any, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of a file system. Where that is asynchronous, ``close`` ends it, whatever the server does."""
        if not getattr(system, "async_impl", False):
            return getattr(system, name)(*arguments, **options)
        coroutine = getattr(system, f"_{name}")(*arguments, **options)
        future = asyncio.run_coroutine_threadsafe(coroutine, system.loop)
        wait([future, self._closed], return_when=FIRST_COMPLETED)
        if not future.done() and not wait([future], timeout=GRACE).done:
            future.cancel()
            raise MMProLongError("the build was stopped")
        return future.result()

    def _check_written(self, system: Any, full: str, size: int, hashes: Hashes) -> None:
        """Raise if an object is not what was written."""
        info = self._call(system, "info", full)
        if info["size"] != size:
            raise OSError(f"{info['size']} bytes of {size} arrived")
        told = {str(info[name]).strip('"') for name in ("ETag", "etag", "md5Hash") if info.get(name)}
        if told & hashes.known:
            return
        digest = hashlib.sha256()
        for data in self._pieces(system, full):
            digest.update(data)
        if digest.hexdigest() != hashes.sha256:
            raise OSError("other bytes arrived than were sent")


def _watch(closed: Future[None]) -> Any:
    """A callback of fsspec that ends an upload after the next part once ``closed`` is set."""
    from fsspec.callbacks import Callback

    class Watch(Callback):  # type: ignore[misc]  # fsspec has no types
        def relative_update(self, inc: int = 1) -> None:
            if closed.done():
                raise MMProLongError("the build was stopped")

    return Watch()


def _seconds(info: dict[str, Any]) -> float:
    modified: Any = info.get("LastModified") or info.get("mtime") or info.get("updated")
    return float(modified.timestamp()) if isinstance(modified, datetime) else 0.0
