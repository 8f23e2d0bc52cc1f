"""A Ray cluster of several nodes on this machine, reachable from this machine alone, and processes of its tasks."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # all servers on the loopback interface
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),  # one for all clusters of a process: Ray reads it once
}
_NODE = {"object_store_memory": 80 << 20, "node_ip_address": "127.0.0.1"}


@contextmanager
def ray_cluster(nodes: int = 2) -> Iterator[Any]:
    """A head and more nodes (raylets with their workers), of one CPU each."""
    before = dict(os.environ)
    os.environ.update(_ENVIRONMENT)
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets need a short path
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "num_gpus": 0, "include_dashboard": False, "temp_dir": folder}
    cluster = Cluster(initialize_head=True, head_node_args=head | _NODE)
    try:
        for _ in range(nodes - 1):
            add_node(cluster)
        yield cluster
    finally:
        cluster.shutdown()
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def add_node(cluster: Any) -> Any:
    """One more node of one CPU; it is there when this returns."""
    return cluster.add_node(num_cpus=1, num_gpus=0, **_NODE)


def task_processes(word: str = "ray::run_block") -> list[int]:
    """Process ids of the tasks that build slices now, whichever node they are on."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(word.encode()):
            found.append(int(folder.name))
    return found


def lock_holders(path: Path) -> list[int]:
    """Process ids that hold a ``flock`` on a file (Linux)."""
    try:
        inode = str(path.stat().st_ino)
    except FileNotFoundError:
        return []
    fields = [line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" not in line]
    return [int(line[4]) for line in fields if line[5].rpartition(":")[2] == inode]
