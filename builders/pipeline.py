"""A build from corpus to dataset: inventory, plan, slices, finish; the same call goes on where it was interrupted."""

from __future__ import annotations

import errno
import importlib.util
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.errors import MMProLongError, SettingsError, missing_extra
from mmprolong_data.manifest import Manifest

from .engine import StopFlag, run_slices
from .finish import dataset_root, final_shards, finish
from .ingest import take_inventory
from .ocr.run import PageReader, ocr_fingerprint
from .pack import SliceBuilder
from .qa.openai.prompts import fingerprint as prompt_fingerprint
from .recipe import Recipe
from .sandbox import SandboxPool
from .select import PLAN_SCHEMA, Plan, make_plan
from .workspace import Workspace, atomic_stream, tool_versions

CONTAINERS = {
    "parquet": ["parquet"],
    "webdataset": ["webdataset"],
    "both": ["parquet", "webdataset"],
}
"""``--format`` -> the containers to write, the one for ``OUT`` itself first."""


class Observer(Protocol):
    """What a build tells while it runs; every call may come from any thread."""

    def inventory(self, done: int, total: int) -> None:
        """``done`` of ``total`` files have been looked at."""

    def planned(self, plan: Plan) -> None:
        """The plan is made."""

    def progress(self, stage: str, documents: int, pages: int) -> None:
        """``stage`` (``parse``, ``ask`` or ``pack``) has finished that many more documents and pages."""

    def note(self, text: str) -> None:
        """Something worth a line."""


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build made. ``cpu_seconds`` is the CPU time of the children, ``spent`` the US dollars of this run."""

    roots: list[Path]
    manifests: list[Manifest]
    plan: Plan
    already_complete: bool
    cpu_seconds: float
    spent: float = 0.0


@dataclass(frozen=True, slots=True)
class Build:
    """One call of ``mmprolong build``."""

    corpus: Sequence[str | Path]
    out: Path
    recipe: Recipe
    workers: int
    format: str
    observer: Observer
    max_cost: float | None = None
    """US dollars that this run may spend on language models."""

    def plan(self) -> tuple[Plan, pa.Table]:
        """Take the inventory (kept in the work folder) and make the plan; build nothing.

        Raises:
            MMProLongError: the corpus has no usable document, or the folder cannot be used.
        """
        workspace = self.workspace()
        with workspace.lock(), self._pool() as pool, _disk_errors(self.out):
            return self._inventory_and_plan(workspace, pool)

    def run(self) -> BuildResult:
        """Build the dataset, or what of it is still missing.

        Raises:
            MMProLongError: bad input, another build in the folder, other settings than it was begun with, no space.
        """
        workspace = self.workspace()
        containers = CONTAINERS[self.format]
        if self.recipe.uses_model():
            self._check_model()
        ocr = ocr_fingerprint(self.recipe)
        with workspace.lock(), self._pool() as pool, _disk_errors(self.out):
            plan, inventory = self._inventory_and_plan(workspace, pool)
            tools = tool_versions()
            if ocr:
                tools["ocr"] = ocr[:16]
            if self.recipe.uses_model():
                tools["prompts"] = prompt_fingerprint()
            begun = {
                "recipe": self.recipe.content(),
                "containers": containers,
                "tools": tools,
                "plan": plan.fingerprint(),
            }
            workspace.begin(begun, inventory)
            with atomic_stream(workspace.cells / "plan.parquet") as stream:
                pq.write_table(plan.documents.select(PLAN_SCHEMA.names), stream)
            self.observer.planned(plan)
            missing = self._missing(workspace, plan, containers)
            reader = PageReader(self.recipe, pool, workspace.root / "ocr", self.workers) if ocr and missing else None
            with reader or nullcontext():
                spent = self._run_slices(workspace, plan, containers, pool, missing, reader)
            cpu_seconds = pool.cpu_seconds + (reader.cpu_seconds if reader else 0.0)
            manifests = finish(workspace, plan, self.recipe, inventory, containers)
            roots = [dataset_root(self.out, container, containers) for container in containers]
            return BuildResult(roots, manifests, plan, not missing, cpu_seconds, spent)

    def workspace(self) -> Workspace:
        """The work folder of this build, created if need be."""
        if importlib.util.find_spec("pymupdf") is None:
            raise missing_extra("pymupdf", "build")
        workspace = Workspace(self.out, self.recipe.hash())
        workspace.prepare()
        return workspace

    def _pool(self) -> SandboxPool:
        return SandboxPool(self.workers, self.recipe.sandbox)

    def _inventory_and_plan(self, workspace: Workspace, pool: SandboxPool) -> tuple[Plan, pa.Table]:
        inventory = take_inventory(self.corpus, workspace.inventory, self.recipe, pool, self.observer.inventory)
        return make_plan(inventory, self.recipe), inventory

    def _missing(self, workspace: Workspace, plan: Plan, containers: list[str]) -> set[int]:
        """Slices that have to be packed: never packed, or a shard of theirs is gone or of another size."""
        sidecars = [workspace.read_sidecar("pack", number) for number in range(plan.num_slices)]
        missing = {number for number, sidecar in enumerate(sidecars) if sidecar is None}
        if missing:
            for number, sidecar in enumerate(sidecars):
                folder = workspace.cell("pack", number)
                if sidecar is not None and not _made(folder, sidecar):
                    missing.add(number)
        else:
            complete = [sidecar for sidecar in sidecars if sidecar is not None]
            shards = final_shards(workspace, complete, containers)
            missing = {shard.slice for shard in shards if not shard.present()}
            for number in sorted(missing):
                self.observer.note(f"slice {number}: a shard is missing or damaged; it is made again")
        return missing

    def _check_model(self) -> None:
        """What is missing for asking a model is said before any work is done."""
        for package in ("openai", "pydantic", "aiohttp"):
            if importlib.util.find_spec(package) is None:
                raise missing_extra(package, "openai")
        models = {self.recipe.qa.model, *self.recipe.verify.models.values()}
        unpriced = sorted(models - set(self.recipe.llm.prices))
        if self.max_cost is not None and unpriced:
            raise SettingsError(
                f"--max-cost: no price is known of {', '.join(unpriced)}."
                f" Remedy: --set 'llm.prices={{{unpriced[0]}: [INPUT, OUTPUT]}}', US dollars per million tokens"
            )

    def _run_slices(
        self,
        workspace: Workspace,
        plan: Plan,
        containers: list[str],
        pool: SandboxPool,
        missing: set[int],
        reader: PageReader | None,
    ) -> float:
        """Build the slices that are missing. Returns the US dollars spent on models."""
        done = [number for number in range(plan.num_slices) if number not in missing]
        pages = dict.fromkeys(range(plan.num_slices), (0, 0))
        for number, count in zip(plan.documents["slice"].to_pylist(), plan.documents["pages"].to_pylist(), strict=True):
            documents, total = pages[number]
            pages[number] = (documents + 1, total + count)
        for number in done:
            for stage in ("parse", "pack"):
                self.observer.progress(stage, *pages[number])
        stop = StopFlag()
        progress = self.observer.progress
        builder = SliceBuilder(workspace, plan, self.recipe, containers, pool, progress, stop.check, reader=reader)

        def abort() -> None:
            pool.close()
            if reader is not None:
                reader.close()

        # Two slices at once hide the wait for the last document of each; more only where workers outnumber documents.
        at_once = 1 + -(-2 * self.workers // self.recipe.pack.documents_per_slice)
        if not self.recipe.uses_model() or not missing:
            run_slices(sorted(missing), builder.build, at_once=at_once, stop=stop, abort=abort)
            return 0.0
        from .asking import run_asking_slices

        return run_asking_slices(
            builder, sorted(missing), at_once=at_once, stop=stop, max_cost=self.max_cost, note=self.observer.note
        )


def _made(folder: Path, sidecar: dict[str, dict[str, dict[str, int | str]]]) -> bool:
    """True if all shards of a packed slice lie in its work folder with the right sizes."""
    return all(
        (path := folder / str(info["name"])).is_file() and path.stat().st_size == info["bytes"]
        for info in sidecar["shards"].values()
    )


class _disk_errors:
    """Turns a full disk or a failing one into an error that says how to go on."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise MMProLongError(
                f"{self.out}: no space left on the device. What is complete is kept."
                " Remedy: free space, then run the same command again"
            ) from None
        if error.errno in (errno.EACCES, errno.EROFS, errno.EIO):
            name = error.filename or self.out
            raise MMProLongError(
                f"{name}: {os.strerror(error.errno)}. Remedy: check the folder, or use --out"
            ) from None


def default_workers() -> int:
    """One child a CPU that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
