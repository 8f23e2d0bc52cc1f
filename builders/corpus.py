"""Which files a corpus consists of: folders, PDFs and lists of paths, on this machine or behind URLs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mmprolong_data.errors import SettingsError
from mmprolong_data.remote import is_url

from .fetch import FileStore
from .listing import list_url, look_at
from .untrusted import stored_path

_PROBE = 4096


@dataclass(frozen=True, slots=True)
class Found:
    """One file of a corpus.

    Attributes:
        path: As the inventory holds it (``untrusted.stored_path``, ``FileStore.hide``).
        bytes, version: Of a file behind a URL: its size, -1 where the server does not tell, and what changes when the
            file does; empty where there is no such thing.
        reason, detail: A reason code, where the server has said that the file cannot be had.
    """

    path: str
    bytes: int = -1
    version: str = ""
    reason: str = ""
    detail: str = ""


def find_files(corpus: Sequence[str | Path], store: FileStore | None = None) -> list[str]:
    """Stored paths of the files of a corpus, each once, sorted. Arguments and errors: see ``list_corpus``."""
    return sorted({found.path for found in list_corpus(corpus, store or FileStore())})


def list_corpus(corpus: Sequence[str | Path], store: FileStore) -> Iterator[Found]:
    """The files of a corpus, as they are found: in no order, some perhaps twice.

    Args:
        corpus: Folders (searched through, ``*.pdf`` in any case; links are followed, no folder is entered twice),
            PDFs, and text files with one path a line (relative to the text file's folder; empty lines and lines that
            begin with ``#`` do not count; a line may name a folder). All of them may be URLs that fsspec knows, and so
            may lines; over HTTP a folder is the page with which the server answers, its index.
        store: Reaches URLs.

    Yields:
        Files. Folders that cannot be read, and lines that name nothing, are among them: the inventory accounts for
        them as ``unreadable``.

    Raises:
        SettingsError: an entry does not exist, is none of these, or holds no PDF.
        UnfetchedError: a server cannot be reached.
    """
    if not corpus:
        raise SettingsError("no corpus: name a folder, a PDF, a text file of paths, or a URL of one of these")
    for entry in corpus:
        if is_url(entry):
            yield from _url(str(entry), store)
            continue
        name = os.fspath(entry).removeprefix("file://")
        path = os.path.abspath(os.path.expanduser(name))  # noqa: PTH100, PTH111 - any bytes, no resolving
        yield from _entry(path, stored_path(name), store)


def _entry(path: str, shown: str, store: FileStore) -> Iterator[Found]:
    if os.path.isdir(path):  # noqa: PTH112
        files = _walk(path)
        if not files:
            raise SettingsError(f"{shown}: no PDF in this folder or below. Remedy: name the folder that holds them")
        yield from map(_local, files)
        return
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(_PROBE)
    except OSError as error:
        raise SettingsError(
            f"{shown}: {error.strerror}. Remedy: name a folder, a PDF or a text file of paths"
        ) from None
    if path.lower().endswith(".pdf") or b"%PDF-" in head[:1024]:
        yield _local(path)
    elif b"\0" in head:
        raise SettingsError(f"{shown}: neither a folder, nor a PDF, nor a text file of paths")
    else:
        yield from _listed(path, os.path.dirname(path), shown, store)  # noqa: PTH120


def _url(url: str, store: FileStore) -> Iterator[Found]:
    listing = list_url(url, store)
    if listing.urls is not None:
        yield from _looked_at(listing.urls, store)
        return
    if listing.text is None:
        for path, size, version in listing.files:
            yield Found(path, size, version)
        return
    with store.local(listing.text) as path:
        yield from _listed(path, _folder(url), listing.text, store)


def learn_urls(corpus: Sequence[str | Path], store: FileStore) -> None:
    """Tell a store what the URLs of a corpus hide (``FileStore.hide``), for a plan that was made by another process.

    No file of the corpus is looked at, but a list behind a URL is fetched.

    Raises:
        SettingsError, UnfetchedError: such a list is not there.
    """
    for entry in corpus:
        if not is_url(entry):
            name = os.path.expanduser(os.fspath(entry).removeprefix("file://"))  # noqa: PTH111
            if os.path.isfile(name) and not name.lower().endswith(".pdf"):  # noqa: PTH113
                _learn_lines(name, store)
        elif store.hide(str(entry)) != entry and not urlsplit(str(entry)).path.lower().endswith((".pdf", "/")):
            text = list_url(str(entry), store).text
            if text is not None:
                with store.local(text) as path:
                    _learn_lines(path, store)


def _learn_lines(path: str, store: FileStore) -> None:
    with open(path, "rb") as lines:  # noqa: PTH123
        for raw in lines:
            if raw.startswith(b"http"):
                store.hide(os.fsdecode(raw.rstrip(b"\r\n")))


def _folder(url: str) -> str:
    """What the lines of a list behind a URL are relative to."""
    over_http = urlsplit(url).scheme in ("http", "https")
    return (url.partition("?")[0] if over_http else url).rpartition("/")[0]


def _listed(path: str, folder: str, shown: str, store: FileStore) -> Iterator[Found]:
    """The files that the lines of a text name; those of a text from elsewhere must not be files of this machine."""
    some = False
    urls: list[str] = []
    with open(path, "rb") as lines:  # noqa: PTH123
        for raw in lines:
            line = os.fsdecode(raw.rstrip(b"\r\n"))
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            some = True
            if is_url(folder) and not is_url(line):
                if line.startswith("/") or "://" in line:
                    yield Found(
                        stored_path(line), reason="unreadable", detail="a file of this machine, named elsewhere"
                    )
                    continue
                line = f"{folder}/{line}"
            if is_url(line):
                urls.append(line)
                if len(urls) >= 1024:
                    yield from _looked_at(urls, store)
                    urls = []
                continue
            name = os.path.normpath(os.path.join(folder, line.removeprefix("file://")))  # noqa: PTH118
            yield from map(_local, _walk(name) if os.path.isdir(name) else [name])  # noqa: PTH112
    yield from _looked_at(urls, store)
    if not some:
        raise SettingsError(f"{shown}: this list names no file. Remedy: one path a line")


def _looked_at(urls: Iterable[str], store: FileStore) -> Iterator[Found]:
    for path, size, version, detail in look_at(urls, store):
        yield Found(path, size, version, "unreadable" if detail else "", detail)


def _local(path: str) -> Found:
    return Found(stored_path(path))


def _walk(folder: str) -> list[str]:
    files: list[str] = []
    entered: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            status = os.stat(current)  # noqa: PTH116
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(current) as entries:
                below = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            files.append(current)
            continue
        folders = []
        for entry in below:
            if _is_folder(entry):
                folders.append(entry.path)
            elif entry.name.lower().endswith(".pdf"):
                files.append(entry.path)
        waiting += reversed(folders)
    return files


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
