"""The card: valid front matter, numbers of the manifest, tables that render, and code that runs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from mmprolong_builders.card import PURPOSES, render_card
from mmprolong_builders.recipe import Recipe, Tasks
from support.samples import make_sample, write_dataset

from mmprolong_data.manifest import Manifest
from mmprolong_data.schema import CONFIG_NAMES


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    recipe = Recipe()
    made = write_dataset(tmp_path / "mmprolong")
    return replace(
        made,
        recipe=recipe.content(),
        recipe_hash=recipe.hash(),
        tools={"mmprolong": "0.1.0", "pymupdf": "1.28.2"},
        documents={"found": 1241, "used": 1234, "left_out": {"encrypted": 3, "not_pdf": 4}},
        shortfalls={"extract_multi": {"no_candidate": 2}},
    )


def _body(card: str) -> str:
    return card.split("---\n", 2)[2]


def test_the_front_matter_is_yaml_with_every_config(manifest: Manifest) -> None:
    card = render_card(manifest, Recipe(), "mmprolong")
    assert card.startswith("---\n")
    metadata = yaml.safe_load(card.split("---\n", 2)[1])
    assert {entry["config_name"] for entry in metadata["configs"]} == {"extract_single", "extract_multi"}
    assert {info["config_name"] for info in metadata["dataset_info"]} == {"extract_single", "extract_multi"}


def test_the_numbers_are_the_manifests(manifest: Manifest) -> None:
    body = _body(render_card(manifest, Recipe(), "mmprolong"))
    assert "12 samples of 1,234 documents" in body
    row = re.search(r"^\| `extract_single` \| 5 \| 1 \| (\S+) \| (\S+) \| \S+ MB \| one fact", body, re.MULTILINE)
    assert row is not None
    tokens = sum(make_sample(n).num_tokens for n in range(5)) + make_sample(9, pages=2).num_tokens
    assert row[1] == f"{tokens:,}"
    assert row[2] == f"{round(tokens / 6):,}"
    assert "| found | 1,241 |" in body
    assert re.search(r"^\| left out: `encrypted` \(it needs a password\) \| 3 \|$", body, re.MULTILINE)
    assert re.search(r"^\| `extract_multi` \| `no_candidate` \(.+\) \| 2 \|$", body, re.MULTILINE)


def test_tables_have_as_many_cells_in_every_row_and_no_gaps(manifest: Manifest) -> None:
    for container in ("parquet", "webdataset"):
        body = _body(render_card(replace(manifest, container=container), Recipe(), "mmprolong"))
        lines = body.splitlines()
        starts = [i for i, line in enumerate(lines) if re.fullmatch(r"\|(-+:?\|)+", line)]
        assert len(starts) == 3
        for start in starts:
            width = lines[start].count("|")
            assert lines[start - 1].count("|") == width
            rows = 0
            while start + 1 + rows < len(lines) and lines[start + 1 + rows].startswith("|"):
                assert lines[start + 1 + rows].count("|") == width
                rows += 1
            assert rows
        assert "{{" not in body
        assert "{%" not in body
        assert "\n\n\n" not in body


def test_the_code_of_the_card_runs(manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    for container in ("parquet", "webdataset"):
        folder = tmp_path / container / "mmprolong"
        made = replace(write_dataset(folder, container), recipe=manifest.recipe)
        card = render_card(made, Recipe(), "mmprolong")
        (folder / "README.md").write_text(card)
        monkeypatch.chdir(folder.parent)
        code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
        assert code is not None
        names: dict[str, object] = {}
        source = code[1].replace("train-*.tar", "train-00000-of-00002.tar")
        exec(compile(source, "card", "exec"), names)  # noqa: S102 - the card's own example
        pages = names.get("pages") or names["row"]["images"]  # type: ignore[index]
        assert len(pages) == 3  # type: ignore[arg-type]


def test_the_card_follows_the_recipe(manifest: Manifest) -> None:
    with_labels = render_card(manifest, Recipe(), "mmprolong")
    without = render_card(manifest, Recipe(tasks=Tasks(page_labels=False, headers=True)), "mmprolong")
    assert "with `Page N:` before every page" in with_labels
    assert "`Page N:`" not in without
    assert "without running headers" in with_labels
    assert ", with running headers" in without


def test_it_says_the_same_twice_and_names_no_place(manifest: Manifest, tmp_path: Path) -> None:
    first = render_card(manifest, Recipe(), "mmprolong")
    assert first == render_card(manifest, Recipe(), "mmprolong")
    assert str(tmp_path) not in first
    assert first.isascii()


def test_licence_limits_and_source_of_the_recipe_are_named(manifest: Manifest) -> None:
    body = _body(render_card(manifest, Recipe(), "mmprolong"))
    for words in (
        "keep their own licences",
        "personal data",
        "arxiv.org/abs/2605.13831",
        "@misc{",
    ):
        assert words in body


def test_every_config_has_a_purpose() -> None:
    assert tuple(PURPOSES) == CONFIG_NAMES
