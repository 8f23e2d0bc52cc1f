"""What a Hub on loopback keeps: repositories, faults on demand, and what it knows of Xet's files and of cards."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Blob:
    """A file of a commit. ``content`` of a regular file; LFS files lie in the server's folder under their SHA-256."""

    size: int
    sha256: str = ""
    content: bytes = b""
    xet_hash: str = ""

    @property
    def oid(self) -> str:
        """Git's id of the blob (of the pointer where the file is in LFS)."""
        data = self.content
        if self.sha256:
            data = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()
        return hashlib.sha1(b"blob %d\0%s" % (len(data), data)).hexdigest()


@dataclass(frozen=True)
class Commit:
    """A commit: its files, and how it came about."""

    oid: str
    parent: str
    title: str
    files: dict[str, Blob]


@dataclass
class Repo:
    """A dataset repository. Nobody may write into a ``read_only`` one."""

    private: bool = False
    read_only: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)

    def resolve(self, revision: str) -> Commit | None:
        """The commit that a branch, a tag or an oid names."""
        oid = self.branches.get(revision) or self.tags.get(revision) or revision
        return self.commits.get(oid)

    def commit(self, branch: str, title: str, files: dict[str, Blob]) -> Commit:
        """Add a commit to a branch."""
        parent = self.branches.get(branch, "")
        seed = json.dumps([parent, title, len(self.commits), sorted((k, v.oid) for k, v in files.items())])
        made = Commit(hashlib.sha1(seed.encode()).hexdigest(), parent, title, files)
        self.commits[made.oid] = made
        self.branches[branch] = made.oid
        return made


@dataclass
class Fault:
    """What goes wrong: ``times`` requests whose ``METHOD path`` matches, after ``skip`` that pass.

    ``kind``: ``status`` answers with ``status``; ``cut`` closes the connection in the middle of the body; ``slow``
    waits ``seconds`` first; ``hold`` sets ``reached`` and waits for ``release``.
    """

    pattern: str
    kind: str
    times: int = 1
    skip: int = 0
    status: int = 503
    seconds: float = 0.2
    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


class HubError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


def xet_files(shard: bytes) -> Iterator[tuple[str, int, str]]:
    """(Xet hash, size, SHA-256) of the files in a Xet shard (its file section: rows of 48 bytes)."""
    place = 48
    while place + 48 <= len(shard) and shard[place : place + 32] != b"\xff" * 32:
        flags, count = struct.unpack_from("<II", shard, place + 32)
        entries = place + 48
        size = sum(struct.unpack_from("<I", shard, entries + 48 * i + 36)[0] for i in range(count))
        after = entries + 48 * count * (2 if flags >> 31 else 1)
        if flags >> 30 & 1:
            yield hash_text(shard[place : place + 32]), size, hash_text(shard[after : after + 32])
            after += 48
        place = after


def hash_text(raw: bytes) -> str:
    return "".join(raw[i : i + 8][::-1].hex() for i in range(0, 32, 8))


def card_problems(content: str) -> list[str]:
    """What the Hub's check of a card would refuse, by the client libraries' own readers of the metadata."""
    import yaml
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCard

    match = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
    if not match:
        return ["no metadata"]
    problems = []
    try:
        raw = yaml.safe_load(match[1])
        data = DatasetCard(content, ignore_metadata_errors=False).data
        configs = MetadataConfigs.from_dataset_card_data(data)
        infos = DatasetInfosDict.from_dataset_card_data(data)
    except Exception as error:  # noqa: BLE001 - whatever the readers raise is a problem of the card
        return [f"{type(error).__name__}: {error}"]
    if set(configs) != set(infos):
        problems.append(f"configs {sorted(configs)} are not those of dataset_info {sorted(infos)}")
    sizes = r"n<1K|1K<n<10K|10K<n<100K|100K<n<1M|1M<n<10M|10M<n<100M|100M<n<1B|n>1T"
    for name, pattern in {
        "license": r"[a-z0-9.+-]+",
        "language": r"[a-z]{2,3}(-[A-Za-z0-9]+)?",
        "size_categories": sizes,
        "task_categories": r"[a-z0-9]+(-[a-z0-9]+)*",
    }.items():
        values = raw.get(name, [])
        own = values if isinstance(values, list) else [values]
        wrong = [value for value in own if not isinstance(value, str) or not re.fullmatch(pattern, value)]
        problems += [f'"{name}" has the value {value!r}' for value in wrong]
    if raw.get("license") == "other" and not raw.get("license_name"):
        problems.append('"license_name" is needed where the licence is "other"')
    return problems
