"""A block of slices as a task builds it: what it refuses, and when it gives a slice up."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from mmprolong_builders import fetch
from mmprolong_builders.engines.block import BlockResult, Counts, Job, build_block
from mmprolong_builders.engines.slices import attempts, failures
from mmprolong_builders.recipe import Recipe
from mmprolong_builders.workspace import Workspace, file_sha256
from support.builds import SLICED, run
from support.http_server import serve

from mmprolong_data.remote import Retries
from mmprolong_data.settings import from_plain, load_settings, to_plain

ALWAYS = 1000


@pytest.fixture
def corpus(pdfs: Path, tmp_path: Path) -> Path:
    """A copy that may be taken away."""
    return Path(shutil.copytree(pdfs, tmp_path / "pdfs"))


@pytest.fixture
def begun(corpus: Path, tmp_path: Path) -> tuple[Job, Workspace]:
    """A build whose plan is frozen; one of its six slices is complete."""
    out = tmp_path / "mmprolong"
    run("build", corpus, "--out", out, *SLICED, "--part", "0/6")
    return job_of(out, str(corpus))


def job_of(out: Path, corpus: str) -> tuple[Job, Workspace]:
    """What a driver would tell its tasks."""
    overrides = [value for flag, value in pairwise(SLICED) if flag == "--set"]
    recipe = load_settings(Recipe, None, overrides)
    workspace = Workspace(out, recipe.hash())
    return Job([corpus], str(out), to_plain(recipe), "parquet", 1, file_sha256(workspace.build_file)), workspace


def build(job: Job, most: dict[int, int], told: list[Counts] | None = None) -> BlockResult:
    """What a task on another machine does."""
    collected = told if told is not None else []
    return BlockResult.from_json(build_block(job.to_json(), most, lambda counts: collected.append(dict(counts))))


def test_a_block_builds_its_slices_and_counts_those_that_are_there(begun: tuple[Job, Workspace]) -> None:
    job, workspace = begun
    told: list[Counts] = []
    result = build(job, {0: ALWAYS, 3: ALWAYS}, told)
    assert (result.failed, result.error) == ({}, "")
    assert result.cpu_seconds > 0
    assert {stage: documents for stage, (documents, _) in result.counts.items()} == {"parse": 2, "pack": 2}
    assert told
    done = [number for number in range(6) if workspace.sidecar("pack", number).exists()]
    assert done == [0, 3]
    assert not (workspace.out / "manifest.json").exists()


def test_a_slice_that_was_begun_too_often_is_given_up_and_the_others_are_built(begun: tuple[Job, Workspace]) -> None:
    """Whoever began it did not live to say why it failed."""
    job, workspace = begun
    (workspace.cells / "locks" / "00001").write_bytes(b"...")
    assert attempts(workspace, 1) == 3
    result = build(job, {1: 3, 2: 3})
    assert list(result.failed) == [1]
    assert "ProcessLost" in result.failed[1]
    assert list(failures(workspace)) == [1]
    assert workspace.sidecar("pack", 2).exists()
    assert build(job, {1: 4}).failed == {}
    assert failures(workspace) == {}


def test_a_corpus_behind_a_url_and_its_server_that_goes(
    pdfs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that cannot be fetched now leave their slice for the next run: that is no failure of the slice."""
    monkeypatch.setattr(fetch, "Retries", partial(Retries, backoff=0.001))
    out = tmp_path / "mmprolong"
    with serve(pdfs) as server:
        run("build", f"{server.url}/", "--out", out, *SLICED, "--part", "0/6")
        job, workspace = job_of(out, f"{server.url}/")
        assert build(job, dict.fromkeys((1, 2), ALWAYS)) == replace(BlockResult(), cpu_seconds=ANY, counts=ANY)
    result = build(job, dict.fromkeys((3, 4), ALWAYS))
    assert "2 slices are left for the next run" in result.left
    assert (result.failed, result.error, failures(workspace)) == ({}, "", {})


def _other_folder(job: Job, workspace: Workspace, corpus: Path) -> Job:
    """The path leads to nothing: the folder is not mounted on this machine."""
    return replace(job, out=job.out + "-not-mounted")


def _other_build(job: Job, workspace: Workspace, corpus: Path) -> Job:
    """The path leads to a folder of this machine's own."""
    begun: dict[str, Any] = json.loads(workspace.build_file.read_bytes())
    workspace.build_file.write_text(json.dumps(begun))
    return job


def _no_corpus(job: Job, workspace: Workspace, corpus: Path) -> Job:
    shutil.rmtree(corpus)
    return job


def _other_version(job: Job, workspace: Workspace, corpus: Path) -> Job:
    begun: dict[str, Any] = json.loads(workspace.build_file.read_bytes())
    begun["tools"]["pymupdf"] = "1.0.0"
    workspace.build_file.write_text(json.dumps(begun))
    return replace(job, begun=file_sha256(workspace.build_file))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_other_folder, "is not the folder that the build was begun in"),
        (_other_build, "is not the folder that the build was begun in"),
        (_no_corpus, "and 1 more PDFs are not there"),
        (_other_version, "installed pymupdf"),
    ],
)
def test_a_machine_that_cannot_take_part_says_why_and_changes_nothing(
    change: Any, message: str, begun: tuple[Job, Workspace], corpus: Path
) -> None:
    job, workspace = begun
    changed = change(job, workspace, corpus)
    files = sorted(workspace.root.rglob("*"))
    result = build(changed, {1: ALWAYS, 2: ALWAYS})
    assert message in result.error
    assert result.error.startswith("on ")
    assert sorted(workspace.root.rglob("*")) == files
    assert not Path(changed.out + "-not-mounted").exists()
    assert failures(workspace) == {}


def test_the_settings_of_ray_are_no_part_of_the_dataset() -> None:
    recipe = from_plain(Recipe, {"ray": {"cpus": 4, "gpus": 0.5, "resources": {"fast": 1.0}}})
    recipe.validate()
    assert recipe.hash() == Recipe().hash()
