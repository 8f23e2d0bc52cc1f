"""Pages that were read, kept by PDF, page, resolution and fingerprint, so that no page is read twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgpack


class PageCache:
    """One folder for a fingerprint, which stands for the engine, its weights and parameters, the DPI among them.

    A document has one file, to which records are appended as windows of pages are done; a record that a kill cut
    off is dropped when the file is read. Errors are not kept: they depend on limits and on the machine's load.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder = folder / fingerprint[:32]

    def load(self, doc_id: str) -> dict[int, dict[str, Any]]:
        """0-based page -> record of the pages that are known."""
        known: dict[int, dict[str, Any]] = {}
        path = self._path(doc_id)
        valid = 0
        try:
            with path.open("rb") as stream:
                unpacker = msgpack.Unpacker(stream, max_buffer_size=0)
                for number, record in unpacker:
                    known[int(number)] = dict(record)
                    valid = unpacker.tell()
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, msgpack.UnpackException):
            pass
        if valid < path.stat().st_size:
            with path.open("r+b") as stream:
                stream.truncate(valid)
        return known

    def add(self, doc_id: str, records: Mapping[int, dict[str, Any]]) -> None:
        """Keep the records of some pages."""
        data = b"".join(msgpack.packb([n, record]) for n, record in records.items() if "error" not in record)
        if not data:
            return
        path = self._path(doc_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.write(data)

    def _path(self, doc_id: str) -> Path:
        return self._folder / doc_id[:2] / f"{doc_id}.msgpack"
