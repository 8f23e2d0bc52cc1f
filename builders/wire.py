"""Messages between a sandboxed child and its parent: an 8-byte length, then msgpack. Never pickle."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

import msgpack

MAX_MESSAGE = 8 << 30
"""A child that announces more bytes than this has lost its mind; it is treated as crashed."""

_LENGTH = struct.Struct("<Q")


class ConnectionLost(Exception):
    """The other side is gone, or sends what is no message."""


def send(sock: socket.socket, value: Any, deadline: float | None = None) -> None:
    """Send one message of plain values.

    Args:
        sock: A stream socket.
        value: None, bool, int, float, str, bytes, list, dict; lone surrogates in strings survive.
        deadline: ``time.monotonic()`` at which to give up.

    Raises:
        ConnectionLost: The other side is gone.
        TimeoutError: The deadline has passed.
        TypeError, ValueError, OverflowError: ``value`` is not made of plain values; nothing was sent.
    """
    data = msgpack.packb(value, unicode_errors="surrogatepass")
    try:
        sock.settimeout(_left(deadline))
        sock.sendall(_LENGTH.pack(len(data)))
        sock.sendall(data)
    except TimeoutError:
        raise
    except OSError as error:
        raise ConnectionLost(str(error)) from None


def receive(sock: socket.socket, deadline: float | None = None) -> Any:
    """Receive one message. Waits until ``deadline``; sees the death of the other side at once.

    Raises:
        ConnectionLost: The other side is gone, or what it sent is no message.
        TimeoutError: The deadline has passed.
    """
    (length,) = _LENGTH.unpack(_receive_exactly(sock, _LENGTH.size, deadline))
    if length > MAX_MESSAGE:
        raise ConnectionLost(f"a message of {length} bytes")
    data = _receive_exactly(sock, length, deadline)
    try:
        return msgpack.unpackb(data, unicode_errors="surrogatepass", strict_map_key=False)
    except (ValueError, msgpack.UnpackException) as error:
        raise ConnectionLost(f"no message: {type(error).__name__}") from None


def _receive_exactly(sock: socket.socket, length: int, deadline: float | None) -> bytearray:
    data = bytearray(length)
    view = memoryview(data)
    while view:
        try:
            sock.settimeout(_left(deadline))
            count = sock.recv_into(view)
        except TimeoutError:
            raise
        except OSError as error:
            raise ConnectionLost(str(error)) from None
        if count == 0:
            raise ConnectionLost("end of stream")
        view = view[count:]
    return data


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
