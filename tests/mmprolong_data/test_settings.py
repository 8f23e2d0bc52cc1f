"""Checks that recipe and training settings share: one wording for both, and no number that is none slips through."""

from __future__ import annotations

import math

import pytest
from mmprolong_builders.recipe import Recipe
from mmprolong_trainer.config import TrainConfig

from mmprolong_data.errors import SettingsError
from mmprolong_data.settings import from_plain, require_ranges, require_weights

PLAIN = {Recipe: {}, TrainConfig: {"model": {"path": "m"}}}


@pytest.mark.parametrize(
    ("cls", "changed", "message"),
    [
        (Recipe, {"render": {"dpi": 20}}, "recipe: render.dpi = 20: must be from 36 to 600"),
        (Recipe, {"ingest": {"max_pages": 0}}, "recipe: ingest.max_pages = 0: must be from 1 to 1,000,000"),
        (TrainConfig, {"data": {"max_tokens": 5}}, "config: data.max_tokens = 5: must be from 64 to 16,777,216"),
        (TrainConfig, {"guard": {"spike": -1.0}}, "config: guard.spike = -1.0: must be from 0.0 to 1,000,000,000.0"),
        (Recipe, {"select": {"mixture": {"reasoning": -1.0}}}, "select.mixture = {'reasoning': -1.0}: must be weights"),
        (Recipe, {"select": {"mixture": {"poetry": 1.0}}}, "must be weights of some of extract_single, extract_multi"),
        (TrainConfig, {"data": {"configs": {"reasoning": 0.0}}}, "must be weights >= 0, not all zero"),
        (TrainConfig, {"data": {"configs": {}}}, "must be weights of some of extract_single, extract_multi"),
    ],
)
def test_both_kinds_of_settings_word_it_alike(cls: type, changed: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_plain(cls, PLAIN[cls] | changed).validate()
    assert message in str(caught.value)


def test_ends_of_a_range_are_allowed_and_nan_is_not() -> None:
    for value in (36, 600):
        require_ranges(from_plain(Recipe, {"render": {"dpi": value}}), "recipe", [("render.dpi", 36, 600)])
    with pytest.raises(SettingsError, match=r"select\.validation = nan: must be from 0\.0 to 0\.9"):
        from_plain(Recipe, {"select": {"validation": math.nan}}).validate()
    for weight in (math.nan, math.inf):
        with pytest.raises(SettingsError, match="weights >= 0"):
            require_weights({"a": weight, "b": 1.0}, "recipe", "mixture", ("a", "b"))
