"""Readers of the benchmarks' own files, on small files of the same form."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mmprolong_trainer.evaluate.backends.scripted import constant, oracle
from mmprolong_trainer.evaluate.evaluation import evaluate
from mmprolong_trainer.evaluate.items import Item, Suite
from mmprolong_trainer.evaluate.suites import READERS, open_suite
from PIL import Image

from mmprolong_data.errors import FormatError, MMProLongError


def picture(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pixels(shade))
    return path


def pixels(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (28, 28), (shade % 256, 0, 0)).save(stream, "JPEG")
    return stream.getvalue()


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def mmlongbench(root: Path) -> Path:
    for name in ("docA", "docB"):
        for page in range(4):
            picture(root / "mmlb_image" / "mmlongdoc" / name / f"{name}_{page}.jpg", page)
    pages = [f"mmlongdoc/docA/docA_{n}.jpg" for n in range(4)] + [f"mmlongdoc/docB/docB_{n}.jpg" for n in range(4)]
    rows = [
        {"id": "a", "doc_name": "docB", "question": "How many?", "answer": "12", "answer_format": "Integer"},
        {"id": "b", "doc_name": "docB", "question": "Which?", "answer": '["x", "y"]', "answer_format": "List"},
        {"id": "c", "doc_name": "docA", "question": "Why?", "answer": "Not answerable", "answer_format": "None"},
    ]
    for row in rows:
        row |= {"page_list": pages, "ans_page_list": [2]}
    for length in (64, 128):
        write_lines(root / "documentQA" / f"mmlongdoc_K{length}.jsonl", rows)
    picture(root / "mmlb_image" / "needle.jpg")
    needles = {
        "retrieval-text_test_K64_dep6": {"ctxs": [{"text": "<image>"}], "answer": "blue", "question": "Q"},
        "counting-image_test_K64_dep3": {"ctxs": [{"text": "<image>"}], "answer": [1, 2], "question": "Q"},
        "reasoning-image_test_K64_dep6": {
            "ctxs": [{"text": "<image>"}], "answer": 1, "question": "Q", "choices_image": ["needle.jpg"] * 4,
        },
    }  # fmt: skip
    for name, row in needles.items():
        write_lines(
            root / "NIAH" / f"{name}.jsonl", [{"id": 0, "image_list": ["needle.jpg"], "needle_image_list": []} | row]
        )
    write_lines(
        root / "NIAH" / "vh_single_K64.jsonl", [{"id": 0, "ctxs": ["needle.jpg"] * 3, "question": "?", "answer": "yes"}]
    )
    rag = {
        "id": 1,
        "image": "needle.jpg",
        "ctxs": [{"title": "T", "text": "words"}],
        "question": "Who?",
        "answer": ["Ann", "A."],
    }
    write_lines(root / "vrag" / "infoseek_K64.jsonl", [rag])
    write_lines(root / "other" / "unheard-of_K64.jsonl", [{"id": 1, "question": "", "answer": ""}])
    many_shot_and_summaries(root)
    return root


def many_shot_and_summaries(root: Path) -> None:
    for name in ("a", "b", "c", "d", "x"):
        picture(root / "mmlb_image" / "food" / f"{name}.jpg", ord(name))
    for page in (1, 2):
        picture(root / "mmlb_image" / "gov" / "gao-12345678901234567" / f"page{page}.jpg", page)
    rounds = [[{"image": f"food/{name}.jpg", "id": n} for n, name in enumerate(names)] for names in ("ab", "cd")]
    domain = {"exemplar_list": [rounds, rounds[::-1]], "test_example": [{"image": "food/x.jpg", "answer": 1}]}
    (root / "ICL").mkdir()
    (root / "ICL" / "food101_K64.json").write_text(json.dumps({"meals": domain}))
    summary = [
        {"section_title": "Why", "paragraphs": ["One.", "Two."]},
        {"section_title": "What", "paragraphs": ["X."]},
    ]
    pages = [f"gov/gao-12345678901234567/page{page}.jpg" for page in (1, 2)]
    write_lines(root / "summ" / "gov_K64.jsonl", [{"id": 7, "image_list": pages, "summary": summary}])
    write_lines(root / "summ" / "lexsum_K64.jsonl", [{"id": 8, "image_list": pages, "summary": "A case."}])
    write_lines(root / "summ" / "gov_claims.jsonl", [{"id": 7, "claims": []}])  # for a judge: no questions


def mmlongbench_doc(root: Path) -> Path:
    for page in range(1, 12):
        picture(root / "pages" / "report" / f"page-{page}.jpg", page)
    write_lines(root / "samples.json", [])
    rows = [
        {
            "doc_id": "report.pdf",
            "question": "Q1",
            "answer": "18.29%",
            "answer_format": "Float",
            "evidence_pages": "[3, 10]",
        },
        {
            "doc_id": "report.pdf",
            "question": "Q2",
            "answer": "Not answerable",
            "answer_format": "None",
            "evidence_pages": "[]",
        },
        {
            "doc_id": "report.pdf",
            "question": "Q3",
            "answer": "['a', 'b']",
            "answer_format": "List",
            "evidence_pages": "[11]",
        },
    ]
    for row in rows:
        row |= {"doc_type": "Report", "evidence_sources": "['Table', 'Chart']"}
    (root / "samples.json").write_text(json.dumps(rows))
    return root


def longdocurl(root: Path) -> Path:
    for page in range(9, 15):
        picture(root / "images" / "4026" / f"4026369_{page}.png", page)
    row = {
        "question_id": "free_1", "doc_no": "4026369", "question": "?", "answer": ["a", "b"], "answer_format": "List",
        "evidence_pages": [12], "evidence_sources": ["Text"], "task_tag": "Locating",
        "images": [f"/data/oss/pdf_pngs/4026/4026369_{page}.png" for page in range(9, 15)],
    }  # fmt: skip
    write_lines(
        root / "LongDocURL.jsonl", [row, row | {"question_id": "free_2", "answer": 7, "answer_format": "Integer"}]
    )
    return root


def slidevqa(root: Path) -> Path:
    for slide in range(1, 21):
        picture(root / "images" / "deck" / f"slide_{slide}_1024.jpg", slide)
    for slide in range(1, 21):  # the last number is the resolution: names that sort wrongly must not
        (root / "images" / "deck" / f"slide_{slide}_1024.jpg").rename(root / "images" / "deck" / f"slide-{slide}.jpg")
    row = {"deck_name": "deck", "qa_id": 5, "question": "Who?", "answer": "Ann Lee", "evidence_pages": [2, 19]}
    write_lines(root / "test.jsonl", [row | {"reasoning_type": "Multi-hop"}])
    return root


def slidevqa_parquet(root: Path) -> Path:
    root.mkdir(parents=True)
    rows = [
        {"qa_id": n, "question": "Who?", "answer": "Ann", "evidence_pages": [1]}
        | {f"page_{p}": {"bytes": pixels(10 * n + p), "path": None} for p in (1, 2, 3)}
        for n in range(5)
    ]
    pq.write_table(pa.Table.from_pylist(rows), root / "test-00000-of-00001.parquet", row_group_size=2)
    return root


def mm_niah(root: Path) -> Path:
    picture(root / "images" / "a.jpg")
    meta = {"placed_depth": [0.2, 0.6], "context_length": 9000, "choices": None, "choices_image_path": None}
    base = {"id": 0, "images_list": ["a.jpg"], "context": "one <image> two", "question": "Q?", "meta": meta}
    write_lines(root / "annotations" / "retrieval-text.jsonl", [base | {"answer": "sun"}])
    write_lines(root / "annotations" / "counting-image.jsonl", [base | {"answer": [2, 3]}])
    choices = meta | {"choices_image_path": ["a.jpg"] * 4}
    write_lines(root / "annotations" / "reasoning-image.jsonl", [base | {"answer": 2, "meta": choices}])
    words = meta | {"choices": ["left", "right"], "placed_depth": 1.0, "context_length": 70_000}
    write_lines(root / "annotations" / "reasoning-text.jsonl", [base | {"answer": 1, "meta": words}])
    return root


def vtcbench(root: Path) -> Path:
    root.mkdir(parents=True)
    for name, count in (("Retrieval", 3), ("Reasoning", 2), ("Memory", 1)):
        rows = [
            {"problem": f"P{n}", "answers": ["4317", "8825"], "_context": "c"}
            | {"images": [{"bytes": pixels(n * 2 + i), "path": f"{i}.jpg"} for i in range(n + 1)]}
            for n in range(count)
        ]
        pq.write_table(pa.Table.from_pylist(rows), root / f"{name}-00000-of-00001.parquet", row_group_size=2)
    return root


WRITERS: dict[str, tuple[str, Callable[[Path], Path], int]] = {
    "mmlongbench": ("mmlongbench", mmlongbench, 14),
    "mmlongbench-doc": ("mmlongbench-doc", mmlongbench_doc, 3),
    "longdocurl": ("longdocurl", longdocurl, 2),
    "slidevqa": ("slidevqa", slidevqa, 1),
    "slidevqa-parquet": ("slidevqa", slidevqa_parquet, 5),
    "mm-niah": ("mm-niah", mm_niah, 4),
    "vtcbench": ("vtcbench", vtcbench, 6),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_suite_is_read_and_the_oracle_scores_100(name: str, tmp_path: Path) -> None:
    suite_name, write, count = WRITERS[name]
    suite = open_suite(suite_name, write(tmp_path / "data"))
    assert len(suite.items) == count
    for item in suite.items:
        assert sum(part is None for part in item.parts) == len(item.pages)
        assert all(0 <= page < len(item.pages) for page in item.evidence)
    for compat in (False, True):
        summary = evaluate(suite, oracle(load_pages=True), tmp_path / str(compat), compat=compat).summary
        assert summary["overall"]["score"] == pytest.approx(100)
        assert all(row["score"] == pytest.approx(100) for row in summary["tasks"])


def find(suite: Suite, part: str) -> Item:
    return next(item for item in suite.items if part in item.key)


def test_mmlongbench_is_asked_as_published(tmp_path: Path) -> None:
    suite = open_suite("mmlongbench", mmlongbench(tmp_path))
    item = find(suite, "mmlongdoc_K64/a")
    text = "".join("<P>" if part is None else part for part in item.parts)
    assert text.count("Document docA: <P>\n\n") == 4
    assert text.endswith(
        "Document docB: <P>\n\nQuestion: Based on Document docB, answer the following question. How many?"
    )
    assert (item.length, item.evidence, item.prefill, item.max_tokens) == (65536, (6,), "Answer:", 128)
    assert find(suite, "mmlongdoc_K64/c").answer_format == "None"
    mc = find(suite, "reasoning-image")
    assert (mc.answer, mc.scorer, mc.chance, len(mc.pages)) == ("B", "choice", 0.25, 5)
    assert any("unheard-of" in note for note in suite.notes)
    assert {item.groups["category"] for item in suite.items} == {"DocVQA", "NIAH", "VRAG", "ICL", "Summ"}


def test_many_shot_and_summaries_are_asked_as_published(tmp_path: Path) -> None:
    suite = open_suite("mmlongbench", mmlongbench(tmp_path / "a"))
    shots = find(suite, "food101_K64/meals/0")
    text = "".join("<P>" if part is None else part for part in shots.parts)
    assert re.findall(r"<P>\nlabel: (\d)\n\n", text) in ([*"0101"], [*"1010"], [*"0110"], [*"1001"])
    assert text.endswith("image: <P>")
    assert shots.pages[-1] == "food/x.jpg"
    assert {page[5] for page in shots.pages[:2]} in ({"a", "b"}, {"c", "d"})  # round by round
    assert (shots.answer, shots.prefill, shots.length, shots.chance) == ("1", "label:", 65536, 0.5)
    again = open_suite("mmlongbench", mmlongbench(tmp_path / "b"))
    assert [item.fingerprint() for item in again.items] == [item.fingerprint() for item in suite.items]
    report = find(suite, "gov_K64/7")
    text = "".join("<P>" if part is None else part for part in report.parts)
    assert "Document gao-12345678901 (page 1): <P>\n\nDocument gao-12345678901 (page 2): <P>\n\n" in text
    assert report.answer == "Why:\nOne.\nTwo.\n\nWhat:\nX."
    assert (report.task, report.prefill, report.max_tokens) == ("gov-report", "Summary:", 384)
    assert find(suite, "lexsum_K64/8").task == "multi-lexsum"


def test_a_damaged_many_shot_file_is_named(tmp_path: Path) -> None:
    root = mmlongbench(tmp_path)
    for text in (
        "[",
        "[1]",
        '{"a": {}}',
        '{"a": {"exemplar_list": [], "test_example": [{"image": "x", "answer": 1}]}}',
    ):
        (root / "ICL" / "food101_K64.json").write_text(text)
        with pytest.raises(FormatError, match=r"food101_K64\.json: not of the published form"):
            open_suite("mmlongbench", root)


def test_mmlongbench_compat_leaves_empty_replies_out(tmp_path: Path) -> None:
    suite = open_suite("mmlongbench", mmlongbench(tmp_path / "data") / "documentQA" / "mmlongdoc_K64.jsonl")
    half = {item.key: ("" if item.key.endswith("/a") else item.perfect()) for item in suite.items}
    from mmprolong_trainer.evaluate.backends.scripted import Scripted

    backend = Scripted("half", lambda item: half[item.key])
    ours = evaluate(suite, backend, tmp_path / "ours").summary["overall"]
    theirs = evaluate(suite, backend, tmp_path / "theirs", compat=True).summary["overall"]
    assert ours["score"] == pytest.approx(200 / 3, abs=1e-3)
    assert theirs["score"] == 100
    assert (theirs["n"], theirs["n_empty"]) == (3, 1)


def test_mmlongbench_tsv(tmp_path: Path) -> None:
    mmlongbench(tmp_path / "images")
    pages = json.dumps(["mmlongdoc/docA/docA_0.jpg", "mmlongdoc/docA/docA_1.jpg"])
    extra = json.dumps({"answer_format": "Integer", "answer": "12", "question": "How many?"})
    rows = [
        ["index", "question_id", "question", "answer", "image_path", "task", "source_dataset", "extra_info"],
        ["0", "a", "D docA: <image token>\n\nD docA: <image>\n\nQ", "12", pages, "documentQA", "x", extra],
        ["1", "b", "Look <image token>", "yes", json.dumps(["needle.jpg"]), "NIAH", "vh_single", "{}"],
        ["2", "c", "Sum", "s", json.dumps(["needle.jpg"]), "summ", "gov-report", "{}"],
    ]  # fmt: skip
    import csv

    with (tmp_path / "MMLongBench_256K.tsv").open("w", newline="") as stream:
        csv.writer(stream, delimiter="\t").writerows(rows)
    suite = open_suite("mmlongbench", tmp_path / "MMLongBench_256K.tsv")
    assert [(item.length, item.answer_format, item.scorer) for item in suite.items] == [
        (1 << 18, "Integer", "typed"),
        (1 << 18, "String", "yes-no"),
        (1 << 18, "String", "rouge-lsum"),
    ]
    assert evaluate(suite, oracle(load_pages=True), tmp_path / "out").summary["overall"]["score"] == 100


def test_the_papers_table_stands_beside_ours(tmp_path: Path) -> None:
    suite = open_suite("mmlongbench", mmlongbench(tmp_path / "d"))
    summary = evaluate(suite, constant("12"), tmp_path / "out").summary
    # Its figures are of long-document questions alone: one of three has the answer 12.
    assert summary["run"]["beside"] == {"n": 6, "overall": 33.3333, "256K": None, "512K": None}
    assert summary["overall"]["n"] == 14
    one = open_suite("mmlongbench", tmp_path / "d" / "documentQA" / "mmlongdoc_K64.jsonl")
    assert evaluate(one, constant("12"), tmp_path / "one").summary["run"]["beside"]["overall"] is None
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Beside the paper" in page
    assert "57.70" in page
    assert "19.49" in page


def test_evidence_and_groups_of_document_suites(tmp_path: Path) -> None:
    doc = open_suite("mmlongbench-doc", mmlongbench_doc(tmp_path / "a"))
    assert [item.evidence for item in doc.items] == [(2, 9), (), (10,)]
    assert [item.groups["kind"] for item in doc.items] == ["cross-page", "unanswerable", "one page"]
    assert doc.items[0].pages[9].endswith("page-10.jpg")  # by number, not by letters
    summary = evaluate(doc, oracle(), tmp_path / "o", compat=True).summary
    assert summary["run"]["f1"]["f1"] == pytest.approx(100)
    url = open_suite("longdocurl", longdocurl(tmp_path / "b")).items[0]
    assert (url.evidence, url.pages[2]) == ((2,), "images/4026/4026369_11.png")
    slides = open_suite("slidevqa", slidevqa(tmp_path / "c")).items[0]
    assert (slides.evidence, slides.pages[18]) == ((1, 18), "images/deck/slide-19.jpg")


def test_mm_niah_bins_depths_and_choices(tmp_path: Path) -> None:
    suite = open_suite("mm-niah", mm_niah(tmp_path))
    item = find(suite, "retrieval-text")
    assert (item.length, item.depth) == (8000, pytest.approx(0.4))
    assert find(suite, "reasoning-text").length == 64_000
    assert (find(suite, "reasoning-image").answer, len(find(suite, "reasoning-image").pages)) == ("C", 5)
    assert "B. right" in find(suite, "reasoning-text").question
    chance = evaluate(suite, constant("none"), tmp_path / "o").summary["overall"]["chance"]
    # families: retrieval 0, counting 0, reasoning (1/4 + 1/2) / 2
    assert chance == pytest.approx(100 * 0.375 / 3, abs=1e-3)


@pytest.mark.parametrize("name", [name for name in READERS if name != "probe"])
def test_the_wrong_folder_says_what_is_wanted(name: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(MMProLongError, match="Wanted: "):
        open_suite(name, tmp_path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    root = mmlongbench(tmp_path / "a")
    path = root / "documentQA" / "mmlongdoc_K64.jsonl"
    path.write_text('{"id": 1}\n')
    with pytest.raises(FormatError, match=r"mmlongdoc_K64.jsonl: object 1 lacks question, answer\. Wanted"):
        open_suite("mmlongbench", root)
    path.write_text("{")
    with pytest.raises(FormatError, match="line 1 is not JSON"):
        open_suite("mmlongbench", root)
    root = mmlongbench_doc(tmp_path / "b")
    (root / "pages" / "report").rename(root / "pages" / "other")
    with pytest.raises(FormatError, match=r"no page pictures of the document 'report'.*pdftoppm"):
        open_suite("mmlongbench-doc", root)
    (tmp_path / "c").mkdir()
    pq.write_table(pa.table({"x": [1]}), tmp_path / "c" / "Memory-0.parquet")
    with pytest.raises(FormatError, match="lacks the columns answers, images, problem"):
        open_suite("vtcbench", tmp_path / "c")
    (tmp_path / "c" / "Memory-0.parquet").write_bytes(b"no parquet")
    with pytest.raises(FormatError, match="cannot be read"):
        open_suite("vtcbench", tmp_path / "c")


def test_no_path_in_a_file_leads_out_of_its_folder(tmp_path: Path) -> None:
    picture(tmp_path / "secret.jpg")
    root = mm_niah(tmp_path / "data" / "deep" / "deeper")
    write_lines(
        root / "annotations" / "retrieval-text.jsonl",
        [
            {
                "id": 0, "images_list": ["../../../secret.jpg"], "context": "<image>", "question": "?", "answer": "x",
                "meta": {},
            }
        ],
    )  # fmt: skip
    (root / "annotations" / "counting-image.jsonl").unlink()
    with pytest.raises(FormatError, match="is missing"):
        find(open_suite("mm-niah", root), "retrieval").load()
