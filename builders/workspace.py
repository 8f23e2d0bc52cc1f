"""The work folder of a build: its lock, what it was begun with, and the files and sidecars of every slice."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.errors import MMProLongError
from mmprolong_data.settings import differences

STAGES = ("parse", "ask", "qa", "pack")
TOOLS = ("mmprolong", "pymupdf", "pyarrow", "simplejpeg", "msgpack")
"""Packages whose version decides the bytes of a dataset."""


def tool_versions() -> dict[str, str]:
    """Installed versions of ``TOOLS``."""
    return {name: metadata.version(name) for name in TOOLS}


class Workspace:
    """``OUT/.work``: everything that a build keeps to go on after an interruption.

    ``inventory.parquet`` and ``build.json`` (what the build was begun with) lie at its top; slices under a folder named
    after the recipe's hash, so that cells of another recipe are never taken for this one's.
    """

    def __init__(self, out: Path, recipe_hash: str) -> None:
        self.out = out
        self.root = out / ".work"
        self.inventory = self.root / "inventory.parquet"
        self.build_file = self.root / "build.json"
        self.cells = self.root / recipe_hash[:16]

    def prepare(self) -> None:
        """Create the folder.

        Raises:
            MMProLongError: it cannot be created, or the output folder holds something that is no build of ours.
        """
        try:
            if self.out.is_dir() and not self.root.is_dir() and any(self.out.iterdir()):
                raise MMProLongError(
                    f"{self.out} is not empty and was not made by 'mmprolong build'. Remedy: --out another folder"
                )
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MMProLongError(f"{self.out}: cannot be created: {error.strerror}. Remedy: --out another") from None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one process.

        Raises:
            MMProLongError: another build works in it.
        """
        with (self.root / "lock").open("a+") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                stream.seek(0)
                holder = stream.read().strip() or "unknown"
                raise MMProLongError(
                    f"{self.out}: another build (process {holder}) works in this folder."
                    " Remedy: wait for it, stop it, or use --out for another folder"
                ) from None
            stream.truncate(0)
            stream.write(str(os.getpid()))
            stream.flush()
            yield

    def begin(self, begun: dict[str, Any], inventory: pa.Table) -> None:
        """Note what the build is begun with, or check that it is the same as when it was begun.

        Args:
            begun: ``{"recipe", "containers", "tools", "plan"}``, plain values.
            inventory: The files; kept to name what changed when the plan is another one.

        Raises:
            MMProLongError: the folder holds a build begun with something else; the message lists the differences.
        """
        frozen = self.root / "begun.parquet"
        if not self.build_file.exists():
            with atomic_stream(frozen) as stream:
                pq.write_table(inventory.select(["sha256", "name"]), stream)
            write_atomically(self.build_file, json.dumps(begun, indent=1, sort_keys=True).encode())
            return
        try:
            old = json.loads(self.build_file.read_bytes())
        except ValueError:
            raise MMProLongError(f"{self.build_file} is damaged. Remedy: --out another folder") from None
        lines = differences(old["recipe"], begun["recipe"])
        lines += [f"--format: {o} -> {n}" for o, n in [(old["containers"], begun["containers"])] if o != n]
        lines += [f"installed {line}" for line in differences(old["tools"], begun["tools"])]
        if not lines and old["plan"] != begun["plan"]:
            before, now = _names(pq.read_table(frozen)), _names(inventory)
            added, removed = sorted(set(now) - set(before)), sorted(set(before) - set(now))
            lines.append(f"corpus: {len(added)} documents added, {len(removed)} removed")
            lines += [f"  + {now[key]}" for key in added[:5]] + [f"  - {before[key]}" for key in removed[:5]]
        if lines:
            listing = "\n  ".join(lines)
            raise MMProLongError(
                f"{self.out} was begun with other settings or files:\n  {listing}\n"
                f"Remedy: go on with the old ones, or build into another folder: --out {self.out}-2"
            )

    def cell(self, stage: str, number: int) -> Path:
        """The data file of a slice in a stage (a folder for ``pack``); its sidecar stands beside it."""
        suffix = "" if stage == "pack" else ".msgpack"
        return self.cells / stage / f"{number:05d}{suffix}"

    def sidecar(self, stage: str, number: int) -> Path:
        """The sidecar: written last, so that its existence says that the cell is complete."""
        return self.cells / stage / f"{number:05d}.json"

    def read_sidecar(self, stage: str, number: int) -> dict[str, Any] | None:
        """The sidecar's content, or None where the cell has still to be made."""
        try:
            value: dict[str, Any] = json.loads(self.sidecar(stage, number).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return value

    def write_sidecar(self, stage: str, number: int, value: dict[str, Any]) -> None:
        """Declare a cell complete."""
        write_atomically(self.sidecar(stage, number), json.dumps(value, sort_keys=True).encode())


def _names(inventory: pa.Table) -> dict[str, str]:
    """Content hash -> file name (the path stands in for the hash of a file that could not be read)."""
    rows = zip(inventory["sha256"].to_pylist(), inventory["name"].to_pylist(), strict=True)
    return {sha256 or name: name for sha256, name in rows}


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file so that a reader sees the old one or the new one, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


@contextmanager
def atomic_stream(path: Path) -> Iterator[BinaryIO]:
    """A binary stream to a temporary name that becomes ``path`` when the block ends without an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
