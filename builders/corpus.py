"""Which files a corpus consists of: folders, PDFs and lists of paths, resolved to one sorted list."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mmprolong_data.errors import SettingsError

from .untrusted import stored_path

_PROBE = 4096


def find_files(corpus: Sequence[str | Path]) -> list[str]:
    """Absolute paths of the files of a corpus, each once, sorted.

    Args:
        corpus: Folders (searched through, ``*.pdf`` in any case; links are followed, no folder is entered twice),
            PDFs, and text files with one path a line (relative to the text file's folder; empty lines and lines that
            begin with ``#`` do not count; a line may name a folder).

    Returns:
        Paths as the operating system knows them. Folders that cannot be read, and lines that name nothing, are among
        them: the inventory accounts for them as ``unreadable``.

    Raises:
        SettingsError: an entry does not exist, is none of these, or holds no PDF.
    """
    if not corpus:
        raise SettingsError("no corpus: name a folder, a PDF or a text file of paths")
    found: set[str] = set()
    for entry in corpus:
        path = os.path.abspath(os.path.expanduser(os.fspath(entry)))  # noqa: PTH100, PTH111 - any bytes, no resolving
        found.update(_entry(path, stored_path(os.fspath(entry))))
    return sorted(found)


def _entry(path: str, shown: str) -> list[str]:
    if os.path.isdir(path):  # noqa: PTH112
        files = _walk(path)
        if not files:
            raise SettingsError(f"{shown}: no PDF in this folder or below. Remedy: name the folder that holds them")
        return files
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(_PROBE)
    except OSError as error:
        raise SettingsError(
            f"{shown}: {error.strerror}. Remedy: name a folder, a PDF or a text file of paths"
        ) from None
    if path.lower().endswith(".pdf") or b"%PDF-" in head[:1024]:
        return [path]
    if b"\0" in head:
        raise SettingsError(f"{shown}: neither a folder, nor a PDF, nor a text file of paths")
    return _listed(path, shown)


def _listed(path: str, shown: str) -> list[str]:
    folder = os.path.dirname(path)  # noqa: PTH120
    files: list[str] = []
    with open(path, "rb") as lines:  # noqa: PTH123
        for raw in lines:
            line = raw.rstrip(b"\r\n")
            if not line.strip() or line.lstrip().startswith(b"#"):
                continue
            name = os.path.normpath(os.path.join(folder, os.fsdecode(line)))  # noqa: PTH118
            files += _walk(name) if os.path.isdir(name) else [name]  # noqa: PTH112
    if not files:
        raise SettingsError(f"{shown}: this list names no file. Remedy: one path a line")
    return files


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
