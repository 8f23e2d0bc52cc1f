"""The main program of a sandboxed child: sets its own limits, then runs tasks on what its parent sends."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import importlib
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mmprolong_data.errors import MMProLongError

from . import wire
from .reasons import DOCUMENT_REASONS, DocumentError
from .untrusted import clean_detail

Task = Callable[[dict[str, Any]], dict[str, Any]]

TASKS = {
    "ask_check": (f"{__package__}.qa.openai.child:check", "qa_error"),
    "ask_check_paraphrase": (f"{__package__}.qa.openai.child:check_paraphrase", "qa_error"),
    "ask_prepare": (f"{__package__}.qa.openai.child:prepare", "qa_error"),
    "ask_programmatic": (f"{__package__}.qa.openai.child:programmatic", "qa_error"),
    "inspect": (f"{__package__}.examine:inspect_pdf", "damaged"),
    "ocr_pictures": (f"{__package__}.ocr.pages:picture_task", "render_error"),
    "parse": (f"{__package__}.layout.parse:parse_task", "parse_error"),
    "parse_stage": (f"{__package__}.stages:parse_stage", "parse_error"),
    "qa": (f"{__package__}.tasks:qa_task", "qa_error"),
    "qa_recheck": (f"{__package__}.qa.recheck:recheck_task", "qa_error"),
    "qa_stage": (f"{__package__}.stages:qa_stage", "qa_error"),
    "survey": (f"{__package__}.survey:survey_pdf", "parse_error"),
    "survey_pages": (f"{__package__}.survey:survey_pages", "parse_error"),
    "survey_picture": (f"{__package__}.survey:survey_picture", "damaged"),
    "render": (f"{__package__}.render:render_task", "render_error"),
}
"""Name of a task -> (``module:function``, reason code where it raises what is no ``DocumentError``)."""

FALLBACK = "damaged"
"""The reason code of an unforeseen exception in a task that the pool was given."""
_PR_SET_PDEATHSIG = 1
"""From ``linux/prctl.h``."""
GRACE = 5.0
"""Seconds after the timeout at which a child ends itself, should its parent be unable to."""


def main() -> None:
    """Serve the socket whose descriptor is the first argument, until the parent, the second one, closes it."""
    die_with_parent(int(sys.argv[2]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to decide
    sock = socket.socket(fileno=int(sys.argv[1]))
    try:
        setup = wire.receive(sock)
        _limit(setup["memory"])
        tasks = TASKS | {name: (target, FALLBACK) for name, target in setup["tasks"].items()}
        try:
            importlib.import_module(f"{__package__}.{setup.get('preload', 'pdf')}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent has to tell the user
            wire.send(sock, _broken(error))
            return
        # Start-up is done: from here on, whatever libraries print is of no use to anybody.
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        # A document is tens of thousands of small objects that live as long as its task: look for cycles seldom.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        wire.send(sock, {"ready": True, "cpu": time.process_time()})
        while True:
            request = wire.receive(sock)
            with _mortal(sock, setup["timeout"] + GRACE):
                reply = _run(tasks, request["task"], request["payload"])
            del request
            _reply(sock, reply)
    except wire.ConnectionLost:
        return


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, even if it is stopped (Linux).

    ``_mortal`` and the end of the stream do the same, but not for a process that cannot run.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has ended before we asked
        sys.exit(1)


def _run(tasks: dict[str, tuple[str, str]], name: str, payload: dict[str, Any]) -> dict[str, Any]:
    target, fallback = tasks[name]
    module, _, function = target.partition(":")
    try:
        task: Task = getattr(importlib.import_module(module), function)
    except Exception as error:  # noqa: BLE001 - a task that cannot even be imported is a fault of ours
        return _broken(error)
    try:
        return {"value": task(payload)}
    except DocumentError as error:
        if error.reason not in DOCUMENT_REASONS:
            return _broken(error)
        return {"reason": error.reason, "detail": error.detail}
    except MMProLongError as error:
        return _broken(error) | {"message": str(error)}
    except MemoryError:
        return {"reason": "memory", "detail": "out of memory"}
    except ImportError as error:
        return _broken(error)
    except Exception as error:  # noqa: BLE001 - a document must not end the build
        return {"reason": fallback, "detail": _where(error)}


def _reply(sock: socket.socket, reply: dict[str, Any]) -> None:
    try:
        wire.send(sock, reply | {"cpu": time.process_time()})
    except MemoryError:
        wire.send(sock, {"reason": "memory", "detail": "out of memory", "cpu": time.process_time()})
    except (TypeError, ValueError, OverflowError) as error:
        wire.send(sock, _broken(error) | {"cpu": time.process_time()})


def _broken(error: Exception) -> dict[str, Any]:
    """A reply that ends the whole run: this is not about a document."""
    package = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
    return {"broken": _where(error), "package": package.partition(".")[0]}


def _where(error: BaseException) -> str:
    """``clean_detail`` and the place in the code, which is what a report of a fault needs."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return clean_detail(error)
    return f"{clean_detail(error)} ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"


def _limit(memory: int) -> None:
    """Bound the address space, prefer this process to others when memory runs out, leave no core files."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # Linux only, and not in every container
        Path("/proc/self/oom_score_adj").write_text("1000")


@contextlib.contextmanager
def _mortal(sock: socket.socket, seconds: float) -> Iterator[None]:
    """End this process by a signal, even inside a hanging C function, once its parent is gone or time is up.

    The default actions of SIGALRM and SIGIO end the process. During a task the parent sends nothing, so the only
    event that O_ASYNC reports is that its end was closed.
    """
    descriptor = sock.fileno()
    signal.setitimer(signal.ITIMER_REAL, seconds)
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
    try:
        yield
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
