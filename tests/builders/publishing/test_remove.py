"""Removal: only the shards concerned change, everything adds up, and an interruption anywhere is survived."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from mmprolong_builders.publishing import remove as module
from mmprolong_builders.publishing.diff import compare
from mmprolong_builders.publishing.remove import finish_removal, remove
from mmprolong_builders.publishing.views import open_folder
from support.builds import run
from support.published import doc_id, folder_files, write_published

from mmprolong_data.errors import FormatError, MMProLongError
from mmprolong_data.manifest import read_manifest
from mmprolong_data.shards import read_shard
from mmprolong_data.verify import verify_dataset


def shards(root: Path) -> dict[str, str]:
    return {path: digest for path, digest in folder_files(root).items() if path.startswith("data/")}


@pytest.mark.parametrize("container", ["parquet", "webdataset"])
def test_only_the_shards_with_the_document_change(tmp_path: Path, container: str) -> None:
    root, before = tmp_path / "a", tmp_path / "before"
    write_published(root, range(6), container)
    shutil.copytree(root, before)
    removal = remove(root, [doc_id(2)], note="asked for by its author")
    assert (removal.parent, removal.version) == ("1.0.0", "1.1.0")
    assert removal.documents == {doc_id(2): "report-2.pdf"}
    assert +removal.samples == {"extract_single": 1, "ocr_full": 1}
    assert (removal.rewritten, removal.dropped, removal.kept) == (2, 0, 4)
    assert verify_dataset(root) == []
    changed = {path for path, digest in shards(root).items() if shards(before)[path] != digest}
    extension = "parquet" if container == "parquet" else "tar"
    assert changed == {f"data/{config}/train-00001-of-00003.{extension}" for config in ("extract_single", "ocr_full")}
    found = compare(open_folder(before), open_folder(root))
    assert found.documents_removed == {doc_id(2): "report-2.pdf"}
    assert not found.changed
    assert not found.rebuilt
    rows = {row["doc_id"]: row for row in pq.read_table(root / "index/documents.parquet").to_pylist()}
    assert rows[doc_id(2)]["reason"] == "removed"
    assert rows[doc_id(2)]["name"] == rows[doc_id(2)]["producer"] == ""
    assert b"report-2.pdf" not in b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    manifest = read_manifest(root)
    assert manifest.documents == {"found": 7, "used": 5, "left_out": {"not_pdf": 1, "removed": 1}}
    assert manifest.changelog[0]["note"] == "asked for by its author"
    card = (root / "README.md").read_text()
    assert "documents: 1 removed" in card
    assert "| left out: `removed`" in card


def test_a_shard_that_loses_everything_goes_and_the_others_are_renumbered(tmp_path: Path) -> None:
    root = tmp_path / "a"
    write_published(root, range(6))
    before = shards(root)
    removal = remove(root, [doc_id(0), doc_id(1)[:12]])
    assert (removal.rewritten, removal.dropped, removal.kept) == (0, 2, 4)
    assert verify_dataset(root) == []
    assert sorted(shards(root).values()) == sorted(
        digest for path, digest in before.items() if "train-00000-of" not in path
    )
    assert all("-of-00002." in path for path in shards(root))


def test_what_may_show_the_document_is_deleted(tmp_path: Path) -> None:
    root = tmp_path / "a"
    write_published(root)
    for name in (".work/x/parse/00000.msgpack", "report/index.html", "assets/tokens.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("of the document")
    (root / "sources.csv").write_text(f"doc_id,license,source,title\n{doc_id(0)},x,y,z\n{doc_id(1)},x,y,z\n")
    remove(root, [doc_id(0)])
    assert not (root / ".work").exists()
    assert not (root / "report").exists()
    assert not (root / "assets").exists()
    assert doc_id(0) not in (root / "sources.csv").read_text()
    assert doc_id(1) in (root / "sources.csv").read_text()


def test_shortfalls_lose_the_documents_share(tmp_path: Path) -> None:
    from dataclasses import replace

    from mmprolong_data.manifest import write_manifest

    root = tmp_path / "a"
    made = write_published(root)
    write_manifest(root, replace(made, shortfalls={"reasoning": {"no_candidate": 2}}))
    pack = root / ".work" / "hash" / "pack"
    pack.mkdir(parents=True)
    (pack / "00000.json").write_text(json.dumps({"shortfalls": {doc_id(0): {"reasoning": "no_candidate"}}}))
    remove(root, [doc_id(0)])
    assert read_manifest(root).shortfalls == {"reasoning": {"no_candidate": 1}}


class Interrupted(Exception):
    """Stands for a kill."""


def test_an_interruption_anywhere_leaves_the_old_dataset_or_leads_to_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, expected = tmp_path / "made", tmp_path / "expected"
    write_published(made, range(3), per_shard=1)
    shutil.copytree(made, expected)
    remove(expected, [doc_id(1)])
    old, new = folder_files(made), folder_files(expected)
    replace = Path.replace
    outcomes = []
    for step in range(100):  # every rename: tables, manifest, journal, then the moves
        root = tmp_path / f"step-{step}"
        shutil.copytree(made, root)
        left = step

        def interrupted(self: Path, target: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Interrupted
            return replace(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", interrupted)
            try:
                remove(root, [doc_id(1)])
                break
            except Interrupted:
                pass
        decided = (root / ".remove" / "journal.json").exists()
        outcomes.append(decided)
        if decided:
            assert finish_removal(root)
        else:
            assert folder_files(root) == old
            remove(root, [doc_id(1)])
        assert folder_files(root) == new
        assert not (root / ".remove").exists()
    assert verify_dataset(expected) == []
    assert outcomes == sorted(outcomes)
    assert outcomes.count(False) > 3
    assert outcomes.count(True) > 5


def test_the_command_says_what_left_and_survives_being_called_again(tmp_path: Path) -> None:
    root = tmp_path / "a"
    write_published(root)
    shown = run("remove", root, "--doc", doc_id(3)).stdout
    assert doc_id(3) in shown
    assert "1.0.0 -> 1.1.0" in shown
    assert "ocr_full: 1 samples" in shown
    again = run("remove", root, "--doc", doc_id(3), code=1)
    assert "no document of that SHA-256" in again.stderr


def test_wrong_calls_change_nothing(tmp_path: Path) -> None:
    root = tmp_path / "a"
    write_published(root, range(2))
    before = folder_files(root)
    for wanted, words in (
        (["f" * 64], "no document"),
        (["abc"], "at least its first 12 digits"),
        ([doc_id(0), "0" * 12], "no document"),
        ([doc_id(0), doc_id(1)], "nothing would be left"),
    ):
        with pytest.raises(MMProLongError, match=words):
            remove(root, wanted)
    with pytest.raises(MMProLongError, match=r"not later than 1\.0\.0"):
        remove(root, [doc_id(0)], version="1.0.0")
    assert folder_files(root) == before


def test_a_damaged_shard_stops_it_before_anything_changes(tmp_path: Path) -> None:
    root = tmp_path / "a"
    write_published(root)
    shard = root / "data/ocr_full/train-00000-of-00003.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    before = folder_files(root)
    with pytest.raises(FormatError, match="damaged"):
        remove(root, [doc_id(0)])
    assert folder_files(root) == before


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "data/../../outside"])
def test_a_journal_from_elsewhere_cannot_reach_out(tmp_path: Path, path: str) -> None:
    root = tmp_path / "a"
    write_published(root)
    (tmp_path / "outside").write_text("precious")
    (root / ".remove").mkdir()
    (root / ".remove" / "journal.json").write_text(json.dumps({"moves": [], "deletes": [path]}))
    with pytest.raises(FormatError, match="journal"):
        finish_removal(root)
    assert (tmp_path / "outside").read_text() == "precious"
    assert list(samples_of(root))


def samples_of(root: Path) -> list[str]:
    return [sample.id for path in sorted(root.glob("data/*/*")) for sample in read_shard(path)]


def test_the_module_lists_every_folder_that_may_show_a_document() -> None:
    assert set(module.STALE) >= {".work", "report", "assets"}
