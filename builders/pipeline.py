"""A build from corpus to dataset: inventory, plan, slices, finish; the same call goes on where it was interrupted."""

from __future__ import annotations

import errno
import importlib.util
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.errors import MMProLongError, SettingsError, missing_extra
from mmprolong_data.llm.ledger_file import LedgerFile
from mmprolong_data.manifest import Manifest
from mmprolong_data.remote import is_url
from mmprolong_data.settings import to_plain

from .candidates import find_candidates
from .corpus import learn_urls
from .curate import curate
from .engines.local import StopFlag, run_slices
from .engines.slices import UPLOADED, SliceRunner, failures, in_order
from .finish import finish
from .ingest import take_inventory
from .layout import PARSER
from .ocr.run import PageReader, ocr_fingerprint
from .pack import SliceBuilder
from .placement import dataset_root, missing_slices, wait_for_sidecars
from .qa.openai.ledgers import divide, divided_into, part_ledger, unite, whole_ledger
from .qa.openai.prompts import fingerprint as prompt_fingerprint
from .recipe import Recipe
from .sandbox import SandboxPool
from .select import PLAN_SCHEMA, Plan, make_plan
from .untrusted import stored_path
from .workspace import Workspace, atomic_stream, file_sha256, tool_versions

if TYPE_CHECKING:
    from .engines.block import Job
    from .engines.on_ray import RayEngine
    from .engines.slices import Elsewhere

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

    def survey(self, done: int, total: int) -> None:
        """``done`` of ``total`` candidates have been looked at."""

    def planned(self, plan: Plan) -> None:
        """The plan is made."""

    def progress(self, stage: str, documents: int, pages: int) -> None:
        """``stage`` (``parse``, ``ask``, ``pack`` or ``upload``) has finished that many more documents and pages."""

    def note(self, text: str) -> None:
        """Something worth a line."""


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build made.

    ``roots``: folders, or the URLs of a build in a bucket.
    ``cpu_seconds`` is the CPU time of the children; ``failed`` slice -> error; ``spent`` the US dollars of this run.
    """

    roots: Sequence[Path | str]
    manifests: list[Manifest]
    plan: Plan
    already_complete: bool
    cpu_seconds: float
    failed: dict[int, str] = field(default_factory=dict)
    spent: float = 0.0


@dataclass(frozen=True, slots=True)
class PartResult:
    """What a part did: its slices, how many of them had to be made, and those that failed, slice -> error."""

    plan: Plan
    slices: list[int]
    made: int
    failed: dict[int, str]
    cpu_seconds: float
    spent: float = 0.0
    """US dollars, in this run."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What running slices gave: those that failed for good, CPU seconds of the children, US dollars spent."""

    failed: dict[int, str]
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
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    """Of a Ray cluster; see ``engines.ray_session.ray_session``."""

    def plan(self) -> tuple[Plan, pa.Table]:
        """Take the inventory (kept in the work folder) and make the plan; build nothing.

        Raises:
            MMProLongError: the corpus has no usable document, or the folder cannot be used.
        """
        workspace = self.workspace()
        with disk_errors(self.out), workspace.lock(), self._pool() as pool:
            return self._inventory_and_plan(workspace, pool)

    def run(self) -> BuildResult:
        """Build the dataset, or what of it is still missing.

        Slices that fail for good are named in the result; the dataset then lacks their documents (``slice_error``).

        Raises:
            MMProLongError: bad input, another build in the folder, other settings than it was begun with, no space.
        """
        workspace = self.workspace()
        if self.recipe.uses_model():
            self._check_model()
        if self.engine == "ray":
            self._check_ray()
        begun = self._begun()
        with disk_errors(self.out), workspace.lock(), self._pool() as pool, ExitStack() as stack:
            # Before the corpus is read, which may take hours; a build that is complete already needs nobody.
            first = not workspace.plan_file.exists()
            if self.recipe.uses_model():
                unite(workspace.root)
            if first:
                self._check_endpoints(LedgerFile(whole_ledger(workspace.root)))
                ray = self._open_ray(stack)
            plan = self._freeze(workspace, pool, begun)
            missing, lost = missing_slices(workspace, plan.num_slices, self._containers)
            self._note_lost(lost, missing, plan)
            if missing and not first:
                self._check_endpoints(LedgerFile(whole_ledger(workspace.root)))
                ray = self._open_ray(stack)
            self.observer.planned(plan)
            if missing and ray is not None:
                # No resolving: other machines may link differently.
                job = self._job(os.path.abspath(self.out), file_sha256(workspace.build_file))  # noqa: PTH100
                ran = self._run_on_ray(ray, job, workspace, plan, missing)
                wait_for_sidecars(workspace, [number for number in missing if number not in ran.failed])
            else:
                ran = self._run_slices(workspace, plan, pool, begun, range(plan.num_slices), missing)
            return self._finish(workspace, plan, ran, not missing)

    def run_block(self, most: Mapping[int, int], begun_hash: str) -> Ran:
        """Build slices of a build that another process has begun, holds and will publish.

        Args:
            most: The slices -> how often each may have been begun ever (``SliceRunner``).
            begun_hash: SHA-256 of the file that says what the build was begun with.

        Raises:
            MMProLongError: this machine does not see the folder or the corpus, has other versions, no space, ...
        """
        workspace = Workspace(self.out, self.recipe.hash())
        if not workspace.build_file.is_file() or file_sha256(workspace.build_file) != begun_hash:
            raise MMProLongError(
                f"{self.out} is not the folder that the build was begun in. Remedy: --out a folder that all machines"
                " share under the same path"
            )
        begun = self._begun()
        with disk_errors(self.out), self._pool() as pool:
            plan = self._frozen_plan(workspace, begun)
            if plan is None:
                raise MMProLongError(f"{workspace.plan_file} is missing. Remedy: run the same command again")
            numbers = list(most)
            self._check_corpus(plan, numbers)
            learn_urls(self.corpus, pool.files)
            return self._run_slices(workspace, plan, pool, begun, numbers, numbers, most=most)

    def _check_corpus(self, plan: Plan, numbers: Sequence[int]) -> None:
        """A machine that does not see the corpus must not leave all documents out."""
        files = [row["path"] for number in numbers for row in plan.slice_rows(number)]
        if files and not any(is_url(path) or os.path.exists(path) for path in files):  # noqa: PTH110 - any bytes
            raise MMProLongError(
                f"{stored_path(files[0])} and {len(files) - 1} more PDFs are not there. Remedy: the corpus in a"
                " folder that all machines share under the same path"
            )

    def run_part(self, part: int, parts: int) -> PartResult:
        """Build the slices whose number leaves the remainder ``part`` when divided by ``parts``; publish nothing.

        Parts need no order and no knowledge of each other: the first one takes the inventory and freezes the plan while
        the others wait; from then on the corpus is not looked at again. A slice is never built by two processes.

        Where a model makes questions, a part keeps what it asked and paid in a ledger of its own, and ``max_cost`` is
        what this run of the part may spend.

        Raises:
            MMProLongError: see ``run``.
        """
        workspace = self.workspace()
        ledger = None
        if self.recipe.uses_model():
            self._check_model()
            ledger = part_ledger(workspace.root, part, parts)
        begun = self._begun()
        with disk_errors(self.out), self._pool() as pool, ExitStack() as held:
            checked = False
            while (plan := self._enter(workspace, begun, parts if ledger else None, held)) is None:
                with workspace.lock(wait=True):
                    if ledger is not None and divided_into(workspace.root) != parts:
                        divide(workspace.root, parts)
                    if self._frozen_plan(workspace, begun) is None:
                        if ledger is not None:
                            self._check_endpoints(ledger)
                            checked = True
                        self._freeze(workspace, pool, begun)
            learn_urls(self.corpus, pool.files)
            own = list(range(plan.num_slices))[part::parts]
            missing = set(missing_slices(workspace, plan.num_slices, self._containers)[0])
            mine = [number for number in own if number in missing]
            if mine and ledger is not None and not checked:
                self._check_endpoints(ledger)
            self.observer.planned(plan.only(own))
            ran = self._run_slices(workspace, plan, pool, begun, own, mine, ledger)
        return PartResult(plan, own, len(mine) - len(ran.failed), ran.failed, ran.cpu_seconds, ran.spent)

    def _enter(self, workspace: Workspace, begun: dict[str, Any], parts: int | None, held: ExitStack) -> Plan | None:
        """Hold the folder together with other parts, if it is ready: there is a plan, and ledgers of ``parts``.

        Returns:
            The plan; None where the folder is not ready, and not held.
        """
        with ExitStack() as lock:
            lock.enter_context(workspace.lock(shared=True, wait=True))
            plan = self._frozen_plan(workspace, begun)
            if plan is not None and (parts is None or divided_into(workspace.root) == parts):
                held.push(lock.pop_all())
                return plan
        return None

    def finish(self, *, incomplete: bool = False) -> BuildResult:
        """Publish what parts have built.

        Args:
            incomplete: Also where slices are missing that no process has recorded as failed.

        Raises:
            MMProLongError: slices are missing; the message says which parts have to run again.
        """
        workspace = self.workspace()
        with disk_errors(self.out), workspace.lock():
            plan = self._frozen_plan(workspace, self._begun())
            if plan is None:
                raise MMProLongError(f"{self.out}: no build was begun here. Remedy: mmprolong build CORPUS --part i/N")
            missing, _ = missing_slices(workspace, plan.num_slices, self._containers)
            failed = self._left_out(workspace, plan, missing, incomplete)
            if self.recipe.uses_model():
                unite(workspace.root)
            return self._finish(workspace, plan, Ran(failed, 0.0), False)

    def _left_out(self, workspace: Workspace, plan: Plan, missing: Sequence[int], incomplete: bool) -> dict[int, str]:
        """Slice -> error, of the slices that are published without; see ``finish``."""
        known = failures(workspace)
        failed = {number: known[number] for number in missing if number in known}
        unknown = [number for number in missing if number not in known]
        if unknown and not incomplete:
            listing = ", ".join(map(str, unknown[:20])) + (", ..." if len(unknown) > 20 else "")
            raise MMProLongError(
                f"{workspace.name}: {len(unknown)} of {plan.num_slices} slices are missing: {listing}. Slice n belongs"
                " to part n modulo N. Remedy: run those parts again, or --finish --incomplete to publish without them"
            )
        return failed | dict.fromkeys(unknown, "it was never completed")

    def workspace(self) -> Workspace:
        """The work folder of this build, created if need be."""
        self._check_packages()
        workspace = Workspace(self.out, self.recipe.hash())
        workspace.prepare()
        return workspace

    def _check_packages(self) -> None:
        if importlib.util.find_spec("pymupdf") is None:
            raise missing_extra("pymupdf", "build")

    @property
    def _containers(self) -> list[str]:
        return CONTAINERS[self.format]

    def _pool(self) -> SandboxPool:
        return SandboxPool(self.workers, self.recipe.sandbox)

    def _begun(self) -> dict[str, Any]:
        """What a build is begun with, but for its documents; an OCR engine and prompts count as tools."""
        tools = tool_versions() | {"parser": PARSER}
        if ocr := ocr_fingerprint(self.recipe):
            tools["ocr"] = ocr[:16]
        if self.recipe.uses_model():
            tools["prompts"] = prompt_fingerprint()
        return {"recipe": self.recipe.content(), "containers": self._containers, "tools": tools}

    def _inventory_and_plan(self, workspace: Workspace, pool: SandboxPool) -> tuple[Plan, pa.Table]:
        inventory = take_inventory(self.corpus, workspace.inventory, self.recipe, pool, self.observer.inventory)
        candidates = find_candidates(inventory, self.recipe)
        found = curate(inventory, candidates, self.recipe, workspace, pool, self.observer.survey)
        for note in found.notes:
            self.observer.note(note)
        plan = make_plan(inventory, self.recipe, found.verdicts, candidates)
        return replace(plan, benchmarks=found.benchmarks, benchmark_index=found.index), inventory

    def _freeze(self, workspace: Workspace, pool: SandboxPool, begun: dict[str, Any]) -> Plan:
        """Make the plan and note what the build is begun with, or check that it still is the same."""
        plan, inventory = self._inventory_and_plan(workspace, pool)
        frozen = {"plan": plan.fingerprint(), "benchmarks": plan.benchmarks, "benchmark_index": plan.benchmark_index}
        workspace.begin(begun | frozen, plan.fates(inventory))
        with atomic_stream(workspace.plan_file) as stream:
            pq.write_table(plan.documents.select(PLAN_SCHEMA.names), stream)
        return plan

    def _frozen_plan(self, workspace: Workspace, begun: dict[str, Any]) -> Plan | None:
        """The plan of a build that was begun with the same settings; None where none was begun."""
        if workspace.begun() is None:
            return None
        workspace.check_begun(begun)
        return load_plan(workspace) if workspace.plan_file.exists() else None

    def _note_lost(self, lost: list[int], missing: list[int], plan: Plan) -> None:
        if len(missing) < plan.num_slices and lost == missing:
            for number in lost:
                self.observer.note(f"slice {number}: a shard is missing or damaged; it is made again")

    def _check_model(self) -> None:
        """What is missing for asking a model is said before any work is done."""
        for package in ("openai", "pydantic", "aiohttp"):
            if importlib.util.find_spec(package) is None:
                raise missing_extra(package, "openai")
        unpriced = sorted({endpoint.model for endpoint in self.recipe.endpoints()} - set(self.recipe.llm.prices))
        if self.max_cost is not None and unpriced:
            raise SettingsError(
                f"--max-cost: no price is known of {', '.join(unpriced)}."
                f" Remedy: --set 'llm.prices={{{unpriced[0]}: [INPUT, OUTPUT]}}', US dollars per million tokens"
            )

    def _check_endpoints(self, ledger: LedgerFile) -> None:
        """Whether those whom a build asks are there, take the key and know the model."""
        if self.recipe.uses_model():
            from mmprolong_data.llm.preflight import check_endpoints

            from .asking import once_free

            endpoints = self.recipe.endpoints()
            once_free(lambda: check_endpoints(endpoints, ledger, self.recipe.llm), StopFlag(), self.observer.note)

    def _check_ray(self) -> None:
        """What speaks against Ray is said before any work is done."""
        from .engines.ray_session import check_address

        if self.recipe.uses_model():
            raise SettingsError(
                "--engine ray: a language model makes questions of this recipe (qa.generator, qa.paraphrase), and what"
                " is asked and paid is kept by one process. Remedy: --engine local, or --part i/N on several machines"
            )
        check_address(self.address)

    def _open_ray(self, stack: ExitStack) -> RayEngine | None:
        """Connect to Ray, if that is the engine, until ``stack`` is closed."""
        if self.engine != "ray":
            return None
        from .engines.on_ray import RayEngine
        from .engines.ray_session import ray_session

        session = stack.enter_context(ray_session(self.address, self.workers))
        reads_on_gpu = self.recipe.ocr.device.startswith("gpu") and bool(ocr_fingerprint(self.recipe))
        return RayEngine(session.ray, self.recipe.ray, float(reads_on_gpu), private=session.private)

    def _job(self, out: str, begun: str, scratch: str = "") -> Job:
        """What a task of Ray is told; see ``engines.block.Job``."""
        from .engines.block import Job

        # A list of URLs may hide in them what a task needs, and other machines work in other folders.
        corpus = [name if is_url(name) else os.path.abspath(name) for name in map(str, self.corpus)]  # noqa: PTH100
        return Job(corpus, out, to_plain(self.recipe), self.format, self.recipe.ray.cpus, begun, scratch)

    def _run_on_ray(self, ray: RayEngine, job: Job, workspace: Workspace, plan: Plan, missing: Sequence[int]) -> Ran:
        """Run the missing slices as tasks."""
        sizes = plan.slice_sizes()
        for number in sorted(set(range(plan.num_slices)) - set(missing)):
            for stage in UPLOADED if is_url(job.out) else UPLOADED[:-1]:
                self.observer.progress(stage, *sizes[number])
        return Ran(*ray.run(job, workspace, missing, self.observer.progress, self.observer.note))

    def _run_slices(
        self,
        workspace: Workspace,
        plan: Plan,
        pool: SandboxPool,
        begun: dict[str, Any],
        own: Sequence[int],
        missing: Sequence[int],
        ledger: LedgerFile | None = None,
        most: Mapping[int, int] | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> Ran:
        """Run the missing ones of ``own``; ``ledger``: of a part; ``most``, ``elsewhere``: see ``SliceRunner``."""
        stop = StopFlag()
        reads = "ocr" in begun["tools"] and missing
        reader = PageReader(self.recipe, pool, workspace.root / "ocr", self.workers) if reads else None
        builder = SliceBuilder(
            workspace, plan, self.recipe, self._containers, pool, self.observer.progress, stop.check, reader=reader
        )
        for number in sorted(set(own) - set(missing)):
            builder.report_done(number, UPLOADED if elsewhere else UPLOADED[:-1])

        def abort() -> None:
            pool.close()
            if reader is not None:
                reader.close()
            if elsewhere is not None:
                elsewhere.close()

        # Two slices at once hide the wait for the last document of each; more only where workers outnumber documents.
        at_once = 1 + -(-2 * self.workers // self.recipe.pack.documents_per_slice)
        runner = SliceRunner(workspace, builder, stop, most, elsewhere)
        failed, spent = runner.failed, 0.0
        with reader or nullcontext():
            if self.recipe.uses_model() and missing:
                from .asking import run_asking_slices

                ledger = ledger or LedgerFile(whole_ledger(workspace.root))
                asked = run_asking_slices(
                    builder, missing, ledger=ledger, at_once=at_once, stop=stop, max_cost=self.max_cost,
                    note=self.observer.note,
                )  # fmt: skip
                failed, spent = asked.failed, asked.spent
            else:
                run_slices(in_order(workspace, missing), runner.run, at_once=at_once, stop=stop, abort=abort)
        runner.check_left()
        cpu_seconds = pool.cpu_seconds + (reader.cpu_seconds if reader else 0.0)
        return Ran(dict(sorted(failed.items())), cpu_seconds, spent)

    def _finish(self, workspace: Workspace, plan: Plan, ran: Ran, already_complete: bool) -> BuildResult:
        manifests = finish(workspace, plan, self.recipe, self._containers, ran.failed)
        roots = [dataset_root(self.out, container, self._containers) for container in self._containers]
        return BuildResult(roots, manifests, plan, already_complete, ran.cpu_seconds, ran.failed, ran.spent)


def load_plan(workspace: Workspace) -> Plan:
    """The plan that a build was frozen with.

    Raises:
        MMProLongError: it is damaged.
    """
    try:
        documents = pq.ParquetFile(workspace.plan_file).read().cast(PLAN_SCHEMA)
        found = pq.read_metadata(workspace.fates).num_rows
    except (OSError, pa.ArrowException) as error:
        raise MMProLongError(f"{workspace.plan_file}: damaged ({error}). Remedy: --out another folder") from None
    benchmarks = (workspace.begun() or {}).get("benchmarks", [])
    return Plan(documents.combine_chunks(), {}, [], found, benchmarks=benchmarks)


class disk_errors:
    """Turns a full disk or a failing one into an error that says how to go on."""

    def __init__(self, out: Path, option: str = "--out") -> None:
        self.out = out
        self.option = option

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
                f"{name}: {os.strerror(error.errno)}. Remedy: check the folder, or use {self.option}"
            ) from None


def default_workers() -> int:
    """One child a CPU that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
