"""Builds on Ray: the bytes of a local build, whatever happens to its tasks, its nodes and its driver."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.builds import SHORT, SLICED, alive, children_of, command, content, interrupt_when, parent_of, run
from support.ray_cluster import add_node, lock_holders, ray_cluster, task_processes

DOCUMENTS = 6


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU each, for all tests of this file."""
    with ray_cluster() as made:
        yield made


def eventually(condition: Callable[[], object], what: str, patience: float = 300) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def on(cluster: Any, pdfs: Path, out: Path, *more: str) -> tuple[str | Path, ...]:
    """The arguments of a build on the cluster."""
    return ("build", pdfs, "--out", out, *SLICED, "--engine", "ray", "--address", cluster.address, *more)


def test_two_nodes_give_the_bytes_of_one_local_worker(
    cluster: Any, pdfs: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "mmprolong"
    run(*on(cluster, pdfs, out))
    assert content(out) == whole
    assert not list(out.rglob("*.tmp"))
    state = json.loads(run("status", out, "--json").stdout)
    assert state["published"]
    assert state["stages"]["pack"]["slices"] == state["slices"] == DOCUMENTS
    assert "nothing had to be built" in run(*on(cluster, pdfs, out)).stdout


def test_workers_nodes_and_documents_are_lost_in_mid_slice(
    cluster: Any, pdfs: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    """A worker is killed, then a document hangs, then a whole node is killed, and one takes its place."""
    out = tmp_path / "mmprolong"
    arguments = on(cluster, pdfs, out, "--set", "sandbox.timeout=6")
    process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    node = next(node for node in cluster.list_all_nodes() if not node.head)
    try:
        eventually(lambda: any(out.glob(".work/*/pack/*/*.tmp")) and task_processes(), "no slice is packed")
        os.kill(task_processes()[0], signal.SIGKILL)
        hung = busy_child(out, raylet_of(cluster.head_node))
        os.kill(hung, signal.SIGSTOP)
        eventually(lambda: any(parent_of(task) == raylet_of(node) for task in task_processes()), "no task on the node")
        cluster.remove_node(node, allow_graceful=False)
        add_node(cluster)
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    assert content(out) == whole
    assert not alive(hung)
    eventually(lambda: not task_processes(), "tasks outlive their driver")


def test_a_slice_that_fails_for_good(cluster: Any, pdfs: Path, whole: dict[str, str], tmp_path: Path) -> None:
    """Slice 1 cannot be written, slice 2 takes its process with it, every time: both are named, the rest is there."""
    out = tmp_path / "mmprolong"
    run("build", pdfs, "--out", out, *SLICED, "--part", "5/6")
    cells = next(out.glob(".work/*/plan.parquet")).parent
    obstacle = cells / "qa" / "00001.msgpack" / "in the way"
    obstacle.mkdir(parents=True)
    over = threading.Event()

    def kill() -> None:
        while not over.is_set():
            for holder in lock_holders(cells / "locks" / "00002"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(holder, signal.SIGKILL)
            time.sleep(0.005)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        failed = run(*on(cluster, pdfs, out, "--set", "ray.slices=3", "--set", "ray.retries=1"), code=3)
    finally:
        over.set()
        killer.join()
    assert "slice 1: IsADirectoryError" in failed.stderr
    assert "slice 2: ProcessLost: its process ended every time" in failed.stderr
    run("verify", out)
    state = json.loads(run("status", out, "--json", code=3).stdout)
    assert list(state["failed"]) == ["1", "2"]
    assert state["in_work"] == []
    assert json.loads((out / "manifest.json").read_bytes())["documents"]["left_out"]["slice_error"] == 2
    shutil.rmtree(obstacle.parent)
    run(*on(cluster, pdfs, out))
    assert content(out) == whole


def test_a_stopped_driver_takes_its_tasks_with_it(
    cluster: Any, pdfs: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "mmprolong"
    arguments = on(cluster, pdfs, out)
    seen: set[int] = set()
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)):
        before = len(list(out.glob(".work/*/pack/*.json")))

        def one_more(before: int = before) -> bool:
            seen.update(child for task in task_processes() for child in children_of(task))
            return len(list(out.glob(".work/*/pack/*.json"))) > before and bool(task_processes())

        ended, errors = interrupt_when(one_more, *arguments, with_signal=number)
        assert ended == code, errors
        assert "Traceback" not in errors
        assert ("Stopped." in errors) == (number != signal.SIGKILL)
        eventually(lambda: not task_processes(), "tasks outlive their driver")
        eventually(lambda: not any(map(alive, seen)), "children outlive their tasks")
        assert not (out / "manifest.json").exists()
    assert seen
    run(*arguments)
    assert content(out) == whole


def test_what_concerns_all_ends_the_build(cluster: Any, pdfs: Path, tmp_path: Path) -> None:
    """No slice can be locked: that is not about one slice, and the error names the machine and the file."""
    out = tmp_path / "mmprolong"
    run("build", pdfs, "--out", out, *SLICED, "--part", "5/6")
    lock = next(out.glob(".work/*/locks")) / "00000"
    lock.mkdir()
    errors = run(*on(cluster, pdfs, out), code=1).stderr
    assert f"on {socket.gethostname()}" in errors
    assert "locks" in errors
    eventually(lambda: not task_processes(), "tasks outlive their driver")


def test_private_ray(pdfs: Path, whole: dict[str, str], tmp_path: Path) -> None:
    """Without an address: two workers, on the loopback interface alone, and nothing is left when it ends."""
    out, scratch = tmp_path / "mmprolong", Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))  # short enough for sockets
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    arguments = ("build", pdfs, "--out", out, *SLICED, "--workers", "2", "--engine", "ray")
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment | {"TMPDIR": str(scratch)},
    )  # fmt: skip
    try:
        eventually(lambda: set(task_processes()) & descendants(process.pid) or process.poll() is not None, "no task")
        family = descendants(process.pid)
        addresses = listening(family)
        shown, errors = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    assert "usage" not in shown + errors
    assert addresses
    assert addresses <= {"0100007F", "0000000000000000FFFF00000100007F"}, addresses  # 127.0.0.1, also as IPv6
    assert content(out) == whole
    eventually(lambda: not any(map(alive, family)), "processes of Ray are left")
    scratch.rmdir()  # it is empty


def test_private_ray_without_what_a_task_asks_for(pdfs: Path, tmp_path: Path) -> None:
    arguments = ("build", pdfs, "--out", tmp_path / "new", *SLICED, "--engine", "ray", "--address", "local")
    errors = run(*arguments, "--set", "ray.cpus=3", code=2).stderr
    assert "A task asks for CPU 3, and the Ray cluster has machines with: CPU 1." in errors


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--address", "auto"), 2, "--engine ray only"),
        (("--engine", "ray", "--part", "0/2"), 2, "needs no --part"),
        (("--engine", "ray", "--address", "ray://127.0.0.1:10001"), 2, "Ray Client"),
        (("--engine", "ray", "--address", "127.0.0.1:9"), 1, "cannot be reached"),
        (("--engine", "ray", "--set", "ray.cpus=0"), 2, "ray.cpus = 0"),
        (("--engine", "ray", "--set", "qa.generator=openai", "--set", "qa.model=m"), 2, "kept by one process"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], code: int, message: str, pdfs: Path, tmp_path: Path) -> None:
    assert message in run("build", pdfs, "--out", tmp_path / "new", *SHORT, *arguments, code=code).stderr


def raylet_of(node: Any) -> int:
    """Process id of the parent of a node's tasks."""
    return int(node.all_processes["raylet"][0].process.pid)


def busy_child(out: Path, raylet: int) -> int:
    """A sandboxed process of a node whose document is being packed: it is neither starting nor idle."""
    deadline = time.monotonic() + 300
    while True:
        for part in out.glob(".work/*/pack/*/*.tmp"):
            holders = lock_holders(part.parents[2] / "locks" / part.parent.name)
            for child in (child for task in holders if parent_of(task) == raylet for child in children_of(task)):
                return child
        assert time.monotonic() < deadline, "no document is in work"
        time.sleep(0.005)


def descendants(pid: int) -> set[int]:
    """A process and all below it."""
    found, todo = set(), [pid]
    while todo:
        found.add(one := todo.pop())
        todo += children_of(one)
    return found


def listening(pids: set[int]) -> set[str]:
    """The addresses, in the kernel's hexadecimal words, on which processes accept TCP connections."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = str(link.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return {line[1].partition(":")[0] for line in lines if line[3] == "0A" and line[9] in inodes}
