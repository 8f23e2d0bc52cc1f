"""Filters, near-duplicates and contamination: on documents of known content, and in whole builds."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from mmprolong_builders.benchmarks import BenchmarkIndex, page_signature
from mmprolong_builders.dedup import Entry, count_repeated, find_clusters
from mmprolong_builders.recipe import Recipe, Sandbox
from mmprolong_builders.sandbox import SandboxPool
from mmprolong_builders.signatures import minhash, page_digest, shingles, signature, similarity, words_of
from reportlab.pdfgen.canvas import Canvas
from support.builds import SHORT, content, run
from support.documents import write_report

from mmprolong_data.errors import FormatError
from mmprolong_data.settings import load_settings

WORDS = [f"{first}{second}" for first in ("ba", "do", "ke", "lu", "mi", "so") for second in ("n", "r", "st", "l", "m")]


def prose(seed: int, count: int = 3000) -> list[str]:
    chance = random.Random(seed)
    return chance.choices(WORDS, k=count)


def entry(name: str, words: list[str], pages: bytes = b"") -> Entry:
    parts = shingles(words)
    return Entry(name * 64, name, signature(minhash(parts)), len(parts), pages)


def write_text(path: Path, pages: list[list[str]], fields: int = 0) -> Path:
    """A PDF of the given words, with ``fields`` text fields a page."""
    canvas = Canvas(str(path), invariant=1)
    for number, words in enumerate(pages):
        for line in range(0, len(words), 9):
            canvas.drawString(60, 800 - 13 * (line // 9), " ".join(words[line : line + 9]))
        for i in range(fields):
            canvas.acroForm.textfield(name=f"f{number}-{i}", x=60, y=40 + 25 * i, width=200, height=20)
        canvas.showPage()
    canvas.save()
    return path


def saved_again(source: Path, target: Path) -> Path:
    """The same pages in other bytes, as another program would save them."""
    code = (
        "import pymupdf, sys\n"
        "with pymupdf.open(sys.argv[1]) as pdf:\n"
        "    pdf.set_metadata({'producer': 'another one'})\n"
        "    pdf.save(sys.argv[2], garbage=4, deflate=True, clean=True)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(source), str(target)], check=True)
    assert source.read_bytes() != target.read_bytes()
    return target


def fates(out: Path) -> dict[str, tuple[str, str]]:
    rows = pq.read_table(out / "index" / "documents.parquet").to_pylist()
    return {row["name"]: (row["reason"], row["detail"]) for row in rows}


def test_minhash_estimates_the_similarity_of_the_shingles() -> None:
    base = prose(1)
    for changed in (0, 30, 150, 600):
        other = list(base)
        for i in range(changed):
            other[i * len(base) // max(changed, 1)] = "changed"
        one, two = shingles(base), shingles(other)
        exact = len(one & two) / len(one | two)
        assert similarity(signature(minhash(one)), signature(minhash(two))) == pytest.approx(exact, abs=0.13)


def test_signatures_are_the_same_in_every_process() -> None:
    code = (
        "from mmprolong_builders.signatures import *\n"
        "print(minhash(shingles(words_of('The tidal gauge near Aldermoor was calibrated twice.'))).hex()[:48])"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, env=env).stdout.decode()[:48]
        for env in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"})
    }
    assert outputs == {minhash(shingles(words_of("THE tidal gauge, near Aldermoor was calibrated TWICE"))).hex()[:48]}


def test_chinese_characters_are_words() -> None:
    assert words_of("长文档 VLM训练, 2026") == ["长", "文", "档", "vlm", "训", "练", "2026"]


def test_the_longest_of_a_cluster_is_kept_and_order_does_not_matter() -> None:
    base = prose(2)
    entries = [
        entry("a", base[:2900]),
        entry("b", base),
        entry("c", base[60:]),
        entry("d", prose(3)),
        entry("e", prose(3)[:2950]),
        entry("f", prose(4)),
    ]
    expected = find_clusters(entries, 0.8)
    assert [(c.name, sorted(name for _, name, _ in c.others)) for c in expected] == [("b", ["a", "c"]), ("d", ["e"])]
    for order in itertools.islice(itertools.permutations(entries), 0, 720, 97):
        assert find_clusters(list(order), 0.8) == expected


def test_everyone_left_out_is_similar_to_one_that_is_kept() -> None:
    """A chain of documents of which neighbours are similar, but not the ends."""
    base = prose(5, 9000)
    chain = [entry(chr(97 + i), base[300 * i : 300 * i + 4000]) for i in range(12)]
    by_id = {item.doc_id: item for item in chain}
    clusters = find_clusters(chain, 0.8)
    out = {doc_id for cluster in clusters for doc_id, _, _ in cluster.others}
    assert clusters
    for cluster in clusters:
        assert cluster.kept not in out
        for doc_id, _, score in cluster.others:
            one, other = by_id[cluster.kept].signature, by_id[doc_id].signature
            assert one is not None
            assert other is not None
            assert similarity(one, other) == score >= 0.8


def test_repeated_pages_are_counted_across_documents_only() -> None:
    cover, licence = page_digest(["cover"] * 30), page_digest(["licence"] * 30)
    own = [page_digest([str(i)] * 30) for i in range(9)]
    entries = [
        entry("a", prose(1), cover + own[0] + own[1] + licence),
        entry("b", prose(2), cover + own[2] + own[2] + bytes(8)),  # a page twice in one document repeats nowhere
        entry("c", prose(3), licence + licence + own[3] + bytes(8)),
    ]
    repeated = count_repeated(entries)
    assert (repeated.texts, repeated.pages) == (2, 5)
    assert repeated.shares == {"a" * 64: 0.5, "b" * 64: 0.25, "c" * 64: 0.5}


def test_a_build_leaves_out_near_duplicates_and_says_of_what(tmp_path: Path) -> None:
    folder = tmp_path / "pdfs"
    folder.mkdir()
    write_report(folder / "first.pdf", 10, seed=1)
    saved_again(folder / "first.pdf", folder / "again.pdf")
    write_report(folder / "other.pdf", 10, seed=2)
    out = tmp_path / "mmprolong"
    arguments = ("build", folder, "--out", out, "--workers", 1, *SHORT)
    done = run(*arguments, "--set", "dedup.near=true")
    found = fates(out)
    left = {name for name, (reason, _) in found.items() if reason == "near_duplicate"}
    assert len(left) == 1
    assert left < {"first.pdf", "again.pdf"}
    kept = ({"first.pdf", "again.pdf"} - left).pop()
    assert f"similarity 1.00 to {kept}" in found[left.pop()][1]
    assert "1 near-duplicates of 1 documents" in done.stderr
    report = json.loads(next(out.glob(".work/*/near-duplicates.json")).read_text())
    assert [cluster["name"] for cluster in report["clusters"]] == [kept]
    run("build", folder, "--out", tmp_path / "without", "--workers", 1, *SHORT)
    assert not any(reason for reason, _ in fates(tmp_path / "without").values())


@pytest.mark.corpus
def test_the_same_paper_twice_is_caught_and_a_translation_is_not(corpus: Path, tmp_path: Path) -> None:
    names = [p for p in sorted(corpus.glob("*.pdf")) if p.name.startswith(("aip-", "struktex"))]
    assert sum(path.name.startswith("aip-") for path in names) == 2
    out = tmp_path / "mmprolong"
    settings = ("--set", "dedup.near=true", "--set", "select.pages=[1,200]")
    done = run("build", *names, "--out", out, "--workers", 1, "--dry-run", *settings)
    assert "near_duplicate" in done.stdout
    report = json.loads(next(out.glob(".work/*/near-duplicates.json")).read_text())
    (cluster,) = report["clusters"]
    assert {cluster["name"], *(name for _, name, _ in cluster["others"])} == {"aip-5f6c.pdf", "aip-aa8a.pdf"}


def test_filters_have_their_reasons_and_are_off_by_default(tmp_path: Path) -> None:
    folder = tmp_path / "pdfs"
    folder.mkdir()
    write_report(folder / "good.pdf", 8, seed=1)
    write_text(folder / "thin.pdf", [prose(i, 6) for i in range(8)])
    write_text(folder / "blank.pdf", [prose(i, 400) if i % 2 else [] for i in range(8)])
    write_text(folder / "spam.pdf", [[*prose(i, 300), *["casino"] * 20] for i in range(8)])
    write_text(folder / "form.pdf", [prose(20 + i, 300) for i in range(8)], fields=6)
    shared = [prose(40 + i, 300) for i in range(7)]
    write_text(folder / "one.pdf", [*shared, prose(60, 300)])
    write_text(folder / "two.pdf", [*shared[:5], *[prose(70 + i, 300) for i in range(7)]])
    out = tmp_path / "mmprolong"
    filters = {
        "min_words": 50, "max_blank": 0.2, "max_spam": 0.01, "max_forms": 0.5, "max_repeated": 0.5,
        "languages": "[en, und]",
    }  # fmt: skip
    settings = [word for key, value in filters.items() for word in ("--set", f"filters.{key}={value}")]
    run("build", folder, "--out", out, "--workers", 1, *SHORT, *settings)
    reasons = {name: reason for name, (reason, _) in fates(out).items()}
    expected = {"thin.pdf": "thin_text", "blank.pdf": "blank_pages", "spam.pdf": "spam", "form.pdf": "form"}
    assert {name: reasons[name] for name in expected} == expected
    assert reasons["one.pdf"] == "repeated_pages"  # five pages of eight; of two.pdf, five of twelve
    assert reasons["two.pdf"] != "repeated_pages"
    assert reasons["good.pdf"] == ""
    run("build", folder, "--out", tmp_path / "all", "--workers", 1, *SHORT)
    assert not set(reasons.values()) & {reason for reason, _ in fates(tmp_path / "all").values()} - {"", "no_sample"}
    run("build", folder, "--out", tmp_path / "fr", "--workers", 1, *SHORT, "--set", "filters.languages=[fr]", code=1)


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark: three PDFs of which one is damaged, a picture of a page, and questions."""
    import pymupdf

    folder = tmp_path_factory.mktemp("bench") / "LongDocBench"
    (folder / "documents").mkdir(parents=True)
    write_report(folder / "documents" / "exam.pdf", 8, seed=101)
    write_report(folder / "documents" / "cut.pdf", 10, seed=102)
    (folder / "documents" / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing")
    write_text(folder / "scan-source", [prose(300 + i, 300) for i in range(8)])
    with pymupdf.open(folder / "scan-source", filetype="pdf") as pdf:
        pdf[3].get_pixmap(dpi=110).save(folder / "page.png")
    (folder / "scan-source").unlink()
    rows = [{"question": "Which of the eight inspected reservoirs lost most of its water during the summer of 1987?"}]
    rows += [{"question": "How many?", "answer": "7"}]
    (folder / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture(scope="module")
def suspects(benchmark: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents that contain the benchmark in every way, and one that does not."""
    import pymupdf

    folder = tmp_path_factory.mktemp("suspects")
    (folder / "same.pdf").write_bytes((benchmark / "documents" / "exam.pdf").read_bytes())
    cut = folder / "with-pages.pdf"
    write_report(folder / "body", 9, seed=104)
    with pymupdf.open(folder / "body", filetype="pdf") as pdf, pymupdf.open(benchmark / "documents" / "cut.pdf") as own:
        pdf.insert_pdf(own, from_page=4, to_page=5, start_at=3)
        pdf.save(cut)
    (folder / "body").unlink()
    write_text(folder / "scanned.pdf", [prose(300 + i, 300) for i in range(8)])
    question = "which of the eight inspected reservoirs lost most of its water during the summer of 1987"
    pages = [prose(200 + i, 300) for i in range(8)]
    pages[5] += question.split()
    write_text(folder / "quotes.pdf", pages)
    write_report(folder / "clean.pdf", 9, seed=105)  # in looks as the benchmark's reports, with text of its own
    return folder


def test_the_command_finds_equal_files_pages_pictures_and_questions(benchmark: Path, suspects: Path) -> None:
    done = run("decontaminate", suspects, "--against", benchmark, "--workers", 1, "--json", code=1)
    found = {Path(row["name"]).name: row["detail"] for row in map(json.loads, done.stdout.splitlines())}
    assert set(found) == {"same.pdf", "with-pages.pdf", "scanned.pdf", "quotes.pdf"}
    assert "same file" in found["same.pdf"]
    assert found["with-pages.pdf"].startswith("2 pages as in LongDocBench, the first one page 4 (by its text)")
    assert "page 4 (by its picture)" in found["scanned.pdf"]
    assert "question" in found["quotes.pdf"]
    assert "broken.pdf cannot be compared with" in done.stderr
    assert "5 looked at, 4 contaminated" in done.stderr
    run("decontaminate", suspects / "clean.pdf", "--against", benchmark, "--workers", 1)


def test_a_build_leaves_them_out_before_it_makes_anything_and_the_card_says_so(
    benchmark: Path, suspects: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mmprolong"
    against = ("--set", f"decontaminate.against=[{benchmark}]")
    arguments = ("build", suspects, "--out", out, "--workers", 1, *SHORT, "--set", "pack.documents_per_slice=1")
    run(*arguments, *against)
    reasons = {name: reason for name, (reason, _) in fates(out).items()}
    assert reasons == dict.fromkeys(("same.pdf", "with-pages.pdf", "scanned.pdf", "quotes.pdf"), "contaminated") | {
        "clean.pdf": ""
    }
    manifest = json.loads((out / "manifest.json").read_bytes())
    (told,) = manifest["documents"]["decontaminated_against"]
    assert told == {"name": "LongDocBench", "pdfs": 2, "images": 1, "questions": 2, "unreadable": 1}
    card = (out / "README.md").read_text()
    assert "Decontaminated against LongDocBench (2 PDFs, 1 page images, 2 questions)" in card
    assert str(benchmark.parent) not in card + json.dumps(manifest)
    run("verify", out)
    again = tmp_path / "parts"
    for part in ("1/2", "0/2"):
        run("build", suspects, "--out", again, *arguments[4:], *against, "--part", part)
    run("build", "--finish", "--out", again, "--no-report")
    assert content(again) == content(out)

    # A dataset that exists already: the pages of clean.pdf as a benchmark of pictures alone.
    import pymupdf

    bench = tmp_path / "pictures"
    bench.mkdir()
    with pymupdf.open(suspects / "clean.pdf") as pdf:
        pdf[2].get_pixmap(dpi=200).save(bench / "page.jpg")
    done = run("decontaminate", out, "--against", bench, "--workers", 1, code=1)
    assert "5 looked at, 5 contaminated" in done.stderr
    assert "(by its picture)" in done.stdout
    run("decontaminate", out, "--against", benchmark / "questions.jsonl", "--workers", 1)

    more = tmp_path / "LongDocBench"
    more.mkdir()
    (more / "questions.jsonl").write_text(json.dumps({"question": "another question of eight words or even some more"}))
    other = run(*arguments, "--set", f"decontaminate.against=[{more}]", code=1)
    assert "other benchmarks" in other.stderr or "hold other files" in other.stderr or "removed" in other.stderr


def test_a_question_of_a_benchmark_is_not_asked(tmp_path: Path) -> None:
    folder = tmp_path / "pdfs"
    folder.mkdir()
    write_report(folder / "report.pdf", 9, seed=7)
    out = tmp_path / "plain"
    run("build", folder, "--out", out, "--workers", 1, *SHORT)
    shard = next(out.glob("data/extract_single/*.parquet"))
    question = pq.read_table(shard, columns=["question"])["question"][0].as_py()
    bench = tmp_path / "bench"
    bench.mkdir()
    (bench / "q.jsonl").write_text(json.dumps({"question": question, "answer": "any"}))
    found = run("decontaminate", out, "--against", bench, "--workers", 1, code=1)
    assert "extract_single" in found.stdout
    cleaned = tmp_path / "cleaned"
    run("build", folder, "--out", cleaned, "--workers", 1, *SHORT, "--set", f"decontaminate.against=[{bench}]")
    manifest = json.loads((cleaned / "manifest.json").read_bytes())
    assert manifest["shortfalls"]["extract_single"] == {"benchmark": 1}
    run("decontaminate", cleaned, "--against", bench, "--workers", 1)


@pytest.mark.parametrize(
    ("files", "message"),
    [({}, "nothing to compare"), ({"a.jsonl": "{not json"}, "not JSON"), ({"notes.txt": "x"}, "nothing to compare")],
)
def test_what_is_no_benchmark(files: dict[str, str], message: str, suspects: Path, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert message in run("decontaminate", suspects, "--against", tmp_path, "--workers", 1, code=2).stderr
    assert "no such benchmark" in run("decontaminate", suspects, "--against", tmp_path / "none", code=2).stderr


def test_index_survives_the_disk_and_damage_is_named(tmp_path: Path) -> None:
    index = BenchmarkIndex(0.8, 32, 1)
    words = prose(9, 200)
    index.add_pages("bench", "a" * 64, [page_signature(words)], [bytes(range(32))])
    path = index.write(tmp_path)
    read = BenchmarkIndex.read(path)
    assert read.find("a" * 64, [], []) == "the same file as one of bench"
    assert "by its text" in read.find("b" * 64, [words[:195]], [])
    near = np.frombuffer(bytes(range(32)), np.uint8).copy()
    near[:4] ^= 255
    assert "by its picture" in read.find("b" * 64, [[]], [near.tobytes()])
    near[4] ^= 1
    assert read.find("b" * 64, [[]], [near.tobytes()]) == ""
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FormatError, match="damaged"):
        BenchmarkIndex.read(path)


def test_a_picture_that_is_none_is_reported(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(b"\x89PNG nothing")
    with SandboxPool(1, Sandbox()) as pool:
        outcome = pool.call("survey_picture", {"path": str(tmp_path / "page.png")})
    assert outcome.reason == "damaged"
    assert load_settings(Recipe).decontaminate.against == []
