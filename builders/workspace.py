"""The work folder of a build: its lock, what it was begun with, and the files and sidecars of every slice."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from importlib import metadata
from pathlib import Path
from typing import IO, Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.errors import MMProLongError
from mmprolong_data.settings import differences, fingerprint

STAGES = ("parse", "ask", "qa", "pack")
TOOLS = ("mmprolong", "pymupdf", "pyarrow", "simplejpeg", "msgpack")
"""Packages whose version decides the bytes of a dataset."""
LOCK_POLL = 0.5
"""Seconds between two looks at a lock that somebody else holds."""


def tool_versions() -> dict[str, str]:
    """Installed versions of ``TOOLS``."""
    return {name: metadata.version(name) for name in TOOLS}


class Workspace:
    """``OUT/.work``: everything that a build keeps to go on after an interruption.

    ``inventory.parquet`` and ``build.json`` (what the build was begun with) lie at its top; slices under a folder named
    after the recipe's hash, so that cells of another recipe are never taken for this one's.

    Args:
        out: The output folder.
        recipe_hash: Of the recipe.
        name: What messages call the output, where that is not the folder.
    """

    def __init__(self, out: Path, recipe_hash: str, name: str = "") -> None:
        self.out = out
        self.name = name or str(out)
        self.root = out / ".work"
        self.inventory = self.root / "inventory.parquet"
        self.cells = self.root / recipe_hash[:16]
        self._place_record(self.root)
        self.plan_file = self.cells / "plan.parquet"

    def _place_record(self, folder: Path) -> None:
        self.record = folder
        self.build_file = folder / "build.json"
        self.fates = folder / "begun.parquet"

    def within(self, folder: str) -> Workspace:
        """The same work folder with the record of what was begun, the plan and all cells in one folder of it."""
        other = copy(self)
        other.cells = self.root / folder
        other._place_record(other.cells)
        other.plan_file = other.cells / "plan.parquet"
        return other

    @classmethod
    def open(cls, out: Path) -> Workspace:
        """The work folder of a build that was begun.

        Raises:
            MMProLongError: there is none.
        """
        begun = cls(out, "").begun()
        if begun is None:
            raise MMProLongError(f"{out}: no build was begun here. Remedy: mmprolong build CORPUS --out {out}")
        return cls(out, fingerprint(begun["recipe"]))

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
    def lock(self, *, shared: bool = False, wait: bool = False) -> Iterator[None]:
        """Hold the folder: alone, or ``shared`` with other parts of the same build.

        Locks are ``flock``: they end with their process, and reach other machines on NFS (version 4, or 3 with a lock
        manager) and other shared file systems that offer them.

        Args:
            shared: Others may hold it shared too.
            wait: Wait until it is free.

        Raises:
            MMProLongError: another build works in it, or the file system has no locks.
        """
        with (self.root / "lock").open("a+") as stream:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            if not try_lock(stream, kind):
                if not wait:
                    raise MMProLongError(
                        f"{self.out}: another build (process {_holder(stream)}) works in this folder."
                        " Remedy: wait for it, stop it, or use --out for another folder"
                    )
                while not try_lock(stream, kind):
                    time.sleep(LOCK_POLL)
            stream.truncate(0)
            stream.write(str(os.getpid()))
            stream.flush()
            yield

    def begin(self, begun: dict[str, Any], documents: pa.Table) -> None:
        """Note what the build is begun with, or check that it is the same as when it was begun.

        Args:
            begun: ``{"recipe", "containers", "tools", "plan", "benchmarks", "benchmark_index"}``, plain values.
            documents: One row a file found (``select.FATES_SCHEMA``); the record of what the plan left out, and what
                names the changes when the plan is another one.

        Raises:
            MMProLongError: the folder holds a build begun with something else; the message lists the differences.
        """
        if not self.build_file.exists():
            with atomic_stream(self.fates) as stream:
                pq.write_table(documents, stream, compression="zstd")
            write_atomically(self.build_file, json.dumps(begun, indent=1, sort_keys=True).encode())
            return
        old = self.begun() or {}
        self.check_begun(begun)
        if old.get("benchmark_index") != begun.get("benchmark_index"):
            self._refuse(["decontaminate.against: the benchmarks hold other files or questions"])
        if old["plan"] != begun["plan"]:
            self._refuse(_changes(pq.ParquetFile(self.fates).read(["doc_id", "name"]), documents))

    def begun(self) -> dict[str, Any] | None:
        """What the build was begun with; None where none was.

        Raises:
            MMProLongError: the file is damaged.
        """
        try:
            value: dict[str, Any] = json.loads(self.build_file.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:
            raise MMProLongError(f"{self.build_file} is damaged. Remedy: --out another folder") from None
        return value

    def benchmark_index(self) -> str:
        """Path of the index of the benchmarks that the dataset must not contain; empty where there are none."""
        name = (self.begun() or {}).get("benchmark_index", "")
        return str(self.record / name) if name else ""

    def check_begun(self, now: dict[str, Any]) -> None:
        """Compare ``{"recipe", "containers", "tools"}`` with what the build was begun with.

        Raises:
            MMProLongError: they differ; the message says in what.
        """
        old = self.begun() or {}
        lines = differences(old["recipe"], now["recipe"])
        lines += [f"--format: {o} -> {n}" for o, n in [(old["containers"], now["containers"])] if o != n]
        lines += [f"installed {line}" for line in differences(old["tools"], now["tools"])]
        self._refuse(lines)

    def _refuse(self, lines: list[str]) -> None:
        if lines:
            listing = "\n  ".join(lines)
            raise MMProLongError(
                f"{self.name} was begun with other settings or files:\n  {listing}\n"
                f"Remedy: go on with the old ones, or build into another folder: --out {self.name}-2"
            )

    def begun_tools(self) -> dict[str, str]:
        """The tool versions that the build was begun with; an OCR engine's fingerprint is one of them."""
        tools: dict[str, str] = json.loads(self.build_file.read_bytes())["tools"]
        return tools

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


def try_lock(stream: IO[Any], kind: int) -> bool:
    """Take a lock (``fcntl.LOCK_SH`` or ``LOCK_EX``) if it is free.

    Raises:
        MMProLongError: the file system has no locks.
    """
    try:
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise MMProLongError(
            f"{stream.name}: this file system cannot lock files ({error.strerror}), so that two processes could write"
            " the same slice. Remedy: mount it with locks (NFS: without nolock; Lustre: -o flock), or use another --out"
        ) from None
    return True


def _holder(stream: IO[str]) -> str:
    stream.seek(0)
    return stream.read().strip() or "unknown"


def _changes(before: pa.Table, now: pa.Table) -> list[str]:
    """The files that are new or gone, copies of others included."""
    old, new = (
        Counter(zip(table["name"].to_pylist(), table["doc_id"].to_pylist(), strict=True)) for table in (before, now)
    )
    added, removed = sorted((new - old).elements()), sorted((old - new).elements())
    lines = [f"corpus: {len(added)} files added, {len(removed)} removed"]
    return lines + [f"  + {name}" for name, _ in added[:5]] + [f"  - {name}" for name, _ in removed[:5]]


def remove_path(path: Path) -> None:
    """Remove a file or a link, or a folder with all that is in it, as far as that can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


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
