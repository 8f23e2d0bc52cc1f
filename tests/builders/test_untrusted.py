"""Text from outside, made safe to store."""

from __future__ import annotations

import os

import pytest
from mmprolong_builders.untrusted import clean_detail, clean_text, no_surrogates, real_path, stored_path


def test_clean_text() -> None:
    assert clean_text("  two \r\n lines\x00\x1b[31m and\u202e more ") == "two lines [31m and more"
    assert clean_text("\ud800é") == "?é"
    assert clean_text("long" * 100, 10) == "longlonglo"


def test_no_surrogates() -> None:
    assert no_surrogates("plain é") == "plain é"
    assert no_surrogates("a\ud800b\udcff") == "a?b?"


def test_clean_detail_has_no_path_and_no_address() -> None:
    error = ValueError("cannot open '/home/me/x.pdf' via /dev/fd/17 at <object at 0x7f8a12b4c3d0>")
    detail = clean_detail(error, "/home/me/x.pdf")
    assert detail == "ValueError: cannot open 'x.pdf' via the file at <object at 0x...>"
    assert clean_detail(KeyError()) == "KeyError"


def test_clean_detail_takes_the_cause() -> None:
    wrapped = RuntimeError("failed")
    wrapped.__cause__ = ValueError("the reason")
    assert clean_detail(wrapped) == "ValueError: the reason"


@pytest.mark.parametrize("raw", [b"/plain.pdf", "/文書.pdf".encode(), b"/caf\xe9%20 #.pdf", b"/\xff\xfe"])
def test_stored_path_is_valid_text_and_can_be_undone(raw: bytes) -> None:
    path = os.fsdecode(raw)
    stored = stored_path(path)
    assert stored.encode().decode() == stored
    assert real_path(stored) == path


def test_stored_path_leaves_ordinary_names_alone() -> None:
    assert stored_path("/a b/é%.pdf") == "/a b/é%.pdf"
    assert stored_path(os.fsdecode(b"/\xff.pdf")) == "file:///%FF.pdf"
