"""Bytes of a dataset's files: from a local folder, or by range reads from the Hub or any fsspec URL, with retries."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, Protocol

from .errors import FormatError
from .remote import ATTEMPTS, BACKOFF, Retries, SourceError, is_url, open_system, redacted

__all__ = ["Buffer", "LocalSource", "Source", "SourceError", "is_url", "open_source", "redacted"]

Buffer = bytes | memoryview
MAX_OPEN = 128
"""Local shards kept open at a time."""


class Source(Protocol):
    """Random access to the files below one root. Safe to use from several threads, not across a fork."""

    root: str
    """For messages: without user name, password or query."""
    remote: bool
    """True where bytes may be damaged on their way."""

    @property
    def retries(self) -> int:
        """Reads that had to be repeated so far."""
        ...

    def read(self, name: str, offset: int, size: int, *, fresh: bool = False) -> Buffer:
        """Exactly ``size`` bytes of file ``name`` from ``offset``.

        Args:
            name: Path relative to the root.
            offset, size: In bytes.
            fresh: Do not take it from a cache, what is there may be damaged.

        Raises:
            FormatError: the file is missing or shorter than that.
            SourceError: it could not be fetched.
        """
        ...

    def read_all(self, name: str) -> Buffer:
        """All of a (small) file. Raises as ``read`` does."""
        ...

    def close(self) -> None:
        """Give back what is open."""
        ...


def open_source(
    root: str | Path,
    *,
    storage_options: dict[str, Any] | None = None,
    attempts: int = ATTEMPTS,
    backoff: float = BACKOFF,
    cache_dir: str | Path | None = None,
    cache_bytes: int = 1 << 36,
) -> Source:
    """The source for a folder or URL.

    Args:
        root: A folder, or any URL that fsspec knows; ``hf://datasets/ORG/NAME@vX.Y.Z`` for the Hub.
        storage_options: For the fsspec file system, such as a token.
        attempts: How often a read is tried.
        backoff: Seconds before the second try; doubles with every further one, up to 30, each shortened at random.
        cache_dir: Keep what is read from a URL in this folder.
        cache_bytes: Most bytes to keep there.
    """
    if is_url(root):
        remote = FsspecSource(str(root), storage_options or {}, attempts, backoff)
        if cache_dir is None:
            return remote
        from .cache import CachedSource

        return CachedSource(remote, str(root), Path(cache_dir), cache_bytes)
    return LocalSource(Path(str(root).removeprefix("file://")))


class LocalSource:
    """One ``pread`` a sample; shards stay open."""

    remote = False

    def __init__(self, folder: Path) -> None:
        self.root = str(folder.expanduser().absolute())
        self.retries = 0
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _File] = OrderedDict()

    def read(self, name: str, offset: int, size: int, *, fresh: bool = False) -> Buffer:
        """See ``Source.read``."""
        file = self._file(name)
        try:
            data = os.pread(file.number, size, offset)
            while len(data) < size:  # a read is cut at 2 GiB, and by some network file systems
                more = os.pread(file.number, size - len(data), offset + len(data))
                if not more:
                    raise FormatError(_short(f"{self.root}/{name}", offset, size, len(data)))
                data += more
        except OSError as error:
            raise FormatError(f"{self.root}/{name}: cannot be read: {error.strerror}") from None
        return data

    def read_all(self, name: str) -> Buffer:
        """See ``Source.read_all``."""
        try:
            return (Path(self.root) / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise FormatError(_missing(f"{self.root}/{name}")) from None
        except OSError as error:
            raise FormatError(f"{self.root}/{name}: cannot be read: {error.strerror}") from None

    def close(self) -> None:
        """Close the shards, as soon as no thread reads them."""
        with self._lock:
            self._open.clear()

    def _file(self, name: str) -> _File:
        with self._lock:
            file = self._open.get(name)
            if file is None:
                try:
                    file = _File(os.open(f"{self.root}/{name}", os.O_RDONLY | os.O_CLOEXEC))
                except (FileNotFoundError, NotADirectoryError):
                    raise FormatError(_missing(f"{self.root}/{name}")) from None
                except OSError as error:
                    raise FormatError(f"{self.root}/{name}: cannot be opened: {error.strerror}") from None
                self._open[name] = file
                if len(self._open) > MAX_OPEN:
                    self._open.popitem(last=False)
            self._open.move_to_end(name)
            return file


class _File:
    """A descriptor that closes when the last thread lets go of it: its number may go to another file then."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


class FsspecSource:
    """Range reads through fsspec, opened on first use. Every failure that may pass is tried again."""

    remote = True

    def __init__(self, root: str, storage_options: dict[str, Any], attempts: int, backoff: float) -> None:
        self.root = redacted(root)
        self._url = root.rstrip("/")
        self._options = storage_options
        remedy = " Remedy: run again when the server can be reached; the stream goes on from its state"
        self._retries = Retries(attempts, backoff, remedy)
        self._lock = threading.Lock()
        self._system: tuple[Any, str] | None = None

    @property
    def retries(self) -> int:
        """See ``Source.retries``."""
        return self._retries.count

    def read(self, name: str, offset: int, size: int, *, fresh: bool = False) -> Buffer:
        """See ``Source.read``."""
        where = f"{self.root}/{name}"
        return self._retries.run(lambda: self._range(name, offset, size, where), where)

    def read_all(self, name: str) -> Buffer:
        """See ``Source.read_all``."""
        return self._retries.run(lambda: self._whole(name), f"{self.root}/{name}")

    def close(self) -> None:
        """Let no read wait for another try; connections belong to fsspec."""
        self._retries.close()

    def _whole(self, name: str) -> bytes:
        system, path = self._opened()
        whole: bytes = system.cat_file(f"{path}/{name}")
        return whole

    def _range(self, name: str, offset: int, size: int, where: str) -> bytes:
        system, path = self._opened()
        data: bytes = system.cat_file(f"{path}/{name}", start=offset, end=offset + size)
        if len(data) > size:
            raise FormatError(f"{where}: the server ignores ranges. Remedy: one that knows them, or a local copy")
        if len(data) < size:
            raise OSError(_short(where, offset, size, len(data)))
        return data

    def _opened(self) -> tuple[Any, str]:
        with self._lock:
            if self._system is None:
                self._system = open_system(self._url, self._options)
            return self._system


def _missing(where: str) -> str:
    return f"{where}: missing. Remedy: build or download the dataset again"


def _short(where: str, offset: int, size: int, got: int) -> str:
    return f"{where}: cut: {size} bytes expected at {offset}, {got} found. Remedy: build or download it again"
