"""The state of a build, read from the sidecars, locks and records in its work folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmprolong_data.manifest import MANIFEST_NAME

from .engines.slices import attempts, failures, in_work
from .pipeline import load_plan
from .placement import missing_slices
from .workspace import STAGES, Workspace

RECENT = 50
"""Slices whose times give the pace."""


@dataclass(frozen=True, slots=True)
class StageStatus:
    """What of a stage is complete."""

    slices: int
    documents: int
    pages: int


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a build; ``slices`` is 0 as long as there is no plan.

    Attributes:
        slices, documents, pages: Of the whole plan.
        stages: ``parse``, ``qa`` and ``pack``, and ``ask`` where a model makes questions.
        in_work: Slices that a process works at now.
        begun: Of a build in a bucket: slices that were begun and are not complete. Whether a machine works at them now
            is known to that machine alone.
        interrupted: Slices that were begun, are not complete, and that nobody works at.
        failed: Slice -> error, of those that failed for good.
        published: There is a manifest.
        last: Time stamp at which the last slice was completed, in seconds.
        seconds_left: At the pace of the last slices; None where that cannot be told.
    """

    slices: int
    documents: int
    pages: int
    stages: dict[str, StageStatus]
    in_work: list[int]
    interrupted: list[int]
    failed: dict[int, str]
    published: bool
    last: float | None
    seconds_left: float | None
    begun: list[int] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def read_status(out: Path) -> Status:
    """Look at the build in a folder; changes nothing.

    Raises:
        MMProLongError: no build was begun there.
    """
    workspace = _open(out)
    if workspace is None or not workspace.plan_file.exists():
        begun = {} if workspace is None else workspace.begun() or {}
        nothing = {stage: StageStatus(0, 0, 0) for stage in _stages(begun)}
        return Status(0, 0, 0, nothing, [], [], {}, False, None, None)
    begun = workspace.begun() or {}
    containers = begun["containers"]
    plan = load_plan(workspace)
    sizes = plan.slice_sizes()
    missing = set(missing_slices(workspace, plan.num_slices, containers)[0])
    stages, times = {}, []
    for stage in _stages(begun):
        done = [n for n in range(plan.num_slices) if workspace.sidecar(stage, n).exists()]
        if stage == "pack":
            done = [n for n in done if n not in missing]
            times = sorted((workspace.sidecar(stage, n).stat().st_mtime, sizes[n][1]) for n in done)
        stages[stage] = StageStatus(len(done), sum(sizes[n][0] for n in done), sum(sizes[n][1] for n in done))
    known = failures(workspace)
    failed = {n: known[n] for n in sorted(missing) if n in known}
    busy = [n for n in sorted(missing) if in_work(workspace, n)]
    interrupted = [n for n in sorted(missing) if n not in busy and n not in failed and attempts(workspace, n)]
    return Status(
        slices=plan.num_slices,
        documents=len(plan.documents),
        pages=sum(pages for _, pages in sizes),
        stages=stages,
        in_work=busy,
        interrupted=interrupted,
        failed=failed,
        published=(out / MANIFEST_NAME).exists(),
        last=times[-1][0] if times else None,
        seconds_left=seconds_left(times[-RECENT:], sum(sizes[n][1] for n in missing)),
    )


def _open(out: Path) -> Workspace | None:
    """The work folder; None while a build there is still taking its inventory."""
    if (out / ".work" / "lock").exists() and not (out / ".work" / "build.json").exists():
        return None
    return Workspace.open(out)


def seconds_left(times: list[tuple[float, int]], pages_left: int) -> float | None:
    """``times``: when a slice was completed, and its pages."""
    if len(times) < 2 or times[-1][0] <= times[0][0]:
        return None
    pages = sum(count for _, count in times[1:])
    return pages_left * (times[-1][0] - times[0][0]) / max(pages, 1)


def _stages(begun: dict[str, Any]) -> list[str]:
    return [stage for stage in STAGES if stage != "ask" or "prompts" in begun.get("tools", {})]
