"""Parsed documents of a build, read back from the work folder one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .blocks import Document
from .select import Plan
from .stages import read_records, unpack_record
from .workspace import Workspace


class ParsedDocuments(Mapping[str, Document]):
    """``doc_id`` -> ``Document`` for every parsed document; each look-up reads the document's slice again."""

    def __init__(self, workspace: Workspace, plan: Plan) -> None:
        self._workspace = workspace
        ids, numbers = plan.documents["doc_id"].to_pylist(), plan.documents["slice"].to_pylist()
        self._slices: dict[str, int] = dict(zip(ids, numbers, strict=True))

    def __getitem__(self, doc_id: str) -> Document:
        path = self._workspace.cell("parse", self._slices[doc_id])
        if path.is_file():
            for record in read_records(path):
                if record["doc_id"] == doc_id:
                    return Document.from_dict(unpack_record(record["document"]))
        raise KeyError(doc_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._slices)

    def __len__(self) -> int:
        return len(self._slices)
