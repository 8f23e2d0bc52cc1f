"""``mmprolong verify``: a dataset against its manifest, and its questions against the PDFs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from mmprolong_data import terminal
from mmprolong_data.arguments import local_path
from mmprolong_data.errors import SettingsError

EXAMPLES = """\
examples:
  mmprolong verify mmprolong                    shards, indexes and counts against the manifest
  mmprolong verify --qa mmprolong               also every answer, recomputed from the PDFs that it was built from
  mmprolong verify --qa mmprolong --pdfs ~/pdfs the same where the PDFs were moved, or the dataset downloaded

exit codes: 0 everything is right, 1 something is not, 2 wrong arguments
"""
SHOWN = 50


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    verify = commands.add_parser(
        "verify",
        help="check a dataset against its manifest and, with --qa, its answers against the PDFs",
        description="Read every shard, index and count of a dataset and compare it with manifest.json."
        " Exit code 1 and one line a problem where something differs.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verify.add_argument("dataset", type=local_path, metavar="DIR")
    verify.add_argument(
        "--qa", action="store_true",
        help="recompute the proof of every question from the PDFs, with a second text extractor",
    )  # fmt: skip
    verify.add_argument(
        "--pdfs", nargs="+", default=[], metavar="PATH",
        help="with --qa: where the PDFs lie (folders, PDFs, lists, URLs); default: where the build found them",
    )  # fmt: skip
    verify.add_argument("--workers", type=int, metavar="N", help="with --qa: processes; default: one a CPU")
    verify.set_defaults(run=_verify)


def _verify(options: argparse.Namespace) -> int:
    from mmprolong_data.roots import has_card
    from mmprolong_data.verify import verify_dataset

    if (options.pdfs or options.workers is not None) and not options.qa:
        raise SettingsError("--pdfs and --workers belong to --qa. Remedy: add --qa")
    output, errors = terminal.console(), terminal.console(stderr=True)
    with _progress(errors, "verify") as on_progress:
        problems = verify_dataset(options.dataset, progress=on_progress)
    if not has_card(options.dataset):
        remedy = f"Remedy: mmprolong card {options.dataset}"
        problems.append(f"README.md: missing, or it names no configs: load_dataset would find none. {remedy}")
    _show(output, problems)
    if problems:
        output.print(
            f"{options.dataset}: {len(problems)} problem{'s' if len(problems) > 1 else ''}",
            style="bold red",
            highlight=False,
        )
        return 1
    output.print(
        f"{options.dataset}: everything is as the manifest says", style="green", highlight=False, soft_wrap=True
    )
    return _prove(options, output, errors) if options.qa else 0


def _prove(options: argparse.Namespace, output: Console, errors: Console) -> int:
    from ..pipeline import default_workers
    from ..qa.prove import prove_dataset

    workers = options.workers if options.workers is not None else default_workers()
    if workers < 1:
        raise SettingsError(f"--workers {workers}: must be at least 1")
    with _progress(errors, "questions") as on_progress:
        proven = prove_dataset(options.dataset, options.pdfs, workers, on_progress)
    states = [
        ("ok", "proven again"), ("failed", "not proven"), ("scanned", "need OCR"), ("changed", "PDF changed"),
        ("no_pdf", "PDF not found"), ("unreadable", "PDF not readable"),
    ]  # fmt: skip
    shown = [(state, title) for state, title in states if state == "ok" or proven.count(state)]
    table = Table("config", *(title for _, title in shown), title="Questions", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for config, counts in proven.states.items():
        table.add_row(config, *(f"{counts[state]:,}" for state, _ in shown))
    output.print(table)
    _show(output, proven.problems)
    if proven.failed:
        listing = ", ".join(f"{check} {count:,}" for check, count in proven.failed.most_common())
        output.print(f"failed checks: {listing}", highlight=False)
    if proven.problems:
        output.print(
            f"{options.dataset}: {len(proven.problems):,} questions are not proven", style="bold red", soft_wrap=True
        )
        return 1
    output.print(
        f"{options.dataset}: {proven.count('ok'):,} answers follow from the PDFs", style="green", soft_wrap=True
    )
    return 0


def _show(output: Console, problems: list[str]) -> None:
    for problem in problems[:SHOWN] if len(problems) > 2 * SHOWN else problems:
        output.print(problem, markup=False, highlight=False, soft_wrap=True)
    if len(problems) > 2 * SHOWN:
        output.print(f"... and {len(problems) - SHOWN:,} more", highlight=False)


@contextmanager
def _progress(errors: Console, name: str) -> Iterator[Callable[[int, int], None]]:
    from rich.progress import Progress

    with Progress(console=errors, disable=not errors.is_terminal) as progress:
        task = progress.add_task(name, total=None)

        def on_progress(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield on_progress
