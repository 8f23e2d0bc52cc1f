"""The documentation says what the code does."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

from mmprolong_builders.reasons import DOCUMENT_REASONS, SAMPLE_REASONS

ROOT = Path(__file__).resolve().parent.parent


def test_every_reason_code_is_in_the_manual_with_its_meaning() -> None:
    text = (ROOT / "docs" / "building.md").read_text(encoding="utf-8")
    for reason, meaning in (DOCUMENT_REASONS | SAMPLE_REASONS).items():
        assert f"| `{reason}` | {meaning} |" in text
    table_rows = re.findall(r"^\| `([a-z_]+)` \| [a-z]", text, re.MULTILINE)
    assert set(DOCUMENT_REASONS) | set(SAMPLE_REASONS) <= set(table_rows)


def pages() -> list[Path]:
    """Every page of the project's own folders."""
    folders = (
        "docs",
        "builders",
        "mmprolong_data",
        "trainer",
        "configs",
        "dataset_cards",
        "deploy",
        "tests",
        "benchmarks",
    )
    return [*ROOT.glob("*.md"), *(page for folder in folders for page in sorted((ROOT / folder).rglob("*.md")))]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_pages_lead_somewhere() -> None:
    for page in pages():
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8")):
            there = page.parent / target if target else page
            assert there.exists(), f"{page}: {target}"
            assert not anchor or anchor in anchors(there), f"{page}: {target}#{anchor}"


def test_a_table_of_modules_names_all_of_its_folder_and_no_other() -> None:
    tables = 0
    for page in pages():
        rows = re.findall(r"^\|.+", page.read_text(encoding="utf-8"), re.MULTILINE)
        named = {name for row in rows for name in re.findall(r"`([\w*]+\.py)`", row)}
        modules = {path.name for path in page.parent.glob("*.py")} - {"__init__.py", "__main__.py"}
        if not named or not modules:
            continue
        tables += 1
        assert not [name for name in sorted(named) if not list(page.parent.rglob(name))], page
        assert not [name for name in sorted(modules) if not any(fnmatch(name, pattern) for pattern in named)], page
    assert tables > 5
