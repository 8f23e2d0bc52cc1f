"""SlideVQA as the Hub has it: one row a question, the slides in the columns ``page_1`` to ``page_20``."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.chat import page_label
from mmprolong_data.errors import FormatError

from ..items import Item, Part
from .files import depth_of, list_or_text, plain


def read_tables(paths: Sequence[Path], what: str) -> Iterator[Item]:
    """The questions; pictures are read when an item is asked.

    Raises:
        FormatError: a file is damaged or has other columns.
    """
    for path in paths:
        try:
            file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise FormatError(f"{path}: cannot be read ({error}). Wanted: {what}") from None
        names = set(file.schema_arrow.names)
        missing = {"qa_id", "question", "answer", "evidence_pages", "page_1"} - names
        if missing:
            raise FormatError(f"{path}: lacks the columns {', '.join(sorted(missing))}. Wanted: {what}")
        slides = [f"page_{n}" for n in range(1, 1000) if f"page_{n}" in names]
        columns = ["qa_id", "question", "answer", "evidence_pages"]
        position = 0
        for group in range(file.num_row_groups):
            for row in file.read_row_group(group, columns=columns).to_pylist():
                parts: list[Part] = []
                for page in range(len(slides)):
                    parts += [page_label(page), None]
                evidence = tuple(int(page) - 1 for page in list_or_text(row["evidence_pages"]))
                yield Item(
                    key=str(row["qa_id"]), task="slidevqa", parts=(*parts, str(row["question"])),
                    pages=tuple(f"{path.stem}/{row['qa_id']}/{name}" for name in slides),
                    load=functools.partial(_load, path, position, tuple(slides)), question=str(row["question"]),
                    answer=plain(row["answer"]), scorer="bag-f1", depth=depth_of(evidence, len(slides)),
                    evidence=evidence,
                )  # fmt: skip
                position += 1


def _load(path: Path, position: int, slides: Sequence[str]) -> list[bytes]:
    values = row_at(path, position, slides)
    return [values[name]["bytes"] for name in slides if values[name]]


def row_at(path: Path, position: int, columns: Sequence[str]) -> dict[str, dict[str, bytes]]:
    """One row of a Parquet file, reading only its row group."""
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if position < rows:
            table = file.read_row_group(group, columns=list(columns)).slice(position, 1)
            return dict(table.to_pylist()[0])
        position -= rows
    raise FormatError(f"{path}: row {position} is missing")
