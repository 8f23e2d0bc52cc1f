"""The WebDataset container: two tar members a sample, ``KEY.json`` and ``KEY.images.mp``, always the same bytes."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack

from .errors import FormatError
from .records import PageImages, sample_of
from .schema import Sample
from .shards import ShardWriter

BLOCK = 512
IMAGES_SUFFIX = "images.mp"
RECORD_SUFFIX = "json"


class TarShardWriter(ShardWriter):
    """A tar without times, owners or padding records, so that equal samples give equal bytes."""

    def _write(self, key: str, images: PageImages, record: dict[str, object], text: bytes) -> tuple[int, int]:
        offset = self._file.tell()
        self._member(f"{key}.{RECORD_SUFFIX}", text)
        self._member(f"{key}.{IMAGES_SUFFIX}", images.packed)
        return offset, self._file.tell() - offset

    def _member(self, name: str, data: bytes) -> None:
        header = tarfile.TarInfo(name)
        header.size = len(data)
        header.mode = 0o644
        self._file.write(header.tobuf(format=tarfile.USTAR_FORMAT))
        self._file.write(data)
        self._file.write(bytes(-len(data) % BLOCK))

    def _finish(self) -> list[tuple[int, int]]:
        self._file.write(bytes(2 * BLOCK))  # the end of a tar: two empty blocks
        return []


def read_tar(path: Path) -> Iterator[Sample]:
    """All samples of a shard.

    Raises:
        FormatError: missing, cut (also at the edge of a member) or damaged.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            members: dict[str, bytes] = {}
            key = ""
            for member in archive:
                name, _, suffix = member.name.partition(".")
                content = archive.extractfile(member)
                if content is None or suffix not in (RECORD_SUFFIX, IMAGES_SUFFIX):
                    raise FormatError(f"{path}: unexpected member {member.name!r}")
                if suffix in members or (key and name != key):
                    raise FormatError(f"{path}: sample {key} is incomplete")
                key, members[suffix] = name, content.read()
                if len(members) == 2:
                    yield _sample(members, f"{path}: {key}")
                    key, members = "", {}
        if members:
            raise FormatError(f"{path}: cut in sample {key}")
        with path.open("rb") as stream:
            stream.seek(max(0, size - 2 * BLOCK))
            if stream.read().strip(b"\0") or size < 2 * BLOCK or size % BLOCK:
                raise FormatError(f"{path}: cut: the end of the archive is missing")
    except FileNotFoundError:
        raise FormatError(f"{path}: missing. Remedy: build or download the dataset again") from None
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise FormatError(f"{path}: damaged ({error}). Remedy: build or download it again") from None


def sample_from_tar_bytes(data: bytes | memoryview, where: str) -> Sample:
    """The sample whose two members, with their headers and padding, are ``data``.

    Raises:
        FormatError: damaged or incomplete; starts with ``where``.
    """
    members: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None:
                    members[member.name.partition(".")[2]] = content.read()
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise FormatError(f"{where}: damaged ({error})") from None
    return _sample(members, where)


def _sample(members: dict[str, bytes], where: str) -> Sample:
    try:
        record: Any = json.loads(members[RECORD_SUFFIX])
        images: Any = msgpack.unpackb(members[IMAGES_SUFFIX])
    except KeyError as error:
        raise FormatError(f"{where}: the member {error} is missing") from None
    except (ValueError, msgpack.exceptions.ExtraData, msgpack.exceptions.UnpackException) as error:
        raise FormatError(f"{where}: damaged ({error})") from None
    if not isinstance(images, list):
        raise FormatError(f"{where}: damaged (the images are no list)")
    return sample_of(record, images, where)
