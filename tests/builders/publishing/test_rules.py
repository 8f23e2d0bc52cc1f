"""Versions: which may follow which after what change."""

from __future__ import annotations

import pytest
from mmprolong_builders.publishing.diff import Difference, SampleChange
from mmprolong_builders.publishing.rules import (
    changelog_entry,
    check_version,
    next_version,
    published_versions,
)

from mmprolong_data.errors import FormatError, MMProLongError
from mmprolong_data.versions import parse_version

CONTENT = Difference(documents_added={"a": "a.pdf"})
METADATA = Difference(settings=["recipe: qa.generator: a -> b"])
SCHEMA = Difference(schema=["config ocr_full: removed"])
NOTHING = Difference()


@pytest.mark.parametrize(
    ("difference", "level", "smallest"),
    [
        (SCHEMA, "schema", "2.0.0"),
        (CONTENT, "content", "1.3.0"),
        (METADATA, "metadata", "1.2.4"),
        (NOTHING, "none", "1.2.4"),
    ],
)
def test_the_smallest_next_version_follows_the_deepest_change(
    difference: Difference, level: str, smallest: str
) -> None:
    assert difference.level == level
    assert next_version("1.2.3", level) == smallest
    check_version(smallest, "1.2.3", difference)
    check_version("2.0.0", "1.2.3", difference)


@pytest.mark.parametrize(
    ("version", "difference"), [("1.2.4", CONTENT), ("1.3.0", SCHEMA), ("1.2.3", NOTHING), ("1.1.9", METADATA)]
)
def test_a_version_that_says_too_little_is_refused_with_the_one_that_would_do(
    version: str, difference: Difference
) -> None:
    smallest = next_version("1.2.3", difference.level)
    with pytest.raises(MMProLongError, match=f"Remedy: --version {smallest}"):
        check_version(version, "1.2.3", difference)


def test_tags_are_ordered_as_versions_and_others_ignored() -> None:
    assert published_versions(["v1.10.0", "v1.9.0", "main", "v01.0.0", "v2", "v0.0.1"]) == ["0.0.1", "1.9.0", "1.10.0"]


@pytest.mark.parametrize("text", ["", "1.0", "1.0.0.0", "01.0.0", "1.0.x", "v1.0.0", "1.0.-1", "\u0661.0.0"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(FormatError, match=r"must be X\.Y\.Z"):
        parse_version(text)


def test_the_changelog_counts_documents_and_samples() -> None:
    difference = Difference(
        documents_added={"a": ""}, changed=[SampleChange("k", "reasoning", "d", ("answer",))] * 2, rebuilt=7
    )
    difference.samples_added["reasoning"] += 3
    entry = changelog_entry("1.1.0", "1.0.0", difference, "more")
    assert entry["documents"] == {"added": 1, "removed": 0, "changed": 1}
    assert entry["samples"] == {"added": 3, "removed": 0, "changed": 2}
    assert (entry["level"], entry["note"]) == ("content", "more")
    assert changelog_entry("1.0.0", "", None, "")["level"] == "first"
