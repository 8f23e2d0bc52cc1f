"""A folder that keeps what was read from a remote dataset, up to a size, for the next epoch and for other processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
from pathlib import Path

from .source import Buffer, Source

LOW_WATER = 0.9
"""Share of the cap that is left after files were thrown away."""


class CachedSource:
    """Keeps every range that is read as a file of its own, so that nothing is fetched that nobody asked for.

    Several processes may share the folder: files appear by rename and are never changed. What was used longest ago goes
    first. Manifests and indexes are not kept here, they are read once and decide what is asked for.
    """

    remote = True

    def __init__(self, inner: Source, url: str, folder: Path, cap: int) -> None:
        self.root = inner.root
        self._inner = inner
        self._folder = folder.expanduser() / hashlib.sha256(url.encode()).hexdigest()[:16]
        self._whole, self._cap = folder.expanduser(), cap
        self._lock = threading.Lock()
        self._used: int | None = None

    @property
    def retries(self) -> int:
        """See ``Source.retries``."""
        return self._inner.retries

    def read(self, name: str, offset: int, size: int, *, fresh: bool = False) -> Buffer:
        """See ``Source.read``."""
        path = self._folder / name / f"{offset}-{size}"
        if not fresh:
            with contextlib.suppress(OSError):
                data = path.read_bytes()
                if len(data) == size:
                    os.utime(path)
                    return data
        content = self._inner.read(name, offset, size, fresh=fresh)
        with contextlib.suppress(OSError):  # a full or read-only disk costs the cache, not the sample
            self._keep(path, content)
        return content

    def read_all(self, name: str) -> Buffer:
        """See ``Source.read_all``."""
        return self._inner.read_all(name)

    def close(self) -> None:
        """See ``Source.close``."""
        self._inner.close()

    def _keep(self, path: Path, content: Buffer) -> None:
        if len(content) > self._cap:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        number, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(number, "wb") as stream:
                stream.write(content)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink()
            raise
        with self._lock:
            if self._used is not None:
                self._used += len(content)
            if self._used is None or self._used > self._cap:
                self._used = self._shrink()

    def _shrink(self) -> int:
        """Bytes in the folder, after the oldest files were removed where they are too many."""
        files = []
        for path in self._whole.rglob("*"):
            with contextlib.suppress(OSError):
                status = path.stat()
                if path.is_file():
                    files.append((status.st_mtime, status.st_size, path))
        used = sum(size for _, size, _ in files)
        if used <= self._cap:
            return used
        for _, size, path in sorted(files, key=lambda file: file[0]):
            if used <= self._cap * LOW_WATER:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            used -= size
        return used
