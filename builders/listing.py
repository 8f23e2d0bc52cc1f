"""What lies behind a URL: the PDFs below a prefix as the server lists them, one file, an index, or a text of paths."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from mmprolong_data.errors import SettingsError
from mmprolong_data.remote import MissingError, RefusedError, Retries, SourceError, redacted

from .fetch import FileStore, UnfetchedError
from .urls import shown, version_of

DEPTH = 32
"""Folders in folders that are entered over HTTP, where a server can make them up without end."""
_PAGE = 1000
"""Entries of a listing that are taken over at a time."""
LOOKS = 32
"""Files of a list that are looked at at a time."""
_LOCAL = (
    "asynclocal", "async_wrapper", "blockcache", "cached", "data", "dir", "file",
    "filecache", "generic", "lazyreference", "libarchive", "local", "memory", "reference", "simplecache", "tar", "zip",
)  # fmt: skip
"""Protocols of fsspec that lead to this machine, or to another file system in disguise."""
_ALIASES = {"s3a": "s3", "gcs": "gs"}

Remote = tuple[str, int, str]
"""Stored path, bytes (-1: not told), version."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a URL stands for: ``files``, ``urls`` to look at, or the stored path of a ``text`` that names files."""

    files: Iterable[Remote] = ()
    urls: Iterable[str] | None = None
    text: str | None = None


def list_url(url: str, store: FileStore) -> Listing:
    """Find out what a URL of the command line stands for.

    Raises:
        SettingsError: nothing is there, or no PDF; access is refused; the protocol cannot be used.
        UnfetchedError: the server cannot be reached.
    """
    _check(url)
    stored = store.hide(url)
    if urlsplit(url).scheme in ("http", "https"):
        kind = _kind(stored, store)
        if kind == "html":
            return Listing(urls=_index(stored, store))
        return Listing(text=stored) if kind == "text" else Listing([_file(stored, store)])
    system, path = store.system(stored)
    info = _asked(lambda: system.info(path), stored, store)
    if info["type"] == "directory":
        return Listing(_some(_below(system, path, stored, store), stored))
    if _kind(stored, store) == "text":
        return Listing(text=stored)
    return Listing([(_url_of(system, info["name"]), _size(info), version_of(info))])


def look_at(urls: Iterable[str], store: FileStore) -> Iterator[tuple[str, int, str, str]]:
    """Ask about the lines of a list (or links), many at a time, in order.

    Yields:
        Stored path, bytes, version, and why the file cannot be had ("" if it can). A line may name a folder.

    Raises:
        UnfetchedError: a server cannot be reached.
    """

    def one(url: str) -> Iterable[tuple[str, int, str, str]]:
        try:
            _check(url)
        except SettingsError:
            return [(shown(store.hide(url)), -1, "", "a protocol that is not used")]
        stored = store.hide(url)
        try:
            system, path = store.system(stored)
            info = store.retries.run(lambda: system.info(path), shown(stored))
            if info.get("type") == "directory":
                return ((*file, "") for file in _below(system, path, stored, store))
            return [(stored, _size(info), version_of(info), "")]
        except (SourceError, MissingError) as error:
            failure = store.unfetched(error, stored)
            if not failure.lasting:
                raise failure from None
            return [(stored, -1, "", failure.lasting)]

    waiting: deque[Future[Iterable[tuple[str, int, str, str]]]] = deque()
    with ThreadPoolExecutor(LOOKS, thread_name_prefix="look") as executor:
        try:
            for url in urls:
                waiting.append(executor.submit(one, url))
                if len(waiting) >= 2 * LOOKS:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _check(url: str) -> None:
    """Refuse what is no URL of a file elsewhere, before anything is opened."""
    parts = urlsplit(url)
    if "::" in url.partition("://")[0] or parts.scheme in _LOCAL:
        raise SettingsError(
            f"{parts.scheme}://...: not a place that a corpus may lie at. Remedy: s3://, gs://, hf://, ..."
        )
    if "@" in parts.netloc and parts.scheme not in ("http", "https", "hf", "abfs", "abfss"):
        raise SettingsError(f"{parts.scheme}://...: credentials in a URL. Remedy: set them in the environment")


def _kind(stored: str, store: FileStore) -> Literal["pdf", "text", "html"]:
    """What one file is: by its name, else by its first bytes."""
    if urlsplit(stored).path.lower().endswith(".pdf"):
        return "pdf"
    try:
        with store.local(stored) as path, Path(path).open("rb") as file:
            head = file.read(4096)
    except UnfetchedError as error:
        raise (SettingsError(str(error)) if error.lasting else error) from None
    if b"%PDF-" in head[:1024]:
        return "pdf"
    page = b"<html" in head.lower() or b"<!doctype" in head.lower()
    over_http = urlsplit(stored).scheme in ("http", "https")
    if b"\0" in head or (page and not over_http):
        raise SettingsError(f"{shown(stored)}: neither a PDF nor a text file of paths")
    return "html" if page else "text"


def _index(stored: str, store: FileStore) -> Iterator[str]:
    """The PDFs that a server's index of a folder links to, on this server and below this folder; its folders too."""
    system, first = store.system(stored)
    waiting, entered, some = [(first, 0)], set[str](), False
    while waiting:
        current, depth = waiting.pop()
        links = _asked(lambda url=current: system.ls(url, detail=False), redacted(current), store)
        for link in sorted(set(links)):
            below = link.removeprefix(current.rstrip("/") + "/")
            if below == link or ".." in below.split("/") or link in entered:
                continue
            entered.add(link)
            if link.endswith("/") and "?" not in link and depth < DEPTH:
                waiting.append((link, depth + 1))
            elif urlsplit(link).path.lower().endswith(".pdf"):
                some = True
                yield link
    if not some:
        raise SettingsError(f"{shown(stored)}: a page without links to PDFs below it. Remedy: name the folder's index")


def _file(stored: str, store: FileStore) -> Remote:
    system, path = store.system(stored)
    info = _asked(lambda: system.info(path), stored, store)
    return stored, _size(info), version_of(info)


def _asked(call: Any, stored: str, store: FileStore, retries: Retries | None = None) -> Any:
    """The answer to a question about a URL of the command line."""
    where = shown(stored)
    try:
        return (retries or store.retries).run(call, where)
    except MissingError:
        raise SettingsError(f"{where}: there is no such bucket, folder or file. Remedy: check the URL") from None
    except RefusedError as error:
        cause = "no credentials were found" if "no credentials" in str(error) else "access is refused"
        raise SettingsError(
            f"{where}: {cause}. Remedy: credentials that may list and read it, in the environment"
        ) from None
    except SourceError as error:
        raise store.unfetched(error, stored) from None


def _some(files: Iterator[Remote], stored: str) -> Iterator[Remote]:
    empty = True
    for file in files:
        empty = False
        yield file
    if empty:
        raise SettingsError(f"{shown(stored)}: no PDF below this URL. Remedy: name the folder that holds them")


def _below(system: Any, path: str, stored: str, store: FileStore) -> Iterator[Remote]:
    """All PDFs below a folder, never more of them in memory than the server lists at a time."""
    entries = _s3_objects(system, path, stored, store) if hasattr(system, "_iterdir") else None
    for info in entries or _walk(system, path, stored, store):
        if info["name"].lower().endswith(".pdf"):
            yield _url_of(system, info["name"]), _size(info), version_of(info)


def _s3_objects(system: Any, path: str, stored: str, store: FileStore) -> Iterator[dict[str, Any]]:
    """The objects below a prefix, a page of the server's listing at a time: ``find`` would hold all of them."""
    from fsspec.asyn import sync

    bucket, _, prefix = path.partition("/")
    prefix = prefix.rstrip("/") + "/" if prefix else ""
    objects: AsyncIterator[dict[str, Any]] = system._iterdir(bucket, delimiter="", prefix=prefix)

    async def some() -> list[dict[str, Any]]:
        found = []
        async for info in objects:
            found.append(info)
            if len(found) == _PAGE:
                break
        return found

    once = Retries(1)  # a listing that failed cannot be continued; s3fs has repeated each of its requests
    while found := _asked(lambda: sync(system.loop, some), stored, store, once):
        yield from found


def _walk(system: Any, path: str, stored: str, store: FileStore) -> Iterator[dict[str, Any]]:
    """The files below a folder, a folder at a time."""
    waiting = [path]
    while waiting:
        current = waiting.pop()
        below = _asked(lambda current=current: system.ls(current, detail=True), stored, store)
        for info in sorted(below, key=lambda info: str(info["name"])):
            if info["type"] != "directory":
                yield info
            elif info["name"].rstrip("/") != current.rstrip("/"):
                waiting.append(info["name"])


def _url_of(system: Any, name: str) -> str:
    protocol = system.protocol if isinstance(system.protocol, str) else system.protocol[0]
    return f"{_ALIASES.get(protocol, protocol)}://{name}"


def _size(info: dict[str, Any]) -> int:
    size = info.get("size")
    return -1 if size is None else int(size)
