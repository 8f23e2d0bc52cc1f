"""The recipe: its defaults are the paper's, mistakes are named, the printed form reads back."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from mmprolong_builders.recipe import Recipe
from mmprolong_builders.recipe_text import recipe_yaml

from mmprolong_data.errors import SettingsError
from mmprolong_data.settings import load_settings


def load(*overrides: str) -> Recipe:
    recipe = load_settings(Recipe, None, list(overrides))
    recipe.validate()
    return recipe


def test_defaults_are_the_papers() -> None:
    recipe = load()
    assert recipe.page_range() == (32, 50)
    assert recipe.select.max_tokens == 131_072
    assert recipe.render.dpi == 144
    assert recipe.segments.pages == [8, 15]
    assert recipe.tasks.needle_pages == [1, 3]
    assert recipe.select.mixture == {"extract_single": 0.4, "extract_multi": 0.4, "reasoning": 0.2}


def test_long_biased_changes_the_range_and_pages_override_it() -> None:
    assert load("select.distribution=long_biased").page_range() == (50, 100)
    assert load("select.distribution=long_biased", "select.pages=[8, 60]").page_range() == (8, 60)


def test_hash_ignores_the_sandbox_and_nothing_else() -> None:
    base = load().hash()
    assert load("sandbox.timeout=5").hash() == base
    assert load("seed=1").hash() != base
    assert load("render.dpi=120").hash() != base


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("selct.pages=[1,2]", "did you mean select"),
        ("select.page=[1,2]", "did you mean select.pages"),
        ("select.pages=8", "select.pages = 8"),
        ("select.pages=[50,32]", "least <= most"),
        ("select.pages=[8]", "two numbers"),
        ("select.distribution=short", "pool_native, long_biased"),
        ("render.dpi=high", "render.dpi = 'high'"),
        ("render.dpi=true", "render.dpi = True"),
        ("render.dpi=9000", "from 36 to 600"),
        ("tasks.configs=[ocr_half]", "ocr_full"),
        ("tasks.configs=[]", "tasks.configs"),
        ("select.mixture={reasoning: 0}", "not all zero"),
        ("version=1.0.x", "X.Y.Z"),
        ("render", "section.key=value"),
        ("seed.x=1", "seed"),
        ("select=3", "section"),
        ("select.pages=[8,", "not valid YAML"),
    ],
)
def test_mistakes_are_named(override: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(override)
    assert words in str(caught.value)


def test_file_then_overrides(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("seed: 3\nrender: {dpi: 100, quality: 70}\n", encoding="utf-8")
    recipe = load_settings(Recipe, path, ["render.dpi=110"])
    assert (recipe.seed, recipe.render.dpi, recipe.render.quality) == (3, 110, 70)


@pytest.mark.parametrize("content", [b"seed: [", b"- 1\n- 2\n", b"\xff\xfe\x00"])
def test_bad_files_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"bad\.yaml"):
        load_settings(Recipe, path)
    with pytest.raises(SettingsError, match=r"absent\.yaml"):
        load_settings(Recipe, tmp_path / "absent.yaml")


def test_printed_recipe_reads_back_and_explains_every_setting(tmp_path: Path) -> None:
    recipe = load("seed=7", "select.pages=[8,50]")
    text = recipe_yaml(recipe)
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_settings(Recipe, path) == recipe
    lines = text.splitlines()
    for i, line in enumerate(lines):
        if line and not line.lstrip().startswith("#"):
            assert lines[i - 1].lstrip().startswith("# "), f"no explanation above {line!r}"
    assert set(yaml.safe_load(text)) == set(Recipe.__dataclass_fields__)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("select:\n  pages: [8, 50]\nrender:\n  dpi: 110\nselect: {}\n", "'select' stands here for the second time"),
        ("select:\n  pages: [8, 50]\n  pages: [9, 10]\n", "'pages' stands here for the second time"),
        ("select:\n  pagess: [8, 50]\n", "did you mean select.pages"),
        ("render:\n  dpi: high\n", "must be of type int"),
        ("[" * 20_000, "not valid YAML"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_the_file(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(Recipe, path, ["seed=3"])
    assert words in str(caught.value)
    assert "mine.yaml" in str(caught.value)
