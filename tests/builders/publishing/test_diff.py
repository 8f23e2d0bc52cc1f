"""Differences: found from indexes and texts alone, whatever the container."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mmprolong_builders.publishing.diff import compare
from mmprolong_builders.publishing.views import DatasetView, open_folder, open_view
from mmprolong_builders.recipe import QA, Recipe
from support.builds import run
from support.published import doc_id, write_published
from support.samples import document_pages

from mmprolong_data.errors import FormatError


def test_a_dataset_does_not_differ_from_itself_nor_from_its_other_container(tmp_path: Path) -> None:
    write_published(tmp_path / "a")
    write_published(tmp_path / "b", per_shard=3)
    write_published(tmp_path / "t", container="webdataset")
    a = open_folder(tmp_path / "a")
    assert compare(a, a).level == "none"
    assert compare(a, open_folder(tmp_path / "b")).level == "none"
    across = compare(a, open_folder(tmp_path / "t"))
    assert across.schema == ["container: parquet -> webdataset"]
    assert not across.changed


@pytest.mark.parametrize("container", ["parquet", "webdataset"])
def test_everything_that_changed_is_found_and_nothing_else(tmp_path: Path, container: str) -> None:
    write_published(tmp_path / "old", range(6), container)
    write_published(
        tmp_path / "new", [0, 1, 2, 3, 4, 7], container, per_shard=4, version="1.10.0",
        changed={
            1: {"answer": "another"},
            2: {"images": document_pages(99)},
            3: {"images": document_pages(98), "question": "A much longer question than the one before it?"},
        },
        recipe=Recipe(qa=QA(per_document=2)),
    )  # fmt: skip
    found = compare(open_folder(tmp_path / "old"), open_folder(tmp_path / "new"))
    assert found.documents_added == {doc_id(7): "report-7.pdf"}
    assert found.documents_removed == {doc_id(5): "report-5.pdf"}
    assert dict(found.samples_added) == dict(found.samples_removed) == {"extract_single": 1, "ocr_full": 1}
    assert {change.doc_id: set(change.fields) for change in found.changed} == {
        doc_id(1): {"version", "answer"},
        doc_id(2): {"version", "images"},
        doc_id(3): {"version", "images", "question"},
    }
    assert found.answers_changed() == 1
    assert found.rebuilt == 7  # 5 of ocr_full, 2 of extract_single
    assert found.settings == ["recipe: qa.per_document: 1 -> 2"]
    assert found.level == "content"


def test_a_config_that_is_gone_is_a_change_of_schema(tmp_path: Path) -> None:
    write_published(tmp_path / "old")
    write_published(tmp_path / "new", configs=("extract_single",))
    assert compare(open_folder(tmp_path / "old"), open_folder(tmp_path / "new")).schema == ["config ocr_full: removed"]
    assert compare(open_folder(tmp_path / "new"), open_folder(tmp_path / "old")).level == "content"


@pytest.mark.parametrize("container", ["parquet", "webdataset"])
def test_only_records_that_differ_are_read(tmp_path: Path, container: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_published(tmp_path / "old", container=container)
    write_published(tmp_path / "new", container=container, changed={3: {"answer": "another"}})
    read: list[str] = []
    records = DatasetView.records

    def counted(self: DatasetView, shard: str, rows: list[object]) -> object:
        read.extend(row.key for row in rows)  # type: ignore[attr-defined]
        return records(self, shard, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(DatasetView, "records", counted)
    assert len(compare(open_folder(tmp_path / "old"), open_folder(tmp_path / "new")).changed) == 1
    assert len(read) == 2


def test_the_command_prints_and_gives_json(tmp_path: Path) -> None:
    write_published(tmp_path / "old")
    write_published(tmp_path / "new", range(6))
    shown = run("diff", tmp_path / "old", tmp_path / "new").stdout
    assert "report-5.pdf" in shown
    assert "A change of content" in shown
    done = run("diff", tmp_path / "old", tmp_path / "new", "--json", "--exit-code", code=3)
    value = json.loads(done.stdout)
    assert value["version"]["next"] == "1.1.0"
    assert value["documents_added"] == {doc_id(5): "report-5.pdf"}


def test_what_is_no_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"ORG/NAME@v1\.0\.0"):
        open_view("nowhere")
    with pytest.raises(FormatError, match=r"manifest\.json is missing"):
        _ = open_view(str(tmp_path)).manifest
