"""PDFs behind URLs as files on this machine: fetched when they are needed, a bounded number kept, none left behind."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mmprolong_data.errors import FormatError, MMProLongError
from mmprolong_data.remote import MissingError, RefusedError, Retries, SourceError, is_url, open_system

from .urls import HiddenUrls, shown, url_name

KEPT_BYTES = 2 << 30
"""Most bytes of fetched files that nobody uses at the moment: a document is needed again by each stage of its slice."""
CHUNK = 16 << 20
"""Bytes asked for at a time."""
THREADS = 8
"""Files that are fetched at a time."""
ANOTHER = "another file than when the plan was made"
_REMEDY = " Remedy: run the same command again when the server can be reached; what is complete is kept"
_PREFIX = "mmprolong-fetched-"


class UnfetchedError(MMProLongError):
    """A file of the corpus could not be fetched.

    Args:
        message: For the user, without credentials.
        lasting: Where the server has answered that there is no such file, or that nobody may read it: this answer.
        gone: The file of the plan exists no more: it was removed, or another one has its name.
    """

    def __init__(self, message: str, lasting: str = "", gone: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting
        self.gone = gone


@dataclass(eq=False, slots=True)
class _Entry:
    """A file that is fetched, or on its way; ``users`` keep it from being thrown away."""

    future: Future[tuple[Path, str]]
    users: int = 0
    bytes: int = 0


class FileStore:
    """Files of a corpus, by the path under which the inventory knows them. Safe to use from several threads.

    What is fetched lies in a folder below the system's place for temporary files (``TMPDIR``). The folder is removed by
    ``close``; that of a process which was killed, by the next one.

    Args:
        retries: How failures are met.
        kept_bytes: See ``KEPT_BYTES``.
    """

    def __init__(self, retries: Retries | None = None, kept_bytes: int = KEPT_BYTES) -> None:
        self.retries = retries or Retries(remedy=_REMEDY)
        self._kept_bytes = kept_bytes
        self._lock = threading.RLock()
        self._systems: dict[tuple[str, str], Any] = {}
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._urls = HiddenUrls()
        self._executor: ThreadPoolExecutor | None = None
        self._folder: Path | None = None
        self._folder_lock: Any = None
        self._number = 0
        self._closed = False

    def hide(self, url: str) -> str:
        """The name under which a URL may be stored. See ``HiddenUrls.hide``."""
        return self._urls.hide(url)

    def full(self, stored: str) -> str:
        """The inverse of ``hide``. See ``HiddenUrls.full``."""
        return self._urls.full(stored)

    def system(self, stored: str) -> tuple[Any, str]:
        """The fsspec file system of a URL, one for each server, and the path in it.

        Raises:
            MMProLongError: see ``remote.open_system``.
        """
        url = self.full(stored)
        parts = urlsplit(url)
        key = (parts.scheme, parts.netloc if parts.scheme in ("http", "https", "hf") else "")
        with self._lock:
            if key not in self._systems:
                # Without the path, which might be taken for a chain of file systems ("::").
                root = f"{parts.scheme}://{parts.netloc}/"
                self._systems[key] = open_system(root, {"use_listings_cache": False})[0]
            system = self._systems[key]
        return system, str(system._strip_protocol(url))

    def want(self, path: str, sha256: str = "") -> None:
        """Begin to fetch a file that will be asked for soon."""
        if is_url(path):
            with self._lock:
                if not self._closed:
                    self._entry(path, sha256)

    @contextlib.contextmanager
    def local(self, path: str, sha256: str = "") -> Iterator[str]:
        """A path on this machine at which the file lies as long as the block lasts.

        Args:
            path: Of a file here, which is given back as it is, or a URL.
            sha256: Of the content that is wanted; empty: whatever there is.

        Raises:
            UnfetchedError: it cannot be fetched, or is another one now.
        """
        if not is_url(path):
            yield path
            return
        entry, found = self._use(path, sha256)
        try:
            yield str(found[0])
        finally:
            self._give_back(entry)

    def sha256(self, path: str) -> str:
        """SHA-256 (hex) of the bytes behind a URL. Raises as ``local`` does."""
        entry, found = self._use(path, "")
        self._give_back(entry)
        return found[1]

    def close(self) -> None:
        """Stop fetching and remove what was fetched. May be called twice."""
        with self._lock:
            self._closed = True
            executor, self._executor = self._executor, None
            folder, self._folder = self._folder, None
        self.retries.close()
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
            self._folder_lock.close()

    def _use(self, path: str, sha256: str) -> tuple[_Entry, tuple[Path, str]]:
        with self._lock:
            if self._closed:
                raise UnfetchedError(f"{path}: the build was stopped")
            entry = self._entry(path, sha256)
            entry.users += 1
        try:
            found = entry.future.result()
            if sha256 and found[1] != sha256:
                remedy = "Remedy: put the old one back, or build into another folder"
                raise UnfetchedError(f"{shown(path)}: {ANOTHER}. {remedy}", ANOTHER, gone=True)
        except BaseException as error:
            self._give_back(entry)
            with self._lock:  # the next one who asks tries anew
                if self._entries.get(path) is entry:
                    del self._entries[path]
            if isinstance(error, CancelledError):
                raise UnfetchedError(f"{path}: the build was stopped") from None
            raise
        return entry, found

    def _give_back(self, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            self._shrink()

    def _entry(self, path: str, sha256: str) -> _Entry:
        """The entry of a URL, begun if need be. With the lock held."""
        entry = self._entries.get(path)
        if entry is None:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="fetch")
                self._make_folder()
            self._number += 1
            entry = self._entries[path] = _Entry(self._executor.submit(self._fetch, path, f"{self._number}", sha256))
            entry.future.add_done_callback(partial(self._count, entry))
        self._entries.move_to_end(path)
        return entry

    def _count(self, entry: _Entry, future: Future[tuple[Path, str]]) -> None:
        if not future.cancelled() and future.exception() is None:
            with self._lock, contextlib.suppress(OSError):
                entry.bytes = future.result()[0].stat().st_size

    def _shrink(self) -> None:
        """Throw away what was used longest ago. With the lock held."""
        idle = [path for path, entry in self._entries.items() if not entry.users and entry.future.done()]
        used = sum(self._entries[path].bytes for path in idle)
        for path in idle:
            if used <= self._kept_bytes:
                break
            entry = self._entries.pop(path)
            used -= entry.bytes
            if not entry.future.cancelled() and entry.future.exception() is None:
                shutil.rmtree(entry.future.result()[0].parent, ignore_errors=True)

    def _make_folder(self) -> None:
        """A folder of our own, locked as long as this process lives; those of dead processes go."""
        for old in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            _remove_if_dead(old)
        new = Path(tempfile.mkdtemp(prefix=f"new-{_PREFIX}"))
        self._folder_lock = (new / "lock").open("w")
        fcntl.flock(self._folder_lock, fcntl.LOCK_EX)
        self._folder = new.rename(new.with_name(new.name.removeprefix("new-")))

    def _fetch(self, stored: str, number: str, sha256: str) -> tuple[Path, str]:
        folder = self._folder
        if folder is None:
            raise UnfetchedError(f"{stored}: the build was stopped")
        # The name is kept: what is said about a document must not depend on where it came from.
        name = os.fsencode(url_name(stored).replace("\0", ""))[:200].decode(errors="ignore")
        target = folder / number / (name if name not in ("", ".", "..") else "file")
        temporary = target.with_name(target.name + ".tmp")
        where = shown(stored)
        try:
            target.parent.mkdir()
            digest = self.retries.run(lambda: self._download(stored, temporary, sha256), where)
            temporary.replace(target)
        except BaseException as error:
            shutil.rmtree(target.parent, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise MMProLongError(f"{folder}: no space left for fetched files. Remedy: TMPDIR elsewhere") from None
            if isinstance(error, SourceError | FormatError):
                raise self.unfetched(error, stored) from None
            raise
        return target, digest

    def unfetched(self, error: SourceError | FormatError, stored: str) -> UnfetchedError:
        """What a failed access to a file of the corpus means."""
        where = shown(stored)
        if isinstance(error, MissingError):
            return UnfetchedError(f"{where}: there is no such file", "there is no such file", gone=True)
        if isinstance(error, RefusedError):
            # Where no credentials are sent, a refusal says something about the file; else it may be about them.
            anonymous = urlsplit(stored).scheme in ("http", "https") and self.full(stored) == stored
            return UnfetchedError(
                f"{where}: access is refused. Remedy: credentials that may read it, in the environment",
                "access is refused" if anonymous else "",
            )
        return UnfetchedError(str(error))

    def _download(self, stored: str, temporary: Path, sha256: str) -> str:
        """One try. Returns the hash of what was received, which is the whole file."""
        system, path = self.system(stored)
        size = system.info(path)["size"]
        digest = hashlib.sha256()
        received = 0
        with temporary.open("wb") as stream:
            while size is None or received < size:
                if self._closed:
                    raise UnfetchedError(f"{shown(stored)}: the build was stopped")
                end = received + CHUNK if size is None else min(received + CHUNK, size)
                data: bytes = system.cat_file(path, start=received, end=end)
                if len(data) != end - received and not (received == 0 and (size is None or len(data) == size)):
                    if size is None and len(data) < end - received:
                        size = received + len(data)  # the end
                    else:
                        raise OSError(f"{len(data)} bytes came where {end - received} were asked for")
                elif size is None and len(data) != CHUNK:
                    size = received + len(data)
                try:
                    stream.write(data)
                except OSError as error:
                    raise _full_disk(temporary, error) from None
                digest.update(data)
                received += len(data)
        if sha256 and digest.hexdigest() != sha256:
            # Damaged on its way, or another file by now: the caller can tell after another try.
            return self._again(stored, temporary, digest.hexdigest())
        return digest.hexdigest()

    def _again(self, stored: str, temporary: Path, before: str) -> str:
        """Fetch a file whose hash is not the wanted one once more: damage does not strike twice in the same way."""
        after = self._download(stored, temporary, "")
        if after != before:
            raise OSError("two tries gave different bytes")
        return after


def _full_disk(path: Path, error: OSError) -> MMProLongError:
    return MMProLongError(
        f"{path.parent}: {error.strerror} while a file of the corpus was fetched."
        " Remedy: free space, or TMPDIR elsewhere"
    )


def _remove_if_dead(folder: Path) -> None:
    with contextlib.suppress(OSError), (folder / "lock").open("r+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
