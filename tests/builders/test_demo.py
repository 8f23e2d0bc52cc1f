"""The demo corpus: page counts, stable bytes, what each kind of document is made to show."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from mmprolong_builders.demo import write_corpus
from mmprolong_builders.demo.corpus import DOCUMENTS
from mmprolong_builders.demo.prose import Writer, grouped
from mmprolong_builders.recipe import Parse, Sandbox
from mmprolong_builders.sandbox import SandboxPool

from mmprolong_data.errors import MMProLongError
from mmprolong_data.settings import to_plain


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    paths = write_corpus(tmp_path_factory.mktemp("demo"))
    return {path.name: path for path in paths}


@pytest.fixture(scope="module")
def texts(written: dict[str, Path]) -> dict[str, list[str]]:
    return {name: list(_page_texts(path)) for name, path in written.items()}


def _page_texts(path: Path) -> Iterator[str]:
    with pdfium.PdfDocument(path) as document:
        for page in document:
            yield page.get_textpage().get_text_range().replace("\r\n", "\n")


def _words(pages: list[str]) -> set[str]:
    return {word.lower() for page in pages for word in re.findall(r"[^\W\d_]{4,}", page)}


def test_every_document_has_32_to_50_pages_and_is_small(written: dict[str, Path]) -> None:
    assert sorted(written) == sorted(DOCUMENTS)
    assert len(written) >= 8
    assert not list(written["orchard-atlas.pdf"].parent.glob("*.tmp"))
    for name, path in written.items():
        with pdfium.PdfDocument(path) as document:
            assert 32 <= len(document) <= 50, name
        assert path.stat().st_size < (4_500_000 if "scan" in name else 1_500_000), name


def test_another_seed_keeps_the_page_range_and_changes_the_bytes(tmp_path: Path, written: dict[str, Path]) -> None:
    for name, module in DOCUMENTS.items():
        if module != "scan":  # slow, and its page count is a constant
            path = tmp_path / name
            importlib.import_module(f"mmprolong_builders.demo.{module}").write(path, 7)
            with pdfium.PdfDocument(path) as document:
                assert 32 <= len(document) <= 50, name
            assert path.read_bytes() != written[name].read_bytes()


def test_a_second_process_writes_the_same_bytes(tmp_path: Path, written: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "mmprolong_builders.demo", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "5", "TZ": "Asia/Tokyo"}
    )
    assert len(done.stdout.splitlines()) == len(written)
    for name, path in written.items():
        assert (tmp_path / name).read_bytes() == path.read_bytes(), name


def test_the_scan_has_no_text_and_the_others_have(texts: dict[str, list[str]]) -> None:
    for name, pages in texts.items():
        empty = [number for number, page in enumerate(pages) if not page.strip()]
        assert empty == (list(range(len(pages))) if "scan" in name else []), name


def test_vocabularies_differ(texts: dict[str, list[str]]) -> None:
    words = {name: _words(pages) for name, pages in texts.items() if "scan" not in name}
    for one, left in words.items():
        assert len(left) > 120, one
        for other, right in words.items():
            if one < other:
                assert len(left & right) / len(left | right) < 0.25, (one, other)


def test_reports_have_numbered_sections_captions_lists_and_fields(texts: dict[str, list[str]]) -> None:
    report = "\n".join(texts["annual-report-waterworks.pdf"])
    assert re.search(r"^3\.2 {1,2}Disinfection", report, re.MULTILINE)
    for pattern in (r"^Table 1\. ", r"^Figure 5\. ", r"^Well depth: \d+\.\d m", r"^4\.", r"NTU", r"Contents"):
        assert re.search(pattern, report, re.MULTILINE), pattern
    forms = "\n".join(texts["bridge-inspections.pdf"])
    assert len(re.findall(r"^Inspector: ", forms, re.MULTILINE)) == 36
    assert len(re.findall(r"^Depth: \d+\.\d m", forms, re.MULTILINE)) == 36
    assert "Sommaire" in texts["rapport-tramway.pdf"][1]
    assert re.search(r"^Tableau 1 : ", "\n".join(texts["rapport-tramway.pdf"]), re.MULTILINE)


def test_a_total_is_the_sum_of_its_rows(texts: dict[str, list[str]]) -> None:
    page = next(page for page in texts["annual-report-waterworks.pdf"] if "Deliveries by station" in page)
    rows = re.findall(r"^([A-Z][a-z]+(?: [A-Z][a-z]+)?) ([\d,]+) (\d+\.\d)$", page, re.MULTILINE)
    values = {name: int(value.replace(",", "")) for name, value, _ in rows}
    total = values.pop("Total")
    assert len(values) == 10
    assert total == sum(values.values())
    assert f"{grouped(total)} megalitres" in page


def test_some_documents_have_an_outline_and_its_pages_are_right(
    written: dict[str, Path], texts: dict[str, list[str]]
) -> None:
    outlines = {}
    for name, path in written.items():
        with pdfium.PdfDocument(path) as document:
            outlines[name] = [(mark.get_title(), mark.get_dest().get_index()) for mark in document.get_toc()]
    without = {name for name, marks in outlines.items() if not marks}
    assert without == {
        "minutes-harbour-scan.pdf", "orchard-atlas.pdf", "paper-two-columns.pdf", "slides-repair-network.pdf",
        "yearbook-observatory.pdf",
    }  # fmt: skip
    for name, marks in outlines.items():
        for title, page in marks:
            assert " ".join(title.split()) in " ".join(texts[name][page].split()), (name, title)


def test_the_atlas_has_many_sizes_and_one_rotated_page(written: dict[str, Path]) -> None:
    with pdfium.PdfDocument(written["orchard-atlas.pdf"]) as document:
        sizes = {tuple(round(side) for side in page.get_size()) for page in document}
        assert [page.get_rotation() for page in document].count(90) == 1
    assert {(595, 842), (842, 595), (420, 595), (560, 560), (1191, 842), (842, 1191)} <= sizes
    with pdfium.PdfDocument(written["slides-repair-network.pdf"]) as document:
        assert {page.get_size() for page in document} == {(960.0, 540.0)}


def test_two_columns_stand_side_by_side(written: dict[str, Path]) -> None:
    with pdfium.PdfDocument(written["paper-two-columns.pdf"]) as document:
        page = document[1].get_textpage()
        lefts = [page.get_rect(i)[0] for i in range(page.count_rects())]
    middle = 595 / 2
    assert sum(left < middle - 40 for left in lefts) > 15
    assert sum(left > middle for left in lefts) > 15


def test_no_text_leaves_its_page(written: dict[str, Path]) -> None:
    for name, path in written.items():
        with pdfium.PdfDocument(path) as document:
            for number, page in enumerate(document):
                width, height = page.get_size()
                if page.get_rotation():  # rectangles are given before rotation
                    width, height = height, width
                text = page.get_textpage()
                for i in range(text.count_rects()):
                    left, bottom, right, top = text.get_rect(i)
                    assert left > 8, (name, number)
                    assert bottom > 8, (name, number)
                    assert right < width - 8, (name, number)
                    assert top < height - 8, (name, number)


def test_without_reportlab_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MMProLongError, match=r"mmprolong\[demo\]"):
        write_corpus(tmp_path)


def test_a_folder_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MMProLongError, match="file: the demo documents cannot be written"):
        write_corpus(tmp_path / "file")


def test_a_writer_deals_without_repeating_and_is_a_function_of_its_parts() -> None:
    bank = {"pattern": ["{a} is {n:3-9}."], "a": ["one", "two", "three"]}
    first, second = Writer(bank, 1, "x"), Writer(bank, 1, "x")
    assert sorted(first.take("a", 3)) == ["one", "three", "two"]
    second.take("a", 3)
    assert [first.sentence() for _ in range(5)] == [second.sentence() for _ in range(5)]
    assert re.fullmatch(r"(One|Two|Three) is [3-9]\.", first.sentence())
    assert grouped(1234567.5, 1, " ", ",") == "1 234 567,5"


def test_only_the_scan_needs_ocr(written: dict[str, Path]) -> None:
    """Also contents pages, which are mostly dots, and slides with few words are text."""
    settings = to_plain(Parse())
    payloads = [{"path": str(path), "doc_id": "0" * 64, "settings": settings} for path in written.values()]
    with SandboxPool(2, Sandbox()) as pool:
        for name, outcome in zip(written, pool.map("parse", payloads), strict=True):
            assert outcome.value is not None, (name, outcome.detail)
            statuses = {page["status"] for page in outcome.value["document"]["pages"]}
            assert statuses == ({"needs_ocr"} if "scan" in name else {"text"}), name
