"""Tasks for sandboxed children that misbehave in every way that matters, and a few that tell about the child."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

NAMES = (
    "echo", "die", "leave", "hang", "hang_in_c", "allocate", "hoard", "fat", "bug", "unpackable", "refuse", "noise",
    "who", "burn", "wait", "stubborn",
)  # fmt: skip
TASKS = {name: f"support.poison:{name}" for name in NAMES}

_hoard: list[bytearray] = []


def echo(payload: dict[str, Any]) -> dict[str, Any]:
    return payload


def die(payload: dict[str, Any]) -> dict[str, Any]:
    os.kill(os.getpid(), payload.get("signal", signal.SIGKILL))
    raise AssertionError("still alive")


def leave(payload: dict[str, Any]) -> dict[str, Any]:
    os._exit(7)


def hang(payload: dict[str, Any]) -> dict[str, Any]:
    _tell(payload)
    while True:
        pass


def hang_in_c(payload: dict[str, Any]) -> dict[str, Any]:
    """Holds the GIL for ever: no Python signal handler or thread gets a turn."""
    _tell(payload)
    ones = np.ones((2000, 2000), dtype=object)
    return {"sum": int(sum(ones.dot(ones).sum() for _ in range(10**6)))}


def allocate(payload: dict[str, Any]) -> dict[str, Any]:
    return {"bytes": len(bytearray(payload["bytes"]))}


def hoard(payload: dict[str, Any]) -> dict[str, Any]:
    """Allocates and never gives back."""
    _hoard.append(bytearray(payload["bytes"]))
    return {"blocks": len(_hoard)}


def fat(payload: dict[str, Any]) -> dict[str, Any]:
    return {"pages": [bytes([i]) * size for i, size in enumerate(payload["sizes"])]}


def bug(payload: dict[str, Any]) -> dict[str, Any]:
    return {"x": {}["missing"]}


def unpackable(payload: dict[str, Any]) -> dict[str, Any]:
    return {"x": {1, 2}}


def refuse(payload: dict[str, Any]) -> dict[str, Any]:
    from mmprolong_builders.reasons import DocumentError

    raise DocumentError("needs_ocr", "no text on page 3")


def noise(payload: dict[str, Any]) -> dict[str, Any]:
    """Writes to standard output and error, past Python too."""
    print("printed")
    sys.stdout.flush()
    os.write(1, b"to standard output\n" * 1000)
    os.write(2, b"to standard error\n" * 1000)
    return {"read": os.read(0, 10)}


def who(payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "session": os.getsid(0),
        "environment": dict(os.environ),
        "address_space": resource.getrlimit(resource.RLIMIT_AS)[0],
        "oom_score_adj": Path("/proc/self/oom_score_adj").read_text().strip(),
        "modules": sorted(sys.modules),
        "hash": hash("text"),
    }


def burn(payload: dict[str, Any]) -> dict[str, Any]:
    """Uses up CPU time."""
    end = time.process_time() + payload["seconds"]
    while time.process_time() < end:
        pass
    return {}


def wait(payload: dict[str, Any]) -> dict[str, Any]:
    time.sleep(payload["seconds"])
    return payload


def stubborn(payload: dict[str, Any]) -> dict[str, Any]:
    """Dies the first time, works the second: a cosmic ray."""
    marker = Path(payload["marker"])
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGSEGV)
    return {"pid": os.getpid()}


def _tell(payload: dict[str, Any]) -> None:
    if "marker" in payload:
        marker = Path(payload["marker"])
        part = marker.with_name(marker.name + ".part")
        part.write_text(str(os.getpid()))
        part.rename(marker)
