"""A build in a bucket: the record of what it was begun with, and its slices, each with its sidecar written last."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mmprolong_data.errors import MMProLongError

from ..curate import REPORT
from ..engines.slices import attempts_file, failure_file
from ..workspace import STAGES, Workspace, file_sha256, remove_path, write_atomically
from .names import SHA256, attempts_in, index_of, is_sidecar, numbers_in
from .objects import Entry, Objects
from .url import check_out_url

_RECORD = "begun.json"
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_FORMAT = 1


class BucketState:
    """What a bucket holds of one build.

    ::

        URL/.work/inventory.parquet              of the last machine that took it
        URL/.work/begun.json                     names and hashes of the files that the build was begun with
        URL/.work/FOLDER/build.json, begun.parquet, plan.parquet, ...   these files; FOLDER is a hash of begun.json
        URL/.work/FOLDER/begun/00003-RANDOM      one object for every time that slice 3 was begun
        URL/.work/FOLDER/pack/00003/             its shards and their index rows, until they are moved
        URL/.work/FOLDER/pack/00003.json         its sidecar, written last
        URL/.work/FOLDER/failed/00003.json       why it failed for good

    What was begun with something else has another FOLDER: it is never taken for a part of this build.

    Args:
        url: Of the dataset.
        objects: Of the folder that it lies in; made from the URL by default.
    """

    def __init__(self, url: str, objects: Objects | None = None) -> None:
        parent, self.name = check_out_url(url)
        self.url = f"{parent}/{self.name}"
        self.objects = objects or Objects(parent)
        self._folder: str | None = None
        self._failed: set[int] = set()

    def close(self) -> None:
        """End what is under way."""
        self.objects.close()

    def check(self, names: Iterable[str]) -> None:
        """Find out whether the bucket can be used, before any work is done.

        Args:
            names: Of the folders beside each other that the build will write to.

        Raises:
            MMProLongError: it cannot be reached, read or written, or it holds something that is no build of ours.
        """
        if self.objects.read(f"{self.name}/.work/{_RECORD}") is None:
            for name in names:
                if any(not key.startswith(f"{self.name}/.work/") for key in self.objects.list(name)):
                    raise MMProLongError(
                        f"{self.objects.url}/{name} is not empty and was not made by 'mmprolong build'."
                        " Remedy: --out another folder"
                    )
        self.objects.check(self._probes)

    @property
    def _probes(self) -> str:
        return f"{self.name}/.work/probes"

    def remove_probes(self) -> None:
        """Remove what processes have left that were killed while they found out about the bucket."""
        for key in self.objects.list(self._probes):
            self.objects.remove(key)

    @property
    def folder(self) -> str:
        """Name of the folder of the build that was begun; known after ``pull``."""
        assert self._folder is not None
        return self._folder

    def pull(self, workspace: Workspace) -> Workspace | None:
        """Bring what the build was begun with to this machine.

        Returns:
            The part of the work folder that belongs to it; None where no build was begun.

        Raises:
            MMProLongError: the record is damaged.
        """
        record = self.objects.read(f"{self.name}/.work/{_RECORD}")
        return None if record is None else self._take(workspace, record)

    def begin(self, workspace: Workspace) -> Workspace:
        """Write what a build is begun with, unless one was begun already. Returns that of the bucket, as ``pull``.

        Args:
            workspace: Holds the record and the plan that this machine has made.
        """
        files = {
            "build.json": workspace.build_file,
            "begun.parquet": workspace.fates,
            "plan.parquet": workspace.plan_file,
        }
        index = workspace.benchmark_index()
        files |= {Path(index).name: Path(index)} if index else {}
        report = workspace.cells / REPORT
        files |= {REPORT: report} if report.is_file() else {}
        hashes = {name: file_sha256(path) for name, path in sorted(files.items())}
        record = json.dumps({"format": _FORMAT, "files": hashes}, indent=1, sort_keys=True).encode()
        for name, path in files.items():
            self.objects.put(path, f"{self.name}/.work/{_folder(record)}/{name}", hashes[name])
        return self._take(workspace, self.objects.create(f"{self.name}/.work/{_RECORD}", record))

    def _take(self, workspace: Workspace, record: bytes) -> Workspace:
        where = f"{self.url}/.work/{_RECORD}"
        try:
            value = json.loads(record)
            files = {str(name): str(sha256) for name, sha256 in value["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise MMProLongError(f"{where} is damaged. Remedy: --out another folder") from None
        if value["format"] != _FORMAT:
            raise MMProLongError(f"{where} was written by a newer mmprolong. Remedy: the same version on all machines")
        if not all(_FILE_NAME.fullmatch(name) and SHA256.fullmatch(sha256) for name, sha256 in files.items()):
            raise MMProLongError(f"{where} is damaged: it names other files. Remedy: --out another folder")
        self._folder = _folder(record)
        own = workspace.within(self._folder)
        for name, sha256 in files.items():
            path = own.record / name
            if not path.is_file() or file_sha256(path) != sha256:
                self.objects.fetch(f"{self.name}/.work/{self._folder}/{name}", path, sha256)
        return own

    def pull_inventory(self, workspace: Workspace) -> None:
        """Take over the inventory of another machine where this one has none: what is unchanged is not read again."""
        key = f"{self.name}/.work/{workspace.inventory.name}"
        if not workspace.inventory.exists() and self.objects.exists(key):
            self.objects.fetch(key, workspace.inventory)

    def push_inventory(self, workspace: Workspace) -> None:
        """Leave the inventory for other machines."""
        self.objects.put(workspace.inventory, f"{self.name}/.work/{workspace.inventory.name}")

    def key(self, *names: str) -> str:
        """The key of something of this build."""
        return "/".join([self.name, ".work", self.folder, *names])

    def publish(self, workspace: Workspace, number: int) -> None:
        """Write a slice that is packed, its sidecar last, and remove it here.

        Two machines that have built the same slice write the same bytes.

        Raises:
            MMProLongError: it cannot be written.
        """
        sidecar = workspace.read_sidecar("pack", number)
        assert sidecar is not None
        folder = workspace.cell("pack", number)
        indexes = {}
        for info in sidecar["shards"].values():
            if info["samples"]:
                shard = folder / str(info["name"])
                index = index_of(shard)
                indexes[index.name] = file_sha256(index)
                for path, sha256 in ((shard, str(info["sha256"])), (index, indexes[index.name])):
                    self.objects.put(path, self.key("pack", folder.name, path.name), sha256)
        value = json.dumps(sidecar | {"indexes": indexes}, sort_keys=True)
        self.objects.write(self.key("pack", workspace.sidecar("pack", number).name), value.encode())
        if number in self._failed:
            self.objects.remove(self.key("failed", f"{number:05d}.json"))
            self._failed.discard(number)
        self.clear(workspace, number)

    def clear(self, workspace: Workspace, number: int) -> None:
        """Remove what this machine has made of a slice."""
        for path in (path for stage in STAGES for path in workspace.cells.glob(f"{stage}/{number:05d}*")):
            if path.name.partition(".")[0] != f"{number:05d}":
                continue
            remove_path(path)

    def tidy(self, workspace: Workspace, listing: Mapping[str, Entry]) -> None:
        """Remove what this machine has left of slices that are complete by now, wherever they were made."""
        names = (path.name.partition(".")[0] for stage in STAGES for path in workspace.cells.glob(f"{stage}/[0-9]*"))
        left = {int(name) for name in names if name.isdecimal()}
        for number in left & set(numbers_in(listing, self.key("pack"))):
            self.clear(workspace, number)

    def is_there(self, number: int) -> bool:
        """True if a slice is complete in the bucket."""
        return is_sidecar(self.objects.read(self.key("pack", f"{number:05d}.json")))

    def withdraw(self, numbers: Iterable[int]) -> None:
        """Say of slices that they are to be made again."""
        for number in numbers:
            self.objects.remove(self.key("pack", f"{number:05d}.json"))

    def note_begun(self, number: int) -> None:
        """Note that a slice is begun, once more."""
        self.objects.write(self.key("begun", f"{number:05d}-{secrets.token_hex(6)}"), b"")

    def note_failed(self, workspace: Workspace, numbers: Iterable[int]) -> None:
        """Write the records of slices that failed for good, as far as this machine has made them."""
        for number in numbers:
            path = failure_file(workspace, number)
            if path.is_file():
                self.objects.write(self.key("failed", path.name), path.read_bytes())
                self._failed.add(number)

    def pull_slices(
        self, mirror: Workspace, listing: Mapping[str, Entry], wanted: Collection[int] | None = None
    ) -> None:
        """Bring the sidecars of complete slices to a folder of their own.

        Args:
            mirror: That folder.
            listing: All objects of the build.
            wanted: These slices alone.
        """
        shutil.rmtree(mirror.sidecar("pack", 0).parent, ignore_errors=True)
        there = numbers_in(listing, self.key("pack"))
        names = [f"{number:05d}.json" for number in there if wanted is None or number in wanted]
        keys = [self.key("pack", name) for name in names]
        for name, data in zip(names, self.objects.read_all(keys), strict=True):
            if data is not None and is_sidecar(data):
                write_atomically(mirror.cells / "pack" / name, data)

    def pull_failures(self, workspace: Workspace, listing: Mapping[str, Entry]) -> None:
        """Bring the records of failures and the numbers of attempts to the work folder of this machine."""
        folder = failure_file(workspace, 0).parent
        self._failed = set(numbers_in(listing, self.key("failed")))
        names = [f"{number:05d}.json" for number in sorted(self._failed)]
        for name, data in zip(names, self.objects.read_all(self.key("failed", n) for n in names), strict=True):
            if data is not None:
                write_atomically(folder / name, data)
        for number, count in attempts_in(listing, self.key("begun")).items():
            path = attempts_file(workspace, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as stream:
                stream.write(b"." * (count - stream.tell()))

    def list(self) -> dict[str, Entry]:
        """Everything in the folder of the build."""
        return self.objects.list("/".join([self.name, ".work", self.folder]))


def no_build(url: str) -> MMProLongError:
    """The error for a URL that holds no build."""
    return MMProLongError(f"{url}: no build was begun here. Remedy: mmprolong build CORPUS --out {url}")


@contextmanager
def begun_at(url: str) -> Iterator[tuple[BucketState, Workspace]]:
    """A build to look at: its state, and what it was begun with, in a folder that goes with the block.

    Raises:
        MMProLongError: there is none, or it cannot be read.
    """
    state = BucketState(url)
    try:
        with TemporaryDirectory() as folder:
            own = state.pull(Workspace(Path(folder), "", url))
            if own is None:
                raise no_build(url)
            yield state, own
    finally:
        state.close()


def _folder(record: bytes) -> str:
    return hashlib.sha256(record).hexdigest()[:16]
