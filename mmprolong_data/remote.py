"""Reaching files behind URLs: opening a file system by fsspec, trying again, and saying nothing of credentials."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from .errors import FormatError, MMProLongError, missing_extra

T = TypeVar("T")
ATTEMPTS = 6
"""How often a read is tried."""
BACKOFF = 0.5
"""Seconds before the second try; doubles with every further one, up to 30, each shortened at random."""
_EXTRAS = {
    "s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gs"), "gcs": ("gcsfs", "gs"),
    "http": ("aiohttp", "http"), "https": ("aiohttp", "http"),
}  # fmt: skip
"""Protocol -> the package that fsspec needs for it, and the extra that brings it."""


class SourceError(MMProLongError):
    """Bytes could not be fetched, in spite of retries."""


class RefusedError(SourceError):
    """Access was refused: no further try can change that."""


class MissingError(FormatError):
    """There is no such file."""


def is_url(root: str | Path) -> bool:
    """True for ``hf://...``, ``https://...``, ``s3://...``; false for a folder."""
    return isinstance(root, str) and "://" in root and not root.startswith("file://")


def redacted(url: str) -> str:
    """A URL without user name, password or query: what a message may show."""
    parts = urlsplit(url)
    place = parts.netloc if parts.scheme == "hf" else parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"


def open_system(url: str, storage_options: dict[str, Any] | None = None) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it.

    An instance of this process: fsspec's cached ones do not survive a fork.

    Raises:
        MMProLongError: the package that speaks this protocol is not installed.
        SourceError: the URL cannot be opened at all.
    """
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url, skip_instance_cache=True, **(storage_options or {}))
    except ImportError as error:
        package, extra = _EXTRAS.get(url.partition("://")[0], ("", ""))
        if package:
            raise missing_extra(package, extra) from None
        raise SourceError(f"{redacted(url)}: cannot be opened: {error}") from None
    except ValueError as error:
        raise SourceError(f"{redacted(url)}: cannot be opened: {error}") from None
    return system, str(path).rstrip("/")


class Retries:
    """Calls that are tried again where that can help. Safe to use from several threads.

    Attributes:
        count: Calls that had to be repeated so far.

    Args:
        attempts: How often a call is tried.
        backoff: Seconds before the second try; see ``BACKOFF``.
        remedy: Ends the message when all tries have failed.
        what: What is done to a file, for that message.
    """

    def __init__(
        self, attempts: int = ATTEMPTS, backoff: float = BACKOFF, remedy: str = "", what: str = "fetched"
    ) -> None:
        self.count = 0
        self._attempts = max(1, attempts)
        self._backoff = backoff
        self._remedy = remedy
        self._what = what
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def close(self) -> None:
        """Let nobody wait for another try."""
        self._closed.set()

    def run(self, call: Callable[[], T], where: str) -> T:
        """The result of ``call``.

        Args:
            call: Raises whatever its file system does; a ``MMProLongError`` is final.
            where: The redacted URL, for messages.

        Raises:
            MissingError: there is no such file.
            RefusedError: no right to read it.
            SourceError: every try failed, or ``close`` was called.
        """
        for attempt in range(1, self._attempts + 1):
            try:
                return call()
            except MMProLongError:
                raise
            except Exception as raised:  # noqa: BLE001 - every file system has exceptions of its own
                error = _cause(raised)
                _refuse_hopeless(error, where)
                if attempt == self._attempts:
                    # The message may hold the whole URL, with what must not be shown.
                    text = re.sub(r"\w+://[^\s'\"]+", "URL", (str(error).splitlines() or [""])[0])[:200]
                    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
                    raise SourceError(
                        f"{where}: could not be {self._what} in {attempt} tries ({reason}).{self._remedy}"
                    ) from None
                with self._lock:
                    self.count += 1
                if self._closed.wait(min(30.0, self._backoff * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)):
                    raise SourceError(f"{where}: the stream was closed") from None
        raise AssertionError("unreachable")


def _cause(error: Exception) -> Exception:
    """What went wrong. fsspec calls a file behind HTTP missing whatever it was; only 404 and 410 say so."""
    cause = error.__cause__
    hidden = type(cause).__module__.partition(".")[0] in ("aiohttp", "builtins")
    return cause if isinstance(error, FileNotFoundError) and isinstance(cause, Exception) and hidden else error


def _refuse_hopeless(error: Exception, where: str) -> None:
    """Raise for what no further try can change: missing files, missing rights, missing credentials."""
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        raise MissingError(f"{where}: missing. Remedy: build or download the dataset again") from None
    if isinstance(error, PermissionError) or status in (401, 403):
        raise RefusedError(f"{where}: access is refused. Remedy: log in, or pass a token in storage_options") from None
    if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"):
        raise RefusedError(f"{where}: no credentials were found. Remedy: set them in the environment") from None
