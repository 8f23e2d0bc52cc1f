"""Rendering: exact sizes, damaged pages refused, hostile pages cost themselves alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from mmprolong_builders.reasons import DocumentError
from mmprolong_builders.recipe import Sandbox
from mmprolong_builders.render import render_task
from mmprolong_builders.sandbox import SandboxPool
from support import hostile
from support.hostile import document, text

SIZE = [560, 728]


@pytest.fixture(scope="module")
def impatient() -> Iterator[SandboxPool]:
    with SandboxPool(1, Sandbox(timeout=0.5, memory=2 << 30)) as pool:
        yield pool


def payload(path: Path, count: int, **more: object) -> dict[str, object]:
    return {"path": str(path), "sizes": [SIZE] * count, "quality": 85} | more


def test_pages_are_jpegs_of_the_planned_sizes(tmp_path: Path) -> None:
    path = hostile.write(tmp_path / "a.pdf", document([b"1 0 0 rg 0 0 612 792 re f", text("second")]))
    sizes = [[560, 728], [1204, 84]]
    pages = render_task({"path": str(path), "sizes": sizes, "quality": 85})["pages"]
    for data, (width, height) in zip(pages, sizes, strict=True):
        assert simplejpeg.decode_jpeg_header(data)[:4] == (height, width, "YCbCr", "420")
    red = simplejpeg.decode_jpeg(pages[0])[:-16, :-16]
    assert np.abs(red.astype(int) - (255, 0, 0)).max() <= 3
    assert simplejpeg.decode_jpeg(pages[1]).min() < 100


def test_same_bytes_in_every_process(tmp_path: Path, impatient: SandboxPool) -> None:
    path = hostile.write(tmp_path / "a.pdf", hostile.plain())
    here = render_task(payload(path, 3))
    assert impatient.call("render", payload(path, 3)).value == here
    with SandboxPool(1, Sandbox()) as other:
        assert other.call("render", payload(path, 3)).value == here


def test_chosen_pages(tmp_path: Path) -> None:
    path = hostile.write(tmp_path / "a.pdf", hostile.plain(4))
    every = render_task(payload(path, 4))["pages"]
    assert render_task(payload(path, 4, pages=[2, 0]))["pages"] == [every[2], every[0]]
    assert len(set(every)) == 4


def test_quality(tmp_path: Path) -> None:
    path = hostile.write(tmp_path / "a.pdf", hostile.plain())
    sizes = [len(render_task(payload(path, 3, quality=quality))["pages"][0]) for quality in (30, 60, 95)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


def test_blank_page_with_errors_is_refused(tmp_path: Path) -> None:
    path = hostile.write(tmp_path / "a.pdf", hostile.damaged_content())
    with pytest.raises(DocumentError) as caught:
        render_task(payload(path, 3))
    assert caught.value.reason == "damaged_page"
    assert caught.value.detail.startswith("page 2 is blank: ")
    assert len(render_task(payload(path, 3, pages=[0, 2]))["pages"]) == 2


def test_blank_page_without_errors_is_a_page(tmp_path: Path) -> None:
    path = hostile.write(tmp_path / "a.pdf", hostile.blank_page())
    assert len(render_task(payload(path, 3))["pages"]) == 3


def test_file_that_changed_since_it_was_planned(tmp_path: Path) -> None:
    path = hostile.write(tmp_path / "a.pdf", hostile.plain(2))
    with pytest.raises(DocumentError, match="the file has 2 pages, 3 were planned"):
        render_task(payload(path, 3))


def test_loop_of_forms_ends(tmp_path: Path) -> None:
    path = hostile.write(tmp_path / "a.pdf", hostile.form_loop())
    assert len(render_task(payload(path, 1))["pages"]) == 1


@pytest.mark.parametrize(
    "make", [hostile.form_bomb, hostile.tiny_pattern, hostile.flate_bomb], ids=lambda f: f.__name__
)
def test_bombs_are_timeouts(tmp_path: Path, impatient: SandboxPool, make: object) -> None:
    path = hostile.write(tmp_path / "bomb.pdf", make)  # type: ignore[arg-type]
    harmless = hostile.write(tmp_path / "harmless.pdf", hostile.plain())
    outcomes = list(impatient.map("render", [payload(path, 1), payload(harmless, 3)]))
    assert (outcomes[0].reason, outcomes[0].detail) == ("timeout", "not done in 0.5 s")
    assert outcomes[1].ok


def test_image_of_gigapixels_needs_no_gigabytes(tmp_path: Path, impatient: SandboxPool) -> None:
    path = hostile.write(tmp_path / "a.pdf", hostile.image_bomb())
    outcome = impatient.call("render", payload(path, 1))
    assert outcome.ok or outcome.reason in ("memory", "timeout", "render_error", "damaged_page")


def test_page_beyond_the_memory_limit(tmp_path: Path) -> None:
    path = hostile.write(tmp_path / "a.pdf", document([text("x")], box="0 0 9000 9000"))
    with SandboxPool(1, Sandbox(memory=700 << 20)) as pool:
        outcome = pool.call("render", {"path": str(path), "sizes": [[17920, 17920]], "quality": 85})
    assert outcome.reason == "memory"


def test_real_documents(corpus: Path) -> None:
    path = corpus / "lecture-slides-ex.pdf"
    pages = render_task({"path": str(path), "sizes": [[504, 392]] * 43, "quality": 85, "pages": [0, 20, 42]})["pages"]
    for data in pages:
        assert np.ptp(simplejpeg.decode_jpeg(data)) > 100
