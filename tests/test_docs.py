"""The documentation says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from mmprolong_builders.reasons import DOCUMENT_REASONS, SAMPLE_REASONS

ROOT = Path(__file__).resolve().parent.parent


def test_every_reason_code_is_in_the_manual_with_its_meaning() -> None:
    text = (ROOT / "docs" / "building.md").read_text(encoding="utf-8")
    for reason, meaning in (DOCUMENT_REASONS | SAMPLE_REASONS).items():
        assert f"| `{reason}` | {meaning} |" in text
    table_rows = re.findall(r"^\| `([a-z_]+)` \| [a-z]", text, re.MULTILINE)
    assert set(DOCUMENT_REASONS) | set(SAMPLE_REASONS) <= set(table_rows)


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
