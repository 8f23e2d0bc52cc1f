"""``mmprolong inspect``: tables in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmprolong_data.schema import SPLITS

from ..console import human_bytes, print_left_out
from ..untrusted import clean_text
from .html import write_report
from .statistics import Statistics, read_statistics


def inspect_dataset(root: Path, console: Console) -> Path:
    """Print what a dataset holds and return the path of its HTML report, drawn if it is not there yet.

    Raises:
        FormatError: there is no dataset, or it is damaged.
        MMProLongError: the report has to be drawn, and Matplotlib is not installed.
    """
    statistics = read_statistics(root)
    _samples(statistics, console)
    documents = statistics.manifest.documents
    print_left_out(console, documents["found"], documents["used"], documents["left_out"])
    _families(statistics, console)
    _example(statistics, console)
    page = root / "report" / "index.html"
    stale = not page.is_file() or page.stat().st_mtime_ns < (root / "manifest.json").stat().st_mtime_ns
    return write_report(root) if stale else page


def _samples(statistics: Statistics, console: Console) -> None:
    manifest = statistics.manifest
    title = f"Samples ({manifest.container}, version {manifest.dataset_version})"
    table = Table(
        "config", *SPLITS, "bytes", "tokens", "mean\npages", "mean\ntokens", title=title, title_justify="left"
    )
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    for config in manifest.configs():
        rows = [row for (name, _), own in statistics.rows.items() if name == config for row in own]
        size = sum(shard["bytes"] for shard in manifest.shards if shard["config"] == config)
        tokens = sum(row.tokens for row in rows)
        table.add_row(
            config,
            *(f"{manifest.samples[config].get(split, 0):,}" for split in SPLITS),
            human_bytes(size),
            f"{tokens / 1e6:,.2f} M",
            f"{sum(row.pages for row in rows) / len(rows):.1f}",
            f"{tokens / len(rows):,.0f}",
        )
    console.print(table)


def _families(statistics: Statistics, console: Console) -> None:
    table = Table("config", "family", "number", "share", title="Questions by family", title_justify="left")
    for column in table.columns[2:]:
        column.justify = "right"
    for config, counts in statistics.families().items():
        total = counts.total()
        for family, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            table.add_row(config, family, f"{count:,}", f"{100 * count / total:.0f} %")
    if table.row_count:
        console.print(table)


def _example(statistics: Statistics, console: Console) -> None:
    for config, records in statistics.records.items():
        if records and not config.startswith("ocr_"):
            record = records[0]
            pages = ", ".join(str(page + 1) for page in record["evidence_pages"])
            # Text of a document is never read as markup, and loses the codes that a terminal would obey.
            question, answer = clean_text(record["question"], 500), clean_text(record["answer"], 500)
            console.print(Text(f"{config}: {question}\n  -> {answer}  (page {pages})"))
