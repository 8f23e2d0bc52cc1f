"""The child's side: it ends when its parent cannot end it, and its tasks exist."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmprolong_builders import wire
from mmprolong_builders.reasons import DOCUMENT_REASONS, DocumentError
from mmprolong_builders.worker import GRACE, TASKS
from support import poison


def start(sock: socket.socket) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-P", "-m", "mmprolong_builders.worker", str(sock.fileno()), str(os.getpid())]
    return subprocess.Popen(command, pass_fds=(sock.fileno(),), env=environment)


def greet(sock: socket.socket, timeout: float) -> None:
    wire.send(sock, {"memory": 2 << 30, "timeout": timeout, "tasks": poison.TASKS})
    assert wire.receive(sock, time.monotonic() + 60)["ready"]


def test_child_ends_when_its_parent_closes_the_socket() -> None:
    ours, theirs = socket.socketpair()
    child = start(theirs)
    theirs.close()
    greet(ours, 60)
    ours.close()
    assert child.wait(20) == 0


def test_child_ends_itself_when_nobody_else_does() -> None:
    """The parent is stopped: it keeps the socket open and kills nobody."""
    ours, theirs = socket.socketpair()
    with ours:
        child = start(theirs)
        theirs.close()
        greet(ours, 0.5 - GRACE)
        wire.send(ours, {"task": "hang_in_c", "payload": {}})
        assert child.wait(30) == -signal.SIGALRM


def test_timer_stops_with_the_task() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        child = start(theirs)
        theirs.close()
        greet(ours, 0.3 - GRACE)
        wire.send(ours, {"task": "echo", "payload": {"i": 1}})
        assert wire.receive(ours)["value"] == {"i": 1}
        time.sleep(0.6)
        wire.send(ours, {"task": "echo", "payload": {"i": 2}})
        assert wire.receive(ours)["value"] == {"i": 2}
    assert child.wait(20) == 0


def test_every_reply_tells_the_cpu_time() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        child = start(theirs)
        theirs.close()
        greet(ours, 60)
        for task in ("echo", "refuse", "bug", "unpackable"):
            wire.send(ours, {"task": task, "payload": {}})
            assert wire.receive(ours)["cpu"] > 0
    assert child.wait(20) == 0


@pytest.mark.parametrize("name", sorted(TASKS))
def test_tasks_are_functions_of_this_package(name: str) -> None:
    target, fallback = TASKS[name]
    module, _, function = target.partition(":")
    path = Path(__file__).parents[2] / "builders" / Path(*module.split(".")[1:]).with_suffix(".py")
    assert f"def {function}(payload:" in path.read_text()
    assert fallback in DOCUMENT_REASONS


def test_document_error_says_both() -> None:
    error = DocumentError("page_box", "page 3")
    assert (error.reason, error.detail, str(error)) == ("page_box", "page 3", "page_box: page 3")
    assert str(DocumentError("no_pages")) == "no_pages"
