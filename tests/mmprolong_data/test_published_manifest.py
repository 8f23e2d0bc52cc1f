"""Parent version and changelog in the manifest; the version that a sample keeps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.samples import make_sample, write_dataset

from mmprolong_data.errors import FormatError
from mmprolong_data.manifest import MANIFEST_NAME, manifest_bytes, read_manifest, write_manifest
from mmprolong_data.verify import verify_dataset

CHANGE: dict[str, Any] = {
    "version": "1.1.0", "parent": "1.0.0", "level": "content", "note": "",
    "documents": {"added": 1}, "samples": {"added": 2},
}  # fmt: skip
TASK = {"task": "questions", "model": "m", "served_as": ["m-1"], "prompts": ["rules/1"], "replies": 3}
MODELS = {"tasks": [TASK], "candidates": {"reasoning": {"made": 3, "accepted": 1}}}


def test_a_manifest_from_before_has_no_parent_and_no_changelog(tmp_path: Path) -> None:
    manifest = write_dataset(tmp_path)
    value = json.loads((tmp_path / MANIFEST_NAME).read_bytes())
    del value["parent_version"], value["changelog"], value["models"]
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(value))
    assert read_manifest(tmp_path) == manifest
    assert (manifest.parent_version, manifest.changelog) == ("", [])


def test_both_are_kept(tmp_path: Path) -> None:
    manifest = replace(write_dataset(tmp_path), dataset_version="1.1.0", parent_version="1.0.0", changelog=[CHANGE])
    manifest = replace(manifest, models=MODELS)
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert (tmp_path / MANIFEST_NAME).read_bytes() == manifest_bytes(manifest)


@pytest.mark.parametrize(
    "changed",
    [
        {"changelog": "text"},
        {"changelog": [1]},
        {"changelog": [{"version": "1.0.0"}]},
        {"changelog": [CHANGE | {"documents": {"added": -1}}]},
        {"changelog": [CHANGE | {"samples": {"added": "many"}}]},
        {"parent_version": 1},
        {"models": []},
        {"models": {"tasks": []}},
        {"models": MODELS | {"tasks": [1]}},
        {"models": MODELS | {"tasks": [{"task": "questions"}]}},
        {"models": MODELS | {"tasks": [TASK | {"served_as": [1]}]}},
        {"models": MODELS | {"candidates": {"reasoning": {"made": 3}}}},
    ],
)
def test_damaged_ones_are_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    write_dataset(tmp_path)
    value = json.loads((tmp_path / MANIFEST_NAME).read_bytes()) | changed
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(value))
    with pytest.raises(FormatError, match=next(iter(changed))):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("dataset", "sample", "fine"),
    [("1.0.0", "1.0.0", True), ("1.10.0", "1.9.0", True), ("1.9.0", "1.10.0", False), ("1.0.0", "one", False)],
)
def test_a_sample_may_be_older_than_its_dataset_but_not_newer(
    tmp_path: Path, dataset: str, sample: str, fine: bool
) -> None:
    shards = {("extract_single", "train"): [[make_sample(0, version=sample)]]}
    write_manifest(tmp_path, replace(write_dataset(tmp_path, shards=shards), dataset_version=dataset))
    assert (verify_dataset(tmp_path) == []) == fine


def test_a_version_that_is_none_is_a_problem(tmp_path: Path) -> None:
    write_manifest(tmp_path, replace(write_dataset(tmp_path), parent_version="one"))
    assert verify_dataset(tmp_path) == ["manifest.json: version 'one': must be X.Y.Z, three numbers such as 1.2.0"]
