"""A build whose output is a URL: slices are made in a scratch folder of each machine and go to the bucket when done."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.errors import MMProLongError, SettingsError

from ..corpus import learn_urls
from ..finish import finish
from ..pipeline import Build, BuildResult, Observer, PartResult, Ran, disk_errors, load_plan
from ..placement import dataset_root, missing_slices
from ..recipe import Recipe
from ..sandbox import SandboxPool
from ..select import Plan
from ..workspace import Workspace, remove_path
from .files import BucketFiles
from .state import BucketState, no_build
from .url import check_out_url


def open_build(
    corpus: Sequence[str | Path],
    out: Path | str,
    recipe: Recipe,
    workers: int,
    format: str,
    observer: Observer,
    max_cost: float | None = None,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    scratch: Path | None = None,
) -> Build:
    """A build of a folder or of a URL; see ``Build`` for the arguments.

    Raises:
        SettingsError: the URL cannot hold a dataset.
    """
    if isinstance(out, Path):
        return Build(corpus, out, recipe, workers, format, observer, max_cost, engine, address)
    folder = scratch_folder(out, scratch)
    return BucketBuild(corpus, folder, recipe, workers, format, observer, max_cost, engine, address, out, scratch)


def scratch_folder(url: str, given: Path | None) -> Path:
    """Where this machine works on a build: in a folder of its own below ``given`` or the place for temporary files."""
    parent, name = check_out_url(url)
    folder = f"{name}-{hashlib.sha256(f'{parent}/{name}'.encode()).hexdigest()[:12]}"
    return (given or Path(tempfile.gettempdir()) / f"mmprolong-scratch-{os.getuid()}") / folder / name


@dataclass(frozen=True, slots=True)
class _Sender:
    """``slices.Elsewhere`` of a bucket."""

    state: BucketState
    workspace: Workspace

    def is_there(self, number: int) -> bool:
        """See ``slices.Elsewhere``. What is there need not be here any more."""
        if not self.state.is_there(number):
            return False
        self.state.clear(self.workspace, number)
        return True

    def note_begun(self, number: int) -> None:
        """See ``slices.Elsewhere``."""
        self.state.note_begun(number)

    def publish(self, number: int) -> None:
        """See ``slices.Elsewhere``."""
        self.state.publish(self.workspace, number)

    def note_failed(self, number: int) -> None:
        """See ``slices.Elsewhere``."""
        self.state.note_failed(self.workspace, [number])

    def close(self) -> None:
        """See ``slices.Elsewhere``."""
        self.state.close()


@dataclass(frozen=True, slots=True)
class BucketBuild(Build):
    """``Build`` with a URL for output. ``out`` is where its dataset would be on this machine, in the scratch folder."""

    url: str = ""
    scratch: Path | None = None

    def plan(self) -> tuple[Plan, pa.Table]:
        """See ``Build.plan``. The inventory is left in the bucket for the machines that build."""
        with self._opened() as (state, workspace), workspace.lock(wait=True), self._pool() as pool:
            state.pull_inventory(workspace)
            made = self._inventory_and_plan(workspace, pool)
            state.push_inventory(workspace)
            return made

    def run(self) -> BuildResult:
        """See ``Build.run``. Other machines may work at the same build, as parts or in the same way."""
        if self.engine == "ray":
            self._check_ray()
        with self._opened() as (state, workspace), self._pool() as pool, ExitStack() as stack:
            begun = self._begun()
            own = state.pull(workspace)
            ray = self._open_ray(stack) if own is None else None
            with workspace.lock(wait=True):
                own, plan = self._freeze_in_bucket(state, workspace, pool, begun)
            with workspace.lock(shared=True, wait=True):
                missing, lost = self._missing(state, own, plan)
                self._note_lost(lost, missing, plan)
                state.withdraw(lost)
                if missing and ray is None:
                    ray = self._open_ray(stack)
                self.observer.planned(plan)
                if missing and ray is not None:
                    job = self._job(state.url, state.folder, str(self.scratch.absolute()) if self.scratch else "")
                    ran = self._run_on_ray(ray, job, own, plan, missing)
                    state.note_failed(own, ran.failed)
                else:
                    every = range(plan.num_slices)
                    ran = self._run_slices(own, plan, pool, begun, every, missing, elsewhere=_Sender(state, own))
            with workspace.lock(wait=True):
                return self._finish_in_bucket(state, workspace, lambda *_: ran, not missing)

    def run_part(self, part: int, parts: int) -> PartResult:
        """See ``Build.run_part``. Where no machine has frozen the plan, this one does, unless another one is faster."""
        with self._opened() as (state, workspace), self._pool() as pool, ExitStack() as held:
            begun = self._begun()
            while True:
                with ExitStack() as lock:
                    lock.enter_context(workspace.lock(shared=True, wait=True))
                    if (own := state.pull(workspace)) is not None:
                        own.check_begun(begun)
                        held.push(lock.pop_all())
                        break
                with workspace.lock(wait=True):
                    if state.pull(workspace) is None:
                        self._freeze_in_bucket(state, workspace, pool, begun)
            plan = load_plan(own)
            mine = list(range(plan.num_slices))[part::parts]
            learn_urls(self.corpus, pool.files)
            missing, lost = (
                [number for number in numbers if number in mine] for numbers in self._missing(state, own, plan, mine)
            )
            self._check_corpus(plan, missing)
            state.withdraw(lost)
            self.observer.planned(plan.only(mine))
            ran = self._run_slices(own, plan, pool, begun, mine, missing, elsewhere=_Sender(state, own))
        return PartResult(plan, mine, len(missing) - len(ran.failed), ran.failed, ran.cpu_seconds)

    def run_block(self, most: Mapping[int, int], begun_hash: str) -> Ran:
        """See ``Build.run_block``; ``begun_hash``: the name of the build in the bucket."""
        with (
            self._opened(check=False) as (state, workspace),
            workspace.lock(shared=True, wait=True),
            self._pool() as pool,
        ):
            begun = self._begun()
            own = state.pull(workspace)
            if own is None or state.folder != begun_hash:
                raise MMProLongError(f"{self.url} holds another build by now. Remedy: run the same command again")
            own.check_begun(begun)
            plan, numbers = load_plan(own), list(most)
            self._check_corpus(plan, numbers)
            learn_urls(self.corpus, pool.files)
            listing = state.list()
            state.pull_failures(own, listing)
            state.tidy(own, listing)
            sender = _Sender(state, own)
            return self._run_slices(own, plan, pool, begun, numbers, numbers, most=most, elsewhere=sender)

    def finish(self, *, incomplete: bool = False) -> BuildResult:
        """See ``Build.finish``."""

        def left_out(own: Workspace, plan: Plan, missing: Sequence[int]) -> Ran:
            return Ran(self._left_out(own, plan, missing, incomplete), 0.0)

        with self._opened() as (state, workspace), workspace.lock():
            return self._finish_in_bucket(state, workspace, left_out, False)

    def workspace(self) -> Workspace:
        """The work folder of this machine, created if need be."""
        folder = self.out.parents[1]
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.scratch is None and (folder.is_symlink() or folder.stat().st_uid != os.getuid()):
                raise MMProLongError(f"{folder} belongs to somebody else. Remedy: --scratch DIR")
        except OSError as error:
            raise MMProLongError(f"{folder}: cannot be created: {error.strerror}. Remedy: --scratch DIR") from None
        workspace = Workspace(self.out, self.recipe.hash(), self.url)
        self._check_packages()
        workspace.prepare()
        return workspace

    @contextmanager
    def _opened(self, *, check: bool = True) -> Iterator[tuple[BucketState, Workspace]]:
        """The state of the build in the bucket, and the work folder here."""
        if self.recipe.uses_model():
            raise SettingsError(
                "--out URL: a language model makes questions of this recipe (qa.generator, qa.paraphrase), and what is"
                " asked and paid needs a folder that outlives the machine. Remedy: --out a folder, then copy it"
            )
        state = BucketState(self.url)
        try:
            if check:
                state.check(root.name for root in self._roots())
            workspace = self.workspace()
            with disk_errors(self.out, "--scratch"):
                yield state, workspace
        finally:
            state.close()
            for mirror in self.out.glob(f".work/*/there-{os.getpid()}"):
                shutil.rmtree(mirror, ignore_errors=True)

    def _freeze_in_bucket(
        self, state: BucketState, workspace: Workspace, pool: SandboxPool, begun: dict[str, Any]
    ) -> tuple[Workspace, Plan]:
        """Make the plan; write what the build is begun with, or check that it still is what the bucket says."""
        if (there := state.pull(workspace)) is not None:
            there.check_begun(begun)
        state.pull_inventory(workspace)
        workspace.build_file.unlink(missing_ok=True)  # of a run that came no further than this
        self._freeze(workspace, pool, begun)
        state.push_inventory(workspace)
        own = there or state.begin(workspace)
        own.begin(workspace.begun() or {}, pq.read_table(workspace.fates))
        return own, load_plan(own)

    def _missing(
        self, state: BucketState, own: Workspace, plan: Plan, wanted: Sequence[int] | None = None
    ) -> tuple[list[int], list[int]]:
        """See ``missing_slices``; ``wanted``: the slices that somebody asks about."""
        files = self._files(state, own)
        published = files.pull_record()
        state.pull_failures(own, files.listing)
        state.tidy(own, files.listing)
        state.pull_slices(self._mirror(own), files.listing, None if published else wanted)
        return missing_slices(self._mirror(own), plan.num_slices, self._containers, files)

    def _finish_in_bucket(
        self,
        state: BucketState,
        workspace: Workspace,
        ran: Callable[[Workspace, Plan, Sequence[int]], Ran],
        already_complete: bool,
    ) -> BuildResult:
        """Publish. ``ran`` is called with the slices that are missing, and says which of them are done without."""
        own = state.pull(workspace)
        if own is None:
            raise no_build(self.url)
        own.check_begun(self._begun())
        plan = load_plan(own)
        outcome = ran(own, plan, self._missing(state, own, plan)[0])
        roots = self._roots()
        for root in roots:
            _clear(root)
        files = self._files(state, own)
        files.pull_indexes()
        manifests = finish(self._mirror(own), plan, self.recipe, self._containers, outcome.failed, files)
        files.publish()
        if not outcome.failed:
            _clear(self.out / ".work", but="lock")
            for root in roots:
                _clear(root)
        urls = [f"{self.url}{root.name.removeprefix(self.out.name)}" for root in roots]
        return BuildResult(urls, manifests, plan, already_complete, outcome.cpu_seconds, outcome.failed)

    def _mirror(self, own: Workspace) -> Workspace:
        """A folder of this process beside the cells of this machine, for what is read from the bucket."""
        mirror = own.within(f"{own.cells.name}/there-{os.getpid()}")
        mirror.fates, mirror.build_file, mirror.plan_file = own.fates, own.build_file, own.plan_file
        return mirror

    def _files(self, state: BucketState, own: Workspace) -> BucketFiles:
        return BucketFiles(state, self._mirror(own), self._roots())

    def _roots(self) -> list[Path]:
        """Where the datasets would be on this machine."""
        return [dataset_root(self.out, container, self._containers) for container in self._containers]


def _clear(folder: Path, but: str = ".work") -> None:
    """Remove what is in a folder, with one exception."""
    for path in sorted(folder.glob("*")):  # hidden ones too
        if path.name != but:
            remove_path(path)
