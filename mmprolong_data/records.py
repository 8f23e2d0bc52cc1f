"""A sample as a plain record and back, its checksum, and the page images that several samples share."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, overload

import msgpack
import numpy as np
import pyarrow as pa

from .errors import FormatError
from .schema import Sample, page_name

FIELDS = tuple(name for name in Sample.__slots__ if name != "images")
"""The fields of a record that are not images, in the order of the columns."""

IMAGES_TYPE = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


class PageImages(Sequence[bytes]):
    """The JPEG pages of one document. What several samples need of them is made once: checksum, column, msgpack."""

    def __init__(self, pages: Sequence[bytes | memoryview]) -> None:
        self._pages = [bytes(page) for page in pages]  # no copy of what is bytes already

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        return self._pages[index]

    def __len__(self) -> int:
        return len(self._pages)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pages)

    @cached_property
    def entries(self) -> list[dict[str, Any]]:
        """``[{"bytes": jpeg, "path": "page-0001.jpg"}, ...]``: what both containers hold."""
        return [{"bytes": page, "path": page_name(number)} for number, page in enumerate(self._pages)]

    @cached_property
    def crc32(self) -> int:
        """CRC-32 of all pages' bytes in order."""
        value = 0
        for page in self._pages:
            value = zlib.crc32(page, value)
        return value

    @cached_property
    def column(self) -> pa.Array:
        """The images as an Arrow array with one row."""
        # From buffers: pa.array would copy the bytes several times while its builder grows.
        names = pa.array([page_name(number) for number in range(len(self._pages))], type=pa.string())
        ends = np.cumsum([0, *map(len, self._pages)], dtype=np.int64)
        if ends[-1] >= 1 << 31:
            raise FormatError(f"the pages of one document take {ends[-1]} bytes; a sample can hold 2 GiB")
        buffers = [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(self._pages))]
        pages = pa.BinaryArray.from_buffers(pa.binary(), len(self._pages), buffers)
        structs = pa.StructArray.from_arrays([pages, names], fields=list(IMAGES_TYPE.value_type))
        return pa.ListArray.from_arrays(pa.array([0, len(self._pages)], type=pa.int32()), structs).cast(IMAGES_TYPE)

    @cached_property
    def packed(self) -> bytes:
        """The images as msgpack."""
        packed: bytes = msgpack.packb(self.entries)
        return packed


def page_images(images: Sequence[bytes]) -> PageImages:
    """``images`` as ``PageImages``; the same object where they are some already."""
    return images if isinstance(images, PageImages) else PageImages(images)


def record_of(sample: Sample) -> dict[str, Any]:
    """All fields but the images, as plain types."""
    record = {name: getattr(sample, name) for name in FIELDS}
    record["segment"] = {"start": sample.segment[0], "end": sample.segment[1]}
    for name in ("messages", "evidence_pages", "evidence_sources"):
        record[name] = list(record[name])
    return record


def record_json(record: Mapping[str, Any]) -> bytes:
    """The canonical JSON of a record: sorted keys, no spaces, UTF-8."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def record_crc32(images: PageImages, text: bytes) -> int:
    """CRC-32 of a sample: its pages' bytes in order, then its canonical JSON. The same in both containers."""
    return zlib.crc32(text, images.crc32)


def sample_of(record: Mapping[str, Any], images: Sequence[Mapping[str, Any]], where: str) -> Sample:
    """A sample from its record and its image entries.

    Raises:
        FormatError: a field is missing or the record is of another shape; starts with ``where``.
    """
    try:
        values = {name: record[name] for name in FIELDS}
        values["segment"] = (values["segment"]["start"], values["segment"]["end"])
        return Sample(images=PageImages([entry["bytes"] for entry in images]), **values)
    except (KeyError, TypeError, IndexError) as error:
        raise FormatError(f"{where}: not a sample of this format: {type(error).__name__} {error}") from None


def sample_crc32(sample: Sample) -> int:
    """CRC-32 of a sample, recomputed from its content."""
    return record_crc32(page_images(sample.images), record_json(record_of(sample)))
