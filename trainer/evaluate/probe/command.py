"""``mmprolong build-probe``: settings from the command line, progress, and a table of what was made."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmprolong_data import terminal
from mmprolong_data.arguments import count, local_path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "build-probe",
        help="make an evaluation suite: chosen lengths x depths, from a dataset's held-out documents",
        description="Make a probe suite from the validation split of a dataset: questions with known answers, with the"
        " evidence at every depth of conversations of every length. Pages of other held-out documents pad them."
        " The suite is a dataset of the ordinary format (load_dataset reads it), deterministic to the byte.",
        epilog="Then: mmprolong evaluate --suite probe --data OUT --model MODEL",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("dataset", type=local_path, metavar="DIR", help="a dataset made by mmprolong build")
    parser.add_argument("--out", type=local_path, default=Path("probe"), help="folder of the suite")
    parser.add_argument("--lengths", default="8K,16K,32K,64K,128K,256K,512K", help="tokens of a whole conversation")
    parser.add_argument("--depths", type=count, default=10, help="places of the evidence, from first to last")
    parser.add_argument("--per-cell", type=count, default=1, help="samples for each task, length and depth")
    parser.add_argument("--tasks", default="planted_code,ocr_needle,extract_single,extract_multi,reasoning")
    parser.add_argument("--split", default="validation", help="split of DIR to draw from")
    parser.add_argument("--decoys", type=int, default=3, help="other codes stamped into a planted_code sample")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokenizer", default="estimate", help="estimate, or a tokenizer.json, to count text")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Build the suite and say what it holds."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Table

    from ..items import length_name, parse_lengths
    from .build import build_probe
    from .settings import ProbeSettings

    settings = ProbeSettings(
        lengths=list(parse_lengths(options.lengths)),
        depths=options.depths,
        tasks=[task.strip() for task in options.tasks.split(",") if task.strip()],
        per_cell=options.per_cell,
        split=options.split,
        seed=options.seed,
        decoys=options.decoys,
        tokenizer=options.tokenizer,
    )
    output, errors = terminal.console(), terminal.console(stderr=True)
    columns = (TextColumn("samples"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, disable=not errors.is_terminal) as bar:
        task = bar.add_task("samples", total=None)
        result = build_probe(
            options.dataset, options.out, settings, lambda done, total: bar.update(task, completed=done, total=total)
        )
    lengths = sorted({length for cells in result.cells.values() for length in cells})
    if result.already_complete:
        output.print("Everything was there already; nothing had to be made.")
    else:
        table = Table("task", *map(length_name, lengths), title="Samples", title_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
        for name, cells in result.cells.items():
            table.add_row(name, *(str(cells[length]) for length in lengths))
        output.print(table)
        for name, reasons in result.manifest.shortfalls.items():
            empty = [length for length in lengths if not result.cells[name][length]]
            if empty:
                said = ", ".join(f"{n} x {why}" for why, n in reasons.items())
                output.print(f"{name}: nothing at {', '.join(map(length_name, empty))} ({said})", style="yellow")
    output.print(f"Suite: {options.out}", highlight=False, soft_wrap=True)
    return 0
