"""What a push is going to do: the files of the version, which of them travel, and in which slices."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mmprolong_data.manifest import MANIFEST_NAME, Manifest

from ..card import CROISSANT, PICTURE
from ..card_info import CARD_FILES
from .diff import Difference
from .hub import RemoteFile

SLICE_FILES = 8
SLICE_BYTES = 4 << 30
"""A slice closes before it would hold more; one commit each."""
OURS = ("data/", "index/")
OUR_FILES = frozenset({MANIFEST_NAME, "README.md", PICTURE, CROISSANT, *CARD_FILES})


class Observer(Protocol):
    """What a push tells while it runs."""

    def verified(self, done: int, total: int) -> None:
        """``done`` of ``total`` bytes of shards have been read and checked."""

    def compared(self, done: int, total: int) -> None:
        """``done`` of ``total`` samples have been compared with the parent version."""

    def sending(self, done: int, total: int, files: int) -> None:
        """``done`` of ``total`` bytes are committed; a slice of ``files`` files comes next (0: the last step)."""

    def sent(self, done: int, total: int) -> None:
        """``done`` of ``total`` bytes have arrived."""

    def note(self, text: str) -> None:
        """Something worth a line."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to publish: ``source`` is its path, or its content."""

    source: Path | bytes
    size: int
    sha256: str

    def same(self, remote: RemoteFile | None) -> bool:
        """True if the repository has these bytes there."""
        if remote is None or remote.size != self.size:
            return False
        if remote.sha256:
            return remote.sha256 == self.sha256
        content = self.source if isinstance(self.source, bytes) else self.source.read_bytes()
        return hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest() == remote.git_sha1


@dataclass(slots=True)
class PushPlan:
    """What a push does.

    Attributes:
        repo, version, parent: Where to; what is published; what it follows ("" for a first version).
        new: The repository has to be created.
        manifest: As it is published.
        files: Path -> everything that the tag will hold.
        difference: To the parent; None for a first version.
        send: Paths of shards whose bytes the repository has nowhere.
        present: Paths of shards that it has already, under whatever name.
        delete: Paths of the parent that go.
        done: The tag exists, with exactly this content.
    """

    repo: str
    version: str
    parent: str
    new: bool
    manifest: Manifest
    files: dict[str, LocalFile] = field(repr=False)
    difference: Difference | None = None
    send: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    done: bool = False

    def bytes_of(self, paths: Iterable[str]) -> int:
        """Bytes of some of the files."""
        return sum(self.files[path].size for path in paths)


def stale_files(there: dict[str, RemoteFile], files: dict[str, LocalFile]) -> list[str]:
    """Paths of ours that a version no longer holds; what others have added to the repository stays."""
    return sorted(path for path in there if path not in files and (path.startswith(OURS) or path in OUR_FILES))


def slices_of(plan: PushPlan, paths: list[str]) -> list[list[str]]:
    slices: list[list[str]] = []
    for path in paths:
        last = slices[-1] if slices else None
        if last is None or len(last) == SLICE_FILES or plan.bytes_of([*last, path]) > SLICE_BYTES:
            slices.append([path])
        else:
            last.append(path)
    return slices
