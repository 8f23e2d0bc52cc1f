"""``mmprolong verify --qa``: proofs recomputed from the PDFs, wherever they lie."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from mmprolong_builders.qa.prove import prove_dataset
from mmprolong_builders.qa.recheck import candidate_of, recheck_task
from support.builds import SHORT, run
from support.documents import write_corpus, write_report

from mmprolong_data.errors import SettingsError

QUESTIONS = ("--set", "tasks.configs=[extract_single,extract_multi,reasoning]", "--set", "qa.per_document=3")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(dataset, PDFs)."""
    folder = tmp_path_factory.mktemp("prove")
    pdfs = write_corpus(folder / "pdfs", 2)
    run("build", pdfs, "--out", folder / "out", *SHORT, *QUESTIONS, "--no-report", "--format", "both")
    return folder / "out", pdfs


def test_every_answer_follows_again_in_both_containers(built: tuple[Path, Path]) -> None:
    out, pdfs = built
    text = run("verify", "--qa", out).stdout
    assert "answers follow from the PDFs" in text
    assert "proven again" in text
    proven = prove_dataset(Path(f"{out}-wds"), [pdfs], 1)
    assert proven.problems == []
    assert proven.count("ok") == prove_dataset(out, [], 1).count("ok") > 10


def test_pdfs_are_found_by_content(built: tuple[Path, Path], tmp_path: Path) -> None:
    out, pdfs = built
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for number, path in enumerate(sorted(pdfs.glob("*.pdf"))):
        shutil.copy(path, moved / f"renamed-{number}.pdf")
    write_report(moved / "stranger.pdf", pages=5, seed=9)
    assert prove_dataset(out, [moved], 1).problems == []
    (moved / "renamed-0.pdf").unlink()
    proven = prove_dataset(out, [moved], 1)
    assert proven.count("no_pdf") > 0
    assert proven.count("ok") > 0
    assert "was not found" in proven.problems[0]


def test_without_any_pdf_the_remedy_is_named(built: tuple[Path, Path], tmp_path: Path) -> None:
    out, _ = built
    write_report(tmp_path / "stranger.pdf", pages=5, seed=9)
    with pytest.raises(SettingsError, match="--pdfs FOLDER"):
        prove_dataset(out, [tmp_path], 1)
    with pytest.raises(SettingsError, match="--pdfs FOLDER"):
        prove_dataset(Path(f"{out}-wds"), [], 1)
    assert "--qa" in run("verify", out, "--pdfs", tmp_path, code=2).stderr


def records(out: Path) -> list[dict[str, Any]]:
    return [
        row
        for shard in sorted(out.glob("data/*/*.parquet"))
        for row in pq.read_table(shard).drop_columns(["images", "messages"]).to_pylist()
    ]


def test_what_was_changed_is_found(built: tuple[Path, Path]) -> None:
    out, pdfs = built
    rows = records(out)
    settings = json.loads((out / "manifest.json").read_text())["recipe"]["parse"]
    doc_id = rows[0]["doc_id"]
    own = [row for row in rows if row["doc_id"] == doc_id]
    changed = [
        row | {"answer": row["answer"].replace("e", "o") + "1"} for row in own if row["answer_format"] == "String"
    ]
    changed.append(own[0] | {"meta": "{", "id": "broken"})
    paths = {json.loads(row["meta"])["source"]: row["doc_id"] for row in own}
    [name] = paths
    payload = {"path": str(pdfs / name), "doc_id": doc_id, "settings": settings}
    results = recheck_task(payload | {"records": own})["results"]
    assert {result["state"] for result in results} == {"ok"}
    assert len(changed) > 1
    results = recheck_task(payload | {"records": changed})["results"]
    assert {result["state"] for result in results} == {"failed"}
    assert all(result["reason"] for result in results)
    results = recheck_task(payload | {"records": own, "doc_id": "00" * 32})["results"]
    assert {result["state"] for result in results} == {"changed"}


def test_records_give_their_candidates_back(built: tuple[Path, Path]) -> None:
    out, _ = built
    for row in records(out):
        candidate = candidate_of(row)
        assert candidate.family
        assert candidate.proof["operation"]
        assert candidate.scope[0] <= candidate.evidence_pages[0] < candidate.scope[1]
        assert json.loads(row["verification"])["text"] == "pdfium"


def test_rejected_candidates_are_counted_in_the_manifest(built: tuple[Path, Path]) -> None:
    out, _ = built
    manifest = json.loads((out / "manifest.json").read_text())
    assert isinstance(manifest["rejected"], dict)
    assert all(count > 0 for checks in manifest["rejected"].values() for count in checks.values())
