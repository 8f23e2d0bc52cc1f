"""The report: self-contained, safe against hostile text, the same twice, bounded in what it reads."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmprolong_builders.blocks import BLOCK_KINDS, Block, Document, Page
from mmprolong_builders.report import figures, html, inspect_dataset, statistics, write_report
from mmprolong_builders.report.pictures import KIND_COLOURS, page_with_blocks, thumbnail
from PIL import Image
from rich.console import Console
from support.samples import document_pages, make_sample, write_dataset

from mmprolong_data import chat
from mmprolong_data.errors import FormatError, MMProLongError
from mmprolong_data.index import IndexRow

EVIL = '<script>alert(1)</script> \x1b[31m {{ 7*7 }} & "quoted" [bold red]x[/]'


class _Links(HTMLParser):
    """Everything that a browser might load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]


def _document(doc_id: str, pages: int = 3) -> Document:
    """A parsed document with a block of every kind, spread over its pages."""
    found = [Page(number, 84.0, 112.0) for number in range(pages)]
    for i, kind in enumerate(BLOCK_KINDS):
        page = found[i % pages]
        page.blocks.append(Block(page.number, kind, (5.0, 8.0 + 9 * i, 70.0, 15.0 + 9 * i), EVIL))
    return Document(doc_id, found)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All five configs, one sample of them with text that attacks the page and the terminal."""
    root = tmp_path_factory.mktemp("report") / "mmprolong"
    meta = json.dumps({"family": "key_value", "source": f"{EVIL}.pdf", "language": "en"})
    evil = make_sample(3, question=EVIL, answer=EVIL, messages=chat.build_messages(EVIL, EVIL, 3), meta=meta)
    shards: dict[tuple[str, str], Any] = {
        ("extract_single", "train"): [[make_sample(0), make_sample(1)], [evil]],
        ("extract_single", "validation"): [[make_sample(9)]],
    }
    for config in ("extract_multi", "reasoning", "ocr_needle"):
        shards[config, "train"] = [[make_sample(n, config) for n in range(3)]]
    everything = {"evidence_pages": [0, 1, 2]}
    shards["ocr_full", "train"] = [[make_sample(n, "ocr_full", **everything) for n in range(2)]]
    write_dataset(root, shards=shards)
    return root


@pytest.fixture(scope="module")
def page(dataset: Path) -> str:
    documents = {make_sample(n).doc_id: _document(make_sample(n).doc_id) for n in (0, 1, 2)}
    return write_report(dataset, documents=documents).read_text("utf-8")


def test_the_page_loads_nothing_and_runs_nothing(page: str) -> None:
    parser = _Links()
    parser.feed(page)
    assert len(parser.links) > 10
    assert all(link.startswith("data:image/") for link in parser.links)
    assert not {"script", "iframe", "object", "embed", "link", "form"} & set(parser.tags)
    assert "default-src 'none'" in page
    assert "url(" not in page
    assert "@import" not in page


def test_hostile_text_is_shown_as_text(page: str) -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7*7 }}" in page
    assert "49" not in re.findall(r"alert\(1\)&lt;/script&gt; .{0,20}", page)[0]


def test_every_picture_is_a_readable_image(page: str) -> None:
    pictures = re.findall(r'src="data:image/(png|jpeg);base64,([A-Za-z0-9+/=]+)"', page)
    for kind, data in pictures:
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            image.load()
            assert image.format == kind.upper()


def test_the_numbers_are_the_manifests(page: str, dataset: Path) -> None:
    manifest = json.loads((dataset / "manifest.json").read_text())
    total = sum(sum(counts.values()) for counts in manifest["samples"].values())
    assert f'<div class="fact"><b>{total}</b>samples' in page
    assert "the content is not a PDF, whatever the file name says" in page
    for config in manifest["samples"]:
        assert f"<code>{config}</code>" in page


def test_the_charts_lie_beside_the_page(page: str, dataset: Path) -> None:
    names = {path.name for path in (dataset / "report").iterdir()}
    assert names == {"index.html", "lengths.png", "pages.png", "evidence.png", "families.png", "left_out.png"}
    assert page.count("data:image/png") == 5


def test_evidence_pages_are_counted_from_one(page: str) -> None:
    assert "evidence: page 1" in page
    assert "evidence: page 0" not in page
    assert "evidence: page 2 and 1 more" in page  # ocr_full: three pages, two shown


def test_pages_with_blocks_show_every_kind(page: str) -> None:
    shown = set(", ".join(re.findall(r"<figcaption>page \d+: ([^<]+)</figcaption>", page)).split(", "))
    assert shown == set(BLOCK_KINDS)
    assert set(KIND_COLOURS) == set(BLOCK_KINDS)


def test_without_documents_there_is_no_page_of_blocks(dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(dataset, tmp_path / "copy")
    text = write_report(tmp_path / "copy").read_text("utf-8")
    assert "What the parser sees" not in text
    assert "Examples" in text


def test_the_same_dataset_gives_the_same_report(dataset: Path, tmp_path: Path, page: str) -> None:
    shutil.copytree(dataset, tmp_path / "copy")
    documents = {make_sample(n).doc_id: _document(make_sample(n).doc_id) for n in (2, 1, 0)}
    assert write_report(tmp_path / "copy", documents=documents).read_text("utf-8") == page


def test_both_containers_show_the_same_samples(dataset: Path, tmp_path: Path) -> None:
    samples = [[make_sample(n) for n in range(4)]]
    texts = []
    for container in ("parquet", "webdataset"):
        root = tmp_path / container
        write_dataset(root, container, {("extract_single", "train"): samples})
        texts.append(write_report(root).read_text("utf-8").split("<h2>Examples</h2>")[1])
    assert texts[0] == texts[1]


def test_a_large_dataset_is_sampled_and_its_images_are_not_read(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    genuine = html.read_sample

    def counted(path: Path, row: IndexRow) -> Any:
        read.append(row.key)
        return genuine(path, row)

    monkeypatch.setattr(html, "read_sample", counted)
    monkeypatch.setattr(statistics, "MOST_RECORDS", 2)
    found = statistics.read_statistics(dataset)
    assert all(len(records) <= 2 for records in found.records.values())
    assert {config: len(rows) for (config, split), rows in found.rows.items() if split == "train"} == {
        "extract_single": 3, "extract_multi": 3, "reasoning": 3, "ocr_needle": 3, "ocr_full": 2,
    }  # fmt: skip
    assert read == []
    write_report(dataset)
    assert 0 < len(read) <= 5 * html.EXAMPLES


def test_depths_leave_out_full_transcriptions(dataset: Path) -> None:
    found = statistics.read_statistics(dataset)
    depths = found.depths()
    assert len(depths) == 4 + 3 * 3
    assert {round(depth, 3) for _, depth in depths} == {round((page + 0.5) / 3, 3) for page in range(3)}


def test_edges_are_whole_numbers_that_hold_the_values() -> None:
    for low, high in ((85.2, 99.7), (7.0, 7.0), (0.4, 0.6), (1.0, 4000.0)):
        edges = figures._even_edges(low, high, 8)
        assert 2 <= len(edges) <= 9
        assert edges[0] <= low
        assert high <= edges[-1]
        assert len(set(np.diff(edges))) <= 1
        assert all(edges == np.round(edges))


def test_no_dataset_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"manifest\.json is missing"):
        write_report(tmp_path)


def test_a_damaged_shard_is_a_clear_error(dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(dataset, tmp_path / "copy")
    shard = next((tmp_path / "copy").glob("data/reasoning/*"))
    shard.write_bytes(b"PAR1" + bytes(200) + b"PAR1")
    with pytest.raises(FormatError, match="mmprolong verify"):
        write_report(tmp_path / "copy")


def test_without_matplotlib_the_remedy_is_named(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MMProLongError, match=r"mmprolong\[build\]"):
        write_report(dataset)


def test_the_terminal_shows_hostile_text_without_obeying_it(dataset: Path, tmp_path: Path) -> None:
    root = tmp_path / "one"
    meta = json.dumps({"family": "key_value", "source": "a.pdf"})
    sample = make_sample(3, question=EVIL, answer=EVIL, messages=chat.build_messages(EVIL, EVIL, 3), meta=meta)
    write_dataset(root, shards={("extract_single", "train"): [[sample]]})
    stream = io.StringIO()
    path = inspect_dataset(root, Console(file=stream, width=200, force_terminal=True, color_system=None))
    shown = stream.getvalue()
    assert path == root / "report" / "index.html"
    assert path.is_file()
    assert "\x1b[31m" not in shown
    assert "[bold red]x[/]" in shown
    assert "key_value" in shown
    assert "not_pdf" in shown


def test_inspect_draws_again_only_when_the_dataset_is_newer(dataset: Path) -> None:
    import os

    console = Console(file=io.StringIO())
    path = inspect_dataset(dataset, console)
    path.write_text("mine")
    os.utime(path, ns=(2**62, 2**62))
    assert inspect_dataset(dataset, console).read_text() == "mine"
    os.utime(path, ns=(0, 0))
    assert inspect_dataset(dataset, console).read_text().startswith("<!doctype html>")


def test_boxes_of_any_shape_can_be_drawn() -> None:
    jpeg = document_pages(1)[0]
    boxes = [(70.0, 90.0, 10.0, 20.0), (-50.0, -50.0, 500.0, 900.0), (5.0, 5.0, 5.0, 5.0)]
    page = Page(0, 84.0, 112.0, [Block(0, "table", box, "") for box in boxes])
    with Image.open(io.BytesIO(page_with_blocks(jpeg, page))) as image:
        assert image.size == (84, 112)
        assert max(np.ptp(np.asarray(image).reshape(-1, 3), axis=0)) > 0


def test_a_thumbnail_keeps_the_shape_of_its_page() -> None:
    stream = io.BytesIO()
    Image.new("RGB", (1204, 1680), "white").save(stream, "JPEG")
    with Image.open(io.BytesIO(thumbnail(stream.getvalue(), 420))) as image:
        assert image.size == (420, 586)
