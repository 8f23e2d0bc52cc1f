"""Hashes of a file as object stores tell them: whole, or of the parts that it was sent in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Hashes:
    """Of a file: its SHA-256 (hex), and what stores tell of it: its MD5 in hex and base64, and that of its parts."""

    sha256: str
    known: frozenset[str]


def hashes_of_file(path: Path, part: int) -> Hashes:
    with path.open("rb") as stream:
        return _of_parts(iter(lambda: stream.read(part), b""))


def hashes_of(data: bytes) -> Hashes:
    return _of_parts(iter([data]))


def _of_parts(parts: Iterator[bytes]) -> Hashes:
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    own = []
    for data in parts:
        sha256.update(data)
        md5.update(data)
        own.append(hashlib.md5(data, usedforsecurity=False).digest())
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html: MD5 of the MD5s
    of_parts = f"{hashlib.md5(b''.join(own), usedforsecurity=False).hexdigest()}-{len(own)}"
    return Hashes(sha256.hexdigest(), frozenset({md5.hexdigest(), base64.b64encode(md5.digest()).decode(), of_parts}))
