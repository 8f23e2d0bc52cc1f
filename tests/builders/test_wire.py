"""Messages over a socket: what goes in comes out, and nothing hangs on a peer that is gone or silent."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from mmprolong_builders import wire


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def roundtrip(pair: tuple[socket.socket, socket.socket], value: object) -> object:
    sender = threading.Thread(target=wire.send, args=(pair[0], value))
    sender.start()
    received = wire.receive(pair[1], time.monotonic() + 30)
    sender.join()
    return received


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": [1, -2, 2.5, None, True, "é", b"\x00"], "b": {"c": {"d": [[]]}}},
        {"surrogates": "name-\udcff\ud800.pdf"},
        {"value": {"pages": [b"x" * 100_000, b"small", b"y" * 3_000_000], "one": b"z" * 40_000}},
        {"deep": [[[[[b"q" * 70_000]]]]]},
        {1: "integer keys"},
    ],
)
def test_roundtrip(pair: tuple[socket.socket, socket.socket], value: object) -> None:
    assert roundtrip(pair, value) == value


def test_hundreds_of_megabytes(pair: tuple[socket.socket, socket.socket]) -> None:
    pages = [bytes([i]) * (10 << 20) for i in range(25)]
    received = roundtrip(pair, {"value": {"pages": pages}})
    assert received == {"value": {"pages": pages}}


def test_several_messages_keep_their_borders(pair: tuple[socket.socket, socket.socket]) -> None:
    for i in range(5):
        wire.send(pair[0], {"i": i})
    assert [wire.receive(pair[1])["i"] for _ in range(5)] == list(range(5))


def test_peer_gone(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].close()
    with pytest.raises(wire.ConnectionLost):
        wire.receive(pair[1], time.monotonic() + 30)
    with pytest.raises(wire.ConnectionLost):
        wire.send(pair[1], {"x": b"y" * 1_000_000})


def test_peer_gone_in_the_middle_of_a_message(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].sendall(struct.pack("<QQ", 1000, 0) + b"only this")
    pair[0].close()
    with pytest.raises(wire.ConnectionLost, match="end of stream"):
        wire.receive(pair[1], time.monotonic() + 30)


@pytest.mark.parametrize("sent", [b"", b"\x01\x02", struct.pack("<QQ", 1000, 0) + b"only this"])
def test_silent_peer_is_given_up_at_the_deadline(pair: tuple[socket.socket, socket.socket], sent: bytes) -> None:
    pair[0].sendall(sent)
    with pytest.raises(TimeoutError):
        wire.receive(pair[1], time.monotonic() + 0.1)


def test_peer_that_does_not_read_is_given_up_at_the_deadline(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        wire.send(pair[0], {"x": b"y" * 10_000_000}, time.monotonic() + 0.1)


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack("<QQ", 1 << 60, 0),
        struct.pack("<QQ", 10, 1 << 60),
        struct.pack("<QQQ", 1, 1, 1 << 60) + b"\xc0",
        struct.pack("<QQ", 1, 0) + b"\xc1",
        struct.pack("<QQ", 10, 0) + b"\xd8\x01" + (5).to_bytes(8, "little"),
        struct.pack("<QQ", 2, 0) + b"\xc0\xc0",
    ],
)
def test_what_is_no_message(pair: tuple[socket.socket, socket.socket], sent: bytes) -> None:
    pair[0].sendall(sent)
    pair[0].shutdown(socket.SHUT_WR)
    with pytest.raises(wire.ConnectionLost):
        wire.receive(pair[1], time.monotonic() + 30)


def test_unpackable_values_are_refused_before_anything_is_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(TypeError):
        wire.send(pair[0], {"x": {1, 2}})
    wire.send(pair[0], {"x": 1})
    assert wire.receive(pair[1]) == {"x": 1}
