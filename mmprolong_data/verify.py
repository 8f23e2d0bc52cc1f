"""Verification of a dataset on disk: every shard, index and count against the manifest."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from .errors import FormatError
from .index import IndexRow, read_index
from .manifest import Manifest, read_manifest
from .parquet_shards import open_parquet, row_group_ranges
from .records import sample_crc32
from .shards import read_shard
from .tar_shards import BLOCK
from .versions import parse_version

Progress = Callable[[int, int], None]
"""Called with (bytes of shards checked, bytes in all)."""


def verify_dataset(root: Path, progress: Progress | None = None) -> list[str]:
    """Compare a dataset with its manifest.

    Read are: every shard (size, SHA-256, every sample and its checksum), every index row, the document table, and all
    counts. A damaged file is a problem in the list, never an exception.

    Returns:
        One line a problem, naming file and difference; empty if everything is as the manifest says.

    Raises:
        FormatError: there is no dataset, or its manifest cannot be read.
    """
    manifest = read_manifest(root)
    problems = list(_counts(manifest))
    problems += _strangers(root, manifest)
    indexes: dict[str, dict[str, list[IndexRow]]] = {}
    for name, digest in sorted(manifest.indexes.items()):
        path = root / name
        if not path.is_file():
            problems.append(f"{name}: missing")
        elif _sha256(path) != digest:
            problems.append(f"{name}: its SHA-256 is not the manifest's")
        elif name != "index/documents.parquet":
            try:
                for row in read_index(path):
                    indexes.setdefault(path.stem, {}).setdefault(row.shard, []).append(row)
            except FormatError as error:
                problems.append(str(error))
    problems += _documents(root, manifest)

    done, total = 0, sum(shard["bytes"] for shard in manifest.shards)
    for shard in manifest.shards:
        key = f"{shard['config']}-{shard['split']}"
        rows = indexes.get(key, {}).pop(shard["name"], [])
        problems += _shard(root / shard["name"], shard, rows, manifest)
        done += shard["bytes"]
        if progress is not None:
            progress(done, total)
    for key, shards in indexes.items():
        problems += [f"index/{key}.parquet: rows for {name}, which is no shard of it" for name in shards]
    return problems


def _counts(manifest: Manifest) -> Iterator[str]:
    for version in filter(None, (manifest.dataset_version, manifest.parent_version)):
        try:
            parse_version(version)
        except FormatError as error:
            yield f"manifest.json: {error}"
    documents = manifest.documents
    left_out = sum(documents["left_out"].values())
    if documents["found"] != documents["used"] + left_out:
        numbers = f"found {documents['found']} is not used {documents['used']} + left out {left_out}"
        yield f"manifest.json: documents: {numbers}"
    for field in ("samples", "tokens"):
        summed: dict[str, dict[str, int]] = {}
        for shard in manifest.shards:
            counts = summed.setdefault(shard["config"], {})
            counts[shard["split"]] = counts.get(shard["split"], 0) + shard[field]
        if summed != getattr(manifest, field):
            yield f"manifest.json: {field}: {getattr(manifest, field)} are not the shards' {summed}"
    names = Counter(shard["name"] for shard in manifest.shards)
    for name, count in names.items():
        if count > 1:
            yield f"manifest.json: {name} is listed {count} times"
    for shard in manifest.shards:
        index = f"index/{shard['config']}-{shard['split']}.parquet"
        if index not in manifest.indexes:
            yield f"manifest.json: {index} is not listed"


def _strangers(root: Path, manifest: Manifest) -> Iterator[str]:
    known = {shard["name"] for shard in manifest.shards} | set(manifest.indexes)
    for folder in ("data", "index"):
        for path in sorted((root / folder).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_file() and name not in known:
                yield f"{name}: not in the manifest"


def _documents(root: Path, manifest: Manifest) -> list[str]:
    """The document table against the manifest's counts."""
    name = "index/documents.parquet"
    if name not in manifest.indexes or not (root / name).is_file():
        return []
    try:
        reasons = pq.read_table(root / name, columns=["reason"], partitioning=None)["reason"].to_pylist()
    except Exception as error:  # noqa: BLE001 - whatever pyarrow raises on damaged bytes
        return [f"{name}: damaged ({str(error).splitlines()[:1]})"]
    counts = Counter(reasons)
    expected = Counter(manifest.documents["left_out"]) + Counter({"": manifest.documents["used"]})
    if counts != expected:
        return [f"{name}: its documents {dict(counts)} are not the manifest's {dict(expected)}"]
    return []


def _shard(path: Path, shard: dict[str, Any], rows: list[IndexRow], manifest: Manifest) -> list[str]:
    name = shard["name"]
    if not path.is_file():
        return [f"{name}: missing"]
    problems = []
    size = path.stat().st_size
    if size != shard["bytes"]:
        problems.append(f"{name}: {size} bytes, not {shard['bytes']}")
    if _sha256(path) != shard["sha256"]:
        problems.append(f"{name}: its SHA-256 is not the manifest's")
    found: list[IndexRow] = []
    try:
        offset = 0
        for number, sample in enumerate(read_shard(path)):
            sample.validate()
            # A sample keeps the version that it was built for, so that unchanged shards keep their bytes.
            newer = parse_version(sample.version) > parse_version(manifest.dataset_version)
            if sample.config != shard["config"] or newer:
                found_in = f"in a shard of {shard['config']}, dataset version {manifest.dataset_version}"
                problems.append(
                    f"{name}: sample {sample.id} is of config {sample.config}, version {sample.version}, {found_in}"
                )
            row = IndexRow(
                sample.id, name, number, offset, 0, sample.num_pages, sample.num_tokens, sample.doc_id,
                sample_crc32(sample),
            )  # fmt: skip
            found.append(row)
        found = [replace(row, offset=o, size=s) for row, (o, s) in zip(found, _places(path, len(found)), strict=True)]
    except Exception as error:  # noqa: BLE001 - damaged bytes must never end the verification
        problems.append(str(error) if isinstance(error, FormatError) else f"{name}: damaged ({type(error).__name__})")
        return problems
    if len(found) != shard["samples"]:
        problems.append(f"{name}: {len(found)} samples, not {shard['samples']}")
    if sum(row.tokens for row in found) != shard["tokens"]:
        problems.append(f"{name}: {sum(row.tokens for row in found)} tokens, not {shard['tokens']}")
    if found != sorted(rows, key=lambda row: row.row):
        wrong = {row.key for row in set(found) ^ set(rows)}
        problems.append(f"{name}: the index differs from the shard for {', '.join(sorted(wrong)[:5]) or 'their order'}")
    return problems


def _places(path: Path, count: int) -> list[tuple[int, int]]:
    """Offset and size of every sample, read from the container itself."""
    if path.suffix != ".tar":
        return row_group_ranges(open_parquet(path, path.name).metadata)
    import tarfile

    with tarfile.open(path, mode="r:") as archive:
        members = archive.getmembers()
    starts = [member.offset for member in members[::2]]
    last = members[-1]
    ends = [*starts[1:], last.offset_data + -(-last.size // BLOCK) * BLOCK] if members else []
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)][:count]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
