"""Messages between a sandboxed child and its parent: lengths, msgpack, then large byte strings as they are.

Never pickle. Rendered pages are hundreds of megabytes a minute: byte strings of some size are not packed, but follow
the packed part, and are received straight into the object that the caller gets.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

import msgpack

MAX_MESSAGE = 4 << 30
"""A child that announces more bytes than this has lost its mind; it is treated as crashed."""

_LENGTH = struct.Struct("<QQ")  # packed part, number of byte strings that follow it
_BLOB = 1  # msgpack extension type: the position of a byte string after the packed part
_BLOB_BYTES = 32 << 10
_BLOB_DEPTH = 3  # {"value": {"pages": [bytes, ...]}}


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
    blobs: list[bytes] = []
    data = msgpack.packb(_detach(value, blobs, _BLOB_DEPTH), unicode_errors="surrogatepass")
    lengths = struct.pack(f"<{len(blobs)}Q", *map(len, blobs))
    try:
        for part in (_LENGTH.pack(len(data), len(blobs)) + lengths + data, *blobs):
            sock.settimeout(_left(deadline))
            sock.sendall(part)
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
    sock.settimeout(None)
    size, count = _LENGTH.unpack(_receive_exactly(sock, _LENGTH.size, deadline))
    if size + 8 * count > MAX_MESSAGE:
        raise ConnectionLost(f"a message of {size} bytes and {count} parts")
    lengths = struct.unpack(f"<{count}Q", _receive_exactly(sock, 8 * count, deadline))
    if size + sum(lengths) > MAX_MESSAGE:
        raise ConnectionLost(f"a message of {size + sum(lengths)} bytes")
    data = _receive_exactly(sock, size, deadline)
    blobs = [_receive_exactly(sock, length, deadline) for length in lengths]

    def attach(code: int, position: bytes) -> bytes:
        return blobs[int.from_bytes(position, "little")]

    try:
        return msgpack.unpackb(data, unicode_errors="surrogatepass", strict_map_key=False, ext_hook=attach)
    except (ValueError, IndexError, msgpack.UnpackException) as error:
        raise ConnectionLost(f"no message: {type(error).__name__}") from None


def _detach(value: Any, blobs: list[bytes], depth: int) -> Any:
    """A copy of ``value`` in which large byte strings near the top are moved to ``blobs``."""
    if isinstance(value, bytes) and len(value) >= _BLOB_BYTES:
        blobs.append(value)
        return msgpack.ExtType(_BLOB, (len(blobs) - 1).to_bytes(8, "little"))
    if depth and isinstance(value, dict):
        return {key: _detach(item, blobs, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, list):
        return [_detach(item, blobs, depth - 1) for item in value]
    return value


def _receive_exactly(sock: socket.socket, length: int, deadline: float | None) -> bytes:
    parts, missing = [], length
    while missing:
        left = _left(deadline)
        micros = 0 if left is None else max(1, int(left * 1e6))  # 0 is for ever
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", *divmod(micros, 1_000_000)))
        try:
            # One call, one object: no buffer that would have to be copied. A timeout or a signal cuts it short.
            part = sock.recv(missing, socket.MSG_WAITALL)
        except BlockingIOError:
            continue  # the deadline says whether to go on
        except OSError as error:
            raise ConnectionLost(str(error)) from None
        if not part:
            raise ConnectionLost("end of stream")
        parts.append(part)
        missing -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
