"""The interface to the PDF library: what it promises, and the traps that it takes care of."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmprolong_builders.pdf import MAX_SIDE, open_pdf
from mmprolong_builders.pdf_text import MAX_VECTORS
from mmprolong_builders.reasons import DocumentError
from mmprolong_builders.untrusted import stored_path
from support import hostile
from support.hostile import document, text

_RULES = zip((100, 200, 300, 400), (400, 360, 320, 280), strict=True)
GRID = b"".join(
    [
        *(b"100 %d m 400 %d l S %d 400 m %d 280 l S\n" % (y, y, x, x) for x, y in _RULES),
        *(text(f"r{row}c{col}", 110 + 100 * col, 375 - 40 * row) for row in range(3) for col in range(3)),
    ]
)
"""A ruled table of 3 x 3 cells, 300 x 120 points, its top left corner 100 points from the left, 392 from the top."""

OUTLINE = (
    b"<</Type/Outlines/First 5 0 R/Last 6 0 R/Count 2>>",
    b"<</Title(Chapter\\r\\n one)/Parent 4 0 R/Next 6 0 R/First 7 0 R/Last 7 0 R/Count 1/Dest[9 0 R/XYZ 0 400 0]>>",
    b"<</Title(Chapter two)/Parent 4 0 R/Prev 5 0 R/Dest[11 0 R/Fit]>>",
    b"<</Title(Section)/Parent 5 0 R/Next 8 0 R/Dest[9 0 R/XYZ 0 100 0]>>",
    b"<</Title(Elsewhere)/Parent 5 0 R/Prev 7 0 R/A<</S/URI/URI(https://example.org)>>>>",
)


@pytest.fixture
def made(tmp_path: Path) -> Callable[[bytes], Path]:
    return lambda data: hostile.write(tmp_path / "made.pdf", data)


def reason(path: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        open_pdf(path)
    assert str(path.parent) not in caught.value.detail
    assert "0x" not in caught.value.detail
    return caught.value.reason


def spans(page: dict[str, Any]) -> list[dict[str, Any]]:
    lines = [line for block in page["blocks"] if block["type"] == 0 for line in block["lines"]]
    return [span for line in lines for span in line["spans"]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", "empty_file", id="empty"),
        pytest.param(b"<!DOCTYPE html><html><body>Not found</body></html>", "not_pdf", id="html"),
        pytest.param(b"PK\x03\x04" + bytes(2000), "not_pdf", id="zip"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(2000), "not_pdf", id="png"),
        pytest.param(bytes(2000) + hostile.plain(), "not_pdf", id="late-header"),
        pytest.param(b"%PDF-1.4 and nothing else", "damaged", id="header-only"),
        pytest.param(b"%PDF-1.4\n" + random.Random(0).randbytes(5000), "damaged", id="random"),
        pytest.param(hostile.truncated(), "no_pages", id="truncated"),
        pytest.param(hostile.page_tree_loop(), "damaged", id="tree-loop"),
        pytest.param(hostile.encrypted("secret"), "encrypted", id="password"),
        pytest.param(hostile.unknown_encryption(), "encrypted", id="unknown-handler"),
    ],
)
def test_files_that_cannot_be_opened(made: Callable[[bytes], Path], data: bytes, expected: str) -> None:
    assert reason(made(data)) == expected


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert reason(tmp_path / "absent.pdf") == "unreadable"
    assert reason(tmp_path) == "unreadable"
    (tmp_path / "dangling.pdf").symlink_to(tmp_path / "nowhere")
    assert reason(tmp_path / "dangling.pdf") == "unreadable"


def test_empty_user_password_opens(made: Callable[[bytes], Path]) -> None:
    with open_pdf(made(hostile.encrypted(""))) as pdf:
        assert pdf.num_pages == 3
        assert "page 1" in pdf.text(0)


def test_header_after_junk_opens(made: Callable[[bytes], Path]) -> None:
    with open_pdf(made(b"\n" * 500 + hostile.plain())) as pdf:
        assert pdf.num_pages == 3


@pytest.mark.parametrize("name", [b"caf\xe9 \xff.pdf", "文書 é.pdf".encode(), b"100%25 #1?.pdf"])
def test_any_file_name(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(hostile.plain())
    for spelling in (path, stored_path(str(path))):
        with open_pdf(spelling) as pdf:
            assert pdf.num_pages == 3


def test_promised_pages_that_are_not_there(made: Callable[[bytes], Path]) -> None:
    assert reason(made(hostile.missing_pages())) == "damaged"


@pytest.mark.parametrize(
    ("box", "page", "expected"),
    [
        ("0 0 612 792", "", (612, 792)),
        ("0 0 612 792", "/Rotate 90", (792, 612)),
        ("0 0 612 792", "/Rotate -180", (612, 792)),
        ("0 0 612 792", "/CropBox[100 100 400 500]", (300, 400)),
        ("0 0 612 792", "/Rotate 270/CropBox[100 100 400 500]", (400, 300)),
        ("0 0 612 792", "/UserUnit 2", (1224, 1584)),
        (hostile.INVERTED_BOX, "", (612, 792)),
        ("-612 -792 0 0", "", (612, 792)),
        ("0 0 595.276 841.89", "", (595.276, 841.89)),
    ],
)
def test_box_as_displayed(made: Callable[[bytes], Path], box: str, page: str, expected: tuple[float, float]) -> None:
    with open_pdf(made(document([text("x")], box=box, page=page))) as pdf:
        assert pdf.box(0) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("box", [hostile.BOXES[name] for name in ("huge", "tiny", "elongated")])
def test_absurd_boxes(made: Callable[[bytes], Path], box: str) -> None:
    with open_pdf(made(document([text("x")], box=box))) as pdf:
        with pytest.raises(DocumentError) as caught:
            pdf.box(0)
        assert caught.value.reason == "page_box"
        assert caught.value.detail.startswith("page 1 is ")
        with pytest.raises(DocumentError):
            pdf.render(0, 56, 56)


@pytest.mark.parametrize("box", [*hostile.BOXES.values(), "5 5 5 5", "0 0 0 0", "1 2 3", "a b c d", "nan nan nan nan"])
def test_every_box_is_sane_or_refused(made: Callable[[bytes], Path], box: str) -> None:
    with open_pdf(made(document([text("x")], box=box))) as pdf:
        try:
            width, height = pdf.box(0)
        except DocumentError as error:
            refusal = error.reason
        else:
            refusal = ""
            assert 3 <= min(width, height) <= max(width, height) <= MAX_SIDE
    assert refusal in ("", "page_box")


@pytest.mark.parametrize("page", ["", "/Rotate 90", "/Rotate 180", "/Rotate 270", "/CropBox[100 100 500 600]"])
def test_text_lies_where_the_page_shows_it(made: Callable[[bytes], Path], page: str) -> None:
    with open_pdf(made(document([text("HHHHHHHHHHHH", 150, 400, 40)], page=page))) as pdf:
        (span,) = spans(pdf.text_dict(0))
        width, height = (round(side) for side in pdf.box(0))
        dark = np.argwhere(pdf.render(0, width, height).max(axis=2) < 128)
        (top, left), (bottom, right) = dark.min(axis=0), dark.max(axis=0) + 1
        x0, y0, x1, y1 = span["bbox"]
        assert x0 - 1 <= left < right <= x1 + 1
        assert y0 - 1 <= top < bottom <= y1 + 1
        assert (right - left) * (bottom - top) > 0.5 * (x1 - x0) * (y1 - y0)


def test_text_expands_ligatures_and_keeps_hyphens(made: Callable[[bytes], Path]) -> None:
    cmap = b"begincmap 1 begincodespacerange <00> <ff> endcodespacerange 1 beginbfchar <41> <fb03> endbfchar endcmap"
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 4 0 R>>"
    data = document(
        [b"BT /F2 12 Tf 72 700 Td (oAce) Tj ET\n" + text("hyphen-", y=680) + text("ated", y=666)],
        extra=[hostile.stream(cmap), font],
    ).replace(b"/F1 3 0 R", b"/F1 3 0 R/F2 5 0 R")
    with open_pdf(made(data)) as pdf:
        assert [span["text"] for span in spans(pdf.text_dict(0))] == ["office", "hyphen-", "ated"]


def test_text_that_is_not_painted_has_no_alpha(made: Callable[[bytes], Path]) -> None:
    content = text("painted") + b"3 Tr " + text("invisible", y=650) + b"0 Tr 1 1 1 rg " + text("white", y=600)
    with open_pdf(made(document([content]))) as pdf:
        found = {span["text"]: span for span in spans(pdf.text_dict(0))}
    assert [found[name]["alpha"] for name in ("painted", "invisible", "white")] == [255, 0, 255]
    assert found["white"]["color"] == 0xFFFFFF
    assert found["painted"]["font"] == "Helvetica"
    assert found["painted"]["size"] == 12


def test_images_give_their_box_and_are_not_decoded(made: Callable[[bytes], Path]) -> None:
    with open_pdf(made(hostile.image_bomb())) as pdf:
        (block,) = pdf.text_dict(0)["blocks"]
        assert block["type"] == 1
        assert block["bbox"] == pytest.approx((50, 42, 550, 742))
        assert set(block) == {"type", "number", "bbox"}
        assert pdf.text_dict(0, vectors=False)["blocks"] == [block]


def test_vectors_do_not_change_the_lines(corpus: Path) -> None:
    pages = vectors = 0
    for path in sorted(corpus.glob("*.pdf"))[:6]:
        with open_pdf(path) as pdf:
            for page in range(0, pdf.num_pages, 5):
                plain, full = pdf.text_dict(page, vectors=False), pdf.text_dict(page)
                assert spans(plain) == spans(full)
                assert not plain["vectors_dropped"]
                vectors += sum(block["type"] == 3 for block in full["blocks"])
                pages += 1
    assert pages > 30
    assert vectors > 20


def test_vectors_of_a_drawing_are_dropped(made: Callable[[bytes], Path]) -> None:
    with open_pdf(made(hostile.many_paths(MAX_VECTORS * 2))) as pdf:
        page = pdf.text_dict(0)
        assert page["vectors_dropped"]
        assert [block["type"] for block in page["blocks"]] == [0]
    with open_pdf(made(hostile.many_paths(100))) as pdf:
        page = pdf.text_dict(0)
        assert not page["vectors_dropped"]
        assert sum(block["type"] == 3 for block in page["blocks"]) > 90


def test_lone_surrogates_become_valid_text(made: Callable[[bytes], Path]) -> None:
    with open_pdf(made(hostile.lone_surrogates())) as pdf:
        found = "".join(span["text"] for span in spans(pdf.text_dict(0)))
        for value in (found, pdf.text(0), *pdf.metadata.values()):
            assert value.encode().decode() == value
        assert len(found) == 4
        assert pdf.metadata["title"] == "ordinary"


def test_outline(made: Callable[[bytes], Path]) -> None:
    data = document([text("one"), text("two")], catalog="/Outlines 4 0 R", extra=OUTLINE)
    with open_pdf(made(data)) as pdf:
        assert pdf.outline() == [(1, "Chapter one", 0, 392.0), (2, "Section", 0, 692.0), (1, "Chapter two", 1, None)]


def test_no_outline_and_a_loop_of_bookmarks(made: Callable[[bytes], Path]) -> None:
    with open_pdf(made(hostile.plain())) as pdf:
        assert pdf.outline() == []
    with open_pdf(made(hostile.outline_loop())) as pdf:
        assert pdf.outline() == []
        assert "outlined" in pdf.text(0)


def test_outline_of_real_documents(corpus: Path) -> None:
    with open_pdf(corpus / "easyfloats.pdf") as pdf:
        outline = pdf.outline()
        assert (len(outline), outline[0][:3]) == (45, (1, "Examples", 2))
        for level, title, page, y in outline:
            assert level >= 1
            assert title == title.strip() != ""
            assert 0 <= page < pdf.num_pages
            assert y is None or 0 <= y <= pdf.box(page)[1]


@pytest.mark.parametrize("size", [(56, 56), (28, 2800), (1204, 1680), (1680, 1204), (3584, 3584)])
@pytest.mark.parametrize("box", ["0 0 612 792", "0 0 595.276 841.89", "13.37 -7.7 444.4 700.01", "0 0 72 9000"])
def test_render_gives_exactly_the_size(made: Callable[[bytes], Path], box: str, size: tuple[int, int]) -> None:
    with open_pdf(made(document([text("x", 20, 20)], box=box))) as pdf:
        pixels = pdf.render(0, *size)
    assert pixels.shape == (size[1], size[0], 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags["C_CONTIGUOUS"]


def test_render_gives_exactly_the_size_on_real_boxes(corpus: Path) -> None:
    for path in sorted(corpus.glob("*.pdf")):
        with open_pdf(path) as pdf:
            width, height = (max(1, round(side * 40 / 72 / 28)) * 28 for side in pdf.box(0))
            assert pdf.render(0, width, height).shape == (height, width, 3)


def test_pixels_outlive_the_document(made: Callable[[bytes], Path]) -> None:
    with open_pdf(made(document([b"1 0 0 rg 0 0 612 792 re f", text("x")]))) as pdf:
        pixels = [pdf.render(0, 588, 784) for _ in range(20)]
    del pdf
    # The last row and column hold a trace of white: the page is a hair smaller than the picture.
    assert all((array[:-1, :-1] == (255, 0, 0)).all() for array in pixels)


def test_annotations_are_drawn(made: Callable[[bytes], Path]) -> None:
    annotation = b"<</Type/Annot/Subtype/Square/Rect[100 100 500 500]/IC[0 1 0]/C[0 1 0]/F 4/AP<</N 5 0 R>>>>"
    look = hostile.stream(b"0 1 0 rg 0 0 400 400 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 400 400]")
    data = document([text("x")], page="/Annots[4 0 R]", extra=[annotation, look])
    with open_pdf(made(data)) as pdf:
        assert (pdf.render(0, 612, 792)[500, 300] == (0, 255, 0)).all()


def test_damaged_content_warns_once(made: Callable[[bytes], Path]) -> None:
    with open_pdf(made(hostile.damaged_content())) as pdf:
        pdf.drain_warnings()
        pdf.render(0, 280, 364)
        assert pdf.drain_warnings() == ""
        blank = pdf.render(1, 280, 364)
        assert blank.min() == blank.max()
        assert "zlib" in pdf.drain_warnings()
        assert pdf.drain_warnings() == ""


@pytest.mark.parametrize(
    ("page", "box", "first"),
    [
        ("", (100, 392, 400, 512), ["r0c0", "r0c1", "r0c2"]),
        ("/CropBox[50 50 500 500]", (50, 100, 350, 220), ["r0c0", "r0c1", "r0c2"]),
        ("/Rotate 90", (280, 100, 400, 400), ["r2c0", "r1c0", "r0c0"]),
    ],
)
def test_tables(made: Callable[[bytes], Path], page: str, box: tuple[float, ...], first: list[str]) -> None:
    with open_pdf(made(document([GRID], page=page))) as pdf:
        before = pdf.text_dict(0)
        (table,) = pdf.find_tables(0)
        assert table["bbox"] == pytest.approx(box, abs=1)
        assert table["rows"][0] == first
        assert [len(row) for row in table["rows"]] == [3, 3, 3] == [len(row) for row in table["cells"]]
        assert pdf.find_tables(0, clip=(0, 0, 90, 90)) == []
        assert pdf.text_dict(0) == before


def test_tables_of_rotated_and_cropped_pages_are_left_alone(made: Callable[[bytes], Path]) -> None:
    """PyMuPDF 1.28 would find them in the wrong place, and leave the page with another box."""
    with open_pdf(made(document([GRID], page="/Rotate 90/CropBox[50 50 500 500]"))) as pdf:
        before = pdf.box(0), pdf.text_dict(0)
        assert pdf.find_tables(0) == []
        assert (pdf.box(0), pdf.text_dict(0)) == before


def test_drawings(made: Callable[[bytes], Path]) -> None:
    with open_pdf(made(document([GRID]))) as pdf:
        assert len(pdf.drawings(0)) == 8


def test_nothing_is_printed(made: Callable[[bytes], Path], capfd: pytest.CaptureFixture[str]) -> None:
    with open_pdf(made(hostile.damaged_content())) as pdf:
        for page in range(3):
            pdf.render(page, 280, 364)
            pdf.text_dict(page)
            pdf.find_tables(page)
    reason(made(b"%PDF-1.4 and nothing else"))
    assert capfd.readouterr() == ("", "")


def test_close_may_be_called_twice(made: Callable[[bytes], Path]) -> None:
    pdf = open_pdf(made(hostile.plain()))
    pdf.close()
    pdf.close()
