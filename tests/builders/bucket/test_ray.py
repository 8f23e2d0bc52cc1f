"""Builds into a bucket as tasks of a Ray cluster whose machines share no folder."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.buckets import BUCKET, SLICED, prefix
from support.builds import command, run, until
from support.ray_cluster import add_node, ray_cluster, task_processes
from support.s3 import S3


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where each of two nodes has its temporary files."""
    made = tmp_path_factory.mktemp("head"), tmp_path_factory.mktemp("node")
    for place in made:
        (place / "ray").mkdir()  # where Ray notes its address
    return made


@pytest.fixture(scope="module")
def cluster(s3: S3, places: tuple[Path, Path]) -> Iterator[Any]:
    """Two nodes of one CPU, each with a place of its own for temporary files, that both reach the server."""
    before = dict(os.environ)
    os.environ.update(s3.environment, TMPDIR=str(places[0]))
    try:
        with ray_cluster(nodes=1) as made:
            os.environ["TMPDIR"] = str(places[1])
            add_node(made)
            yield made
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_two_nodes_without_a_common_folder_one_worker_killed(
    cluster: Any, places: tuple[Path, Path], s3: S3, url: str, pdfs: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    """A worker is killed while slices are on their way; the driver has a scratch folder of its own."""
    (tmp_path / "driver").mkdir()
    arguments = ("build", pdfs, "--out", url, *SLICED, "--engine", "ray", "--address", cluster.address)
    env = s3.environment | {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    env["TMPDIR"] = str(tmp_path / "driver")
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env
    )
    try:
        until(lambda: process.poll() is not None or any("/pack/" in key for key in s3.keys(BUCKET, prefix(url))))
        for task in task_processes()[:1]:
            os.kill(task, signal.SIGKILL)
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    assert s3.content(BUCKET, prefix(url)) == whole
    for place in places:
        assert any(place.glob("mmprolong-scratch-*/set-*")), "a node has built nothing"
    assert len(list((tmp_path / "driver").rglob("*.index"))) == 0
    assert "nothing had to be built" in run(*arguments, env=env).stdout
