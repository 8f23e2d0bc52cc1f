"""The table of endpoints in the documentation: every row's settings are ones that a recipe takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from mmprolong_builders.recipe import Recipe
from mmprolong_builders.recipe_text import recipe_yaml

from mmprolong_data.settings import load_settings

DOCS = Path(__file__).resolve().parents[4] / "docs" / "qa-models.md"


def rows() -> list[list[str]]:
    """The cells of the table that has a column ``settings``."""
    lines = DOCS.read_text(encoding="utf-8").split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith("| endpoint | settings |"))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


@pytest.mark.parametrize("cells", rows(), ids=lambda cells: str(cells[0]))
def test_a_recipe_takes_the_settings_of_every_row(cells: list[str], tmp_path: Path) -> None:
    name, settings, tried, notes = cells
    assert tried
    words = shlex.split(settings.strip("`"))
    assert words
    assert all("=" in word for word in words), name
    base = ["qa.generator=openai", "qa.model=MODEL"]
    # Settings that the notes name are settings too.
    noted = re.findall(r"`'?((?:qa|llm|verify)\.[a-z_.]+=[^`']+)'?`", notes)
    recipe = load_settings(Recipe, None, [*base, *words, *noted])
    recipe.validate()
    for word in words:
        key, _, _ = word.partition("=")
        if key != "llm.key_env":  # OpenAI's row states a default
            plain = load_settings(Recipe, None, base)
            assert _get(recipe, key) != _get(plain, key), f"{name}: {key} changes nothing"
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_yaml(recipe), encoding="utf-8")
    assert load_settings(Recipe, path) == recipe
    writer = recipe.endpoint()
    assert writer.base_url.startswith(("http://", "https://"))
    assert "key" not in writer.base_url


def test_the_table_has_the_endpoints_that_people_ask_for() -> None:
    names = " ".join(cells[0] for cells in rows())
    for name in ("OpenAI", "Azure", "vLLM", "SGLang", "llama.cpp", "OpenRouter", "Gemini", "Ollama"):
        assert name in names


def test_a_bare_date_in_the_query_is_quoted_as_the_table_says() -> None:
    text = 'llm.query={api-version: "2024-10-21"}'
    assert text.removeprefix("llm.query=") in DOCS.read_text(encoding="utf-8")
    assert load_settings(Recipe, None, [text]).llm.query == {"api-version": "2024-10-21"}


def _get(recipe: Recipe, key: str) -> object:
    value: object = recipe
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else getattr(value, name)
    return value
