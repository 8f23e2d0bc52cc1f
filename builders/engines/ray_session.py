"""The connection to Ray: to a cluster that is there, or to a private one that lives as long as the build."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmprolong_data.errors import MMProLongError, SettingsError, missing_extra

_OBJECTS = 80 << 20
"""Bytes of Ray's object store, about its least: what passes through it are a few numbers."""
CONNECT_TIMEOUT = 10.0
"""Seconds in which a cluster has to accept a connection."""
_LONGEST = 20
"""Letters of the path of a folder in which Ray can make its sockets: theirs has 107 at most."""


def check_address(address: str | None) -> None:
    """What is wrong with an address is said before any work is done.

    Raises:
        MMProLongError: Ray is not installed.
        SettingsError: It is the address of a Ray Client.
    """
    if importlib.util.find_spec("ray") is None:
        raise missing_extra("ray", "ray")
    if address is not None and address.startswith("ray://"):
        raise SettingsError(
            f"--address {address}: a Ray Client is not on the cluster, and the build has to see its files. Remedy: run"
            " the command on a machine of the cluster with --address auto, or submit it (deploy/ray.sh)"
        )


@dataclass(frozen=True, slots=True)
class RaySession:
    """The connected module, and whether its cluster is of this build alone."""

    ray: Any
    private: bool


@contextlib.contextmanager
def ray_session(address: str | None, cpus: int) -> Iterator[RaySession]:
    """Connect to Ray until the block ends.

    Args:
        address: Of a cluster, ``auto``, or None: that of the environment (``RAY_ADDRESS``, which submitted jobs have),
            else a private Ray on this machine, on the loopback interface alone and behind a token.
        cpus: CPUs of the private Ray.

    Raises:
        MMProLongError: see ``check_address``; or the cluster cannot be reached.
    """
    address = address or os.environ.get("RAY_ADDRESS") or None
    address = None if address == "local" else address
    check_address(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    with contextlib.ExitStack() as stack:
        if address is None:
            folder = stack.enter_context(_private_folder())
            stack.enter_context(_environment(_PRIVATE | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}))
            quiet |= {
                "address": "local", "num_cpus": cpus, "include_dashboard": False, "object_store_memory": _OBJECTS,
                "_temp_dir": folder,
            }  # fmt: skip
        else:
            quiet["address"] = address
            _check_reachable(address)
        import ray

        stack.callback(ray.shutdown)
        with _our_signals():
            try:
                ray.init(**quiet)
            except (ConnectionError, OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
                reason = str(error).strip().partition("\n")[0]
                if address is not None:
                    raise _unreachable(address, reason) from None
                raise MMProLongError(
                    f"Ray cannot be started on this machine: {reason}. Remedy: build without --engine ray"
                ) from None
        yield RaySession(ray, address is None)


def _check_reachable(address: str) -> None:
    """Ray itself would knock for ever at a port where nobody listens."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_TIMEOUT).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from None


def _unreachable(address: str, reason: str) -> MMProLongError:
    return MMProLongError(
        f"The Ray cluster at {address} cannot be reached: {reason}. Remedy: check --address, and that Ray and Python"
        " have the same versions everywhere; or leave --address out for a private Ray"
    )


_PRIVATE = {
    # Ray's name for "this machine alone": all servers then listen on the loopback interface.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Whoever else is logged in here could run programs as us.
    "RAY_AUTH_MODE": "token",
}


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables for as long as the session lasts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _private_folder() -> Iterator[str]:
    """A folder for Ray's sockets and logs that goes with the session; sockets need a short path."""
    place = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="mmprolong-ray-", dir="/tmp" if len(place) > _LONGEST else place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _our_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself and would end the process without a word; what was set before is set again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
