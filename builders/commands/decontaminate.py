"""``mmprolong decontaminate``: which PDFs, or which samples of a dataset, contain a benchmark."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mmprolong_data import terminal

DECONTAMINATE_HELP = """\
Tell which PDFs of a corpus, or which samples of a dataset, contain documents, pages or questions of benchmarks.

A TARGET is a dataset (a folder with a manifest.json), or a corpus as for 'mmprolong build'. --against names folders
that hold a benchmark: its PDFs, its page images, or jsonl with its questions and answers (one object a line, with a key
such as 'question'); any mixture of them.

Found are: equal files (SHA-256), pages of nearly equal words (MinHash) or of nearly equal looks (perceptual hash), so
that PDFs that were saved again, printed or cut are found too; and questions whose words stand in a document or a
sample.

To leave such documents out of a build before anything is made of them, put the folders into the recipe:
--set decontaminate.against=[DIR,...]. Nothing is changed by this command.

exit codes: 0 nothing found, 1 something found or failed, 2 wrong arguments or settings
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "decontaminate",
        help="find benchmarks in PDFs or in a dataset",
        description=DECONTAMINATE_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "target",
        nargs="+",
        metavar="TARGET",
        help="dataset, folder, PDF, text file of paths, or URL of one of the last three",
    )
    parser.add_argument("--against", nargs="+", required=True, metavar="DIR", help="folders that hold benchmarks")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="such as decontaminate.similarity=0.7",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, metavar="N", help="processes; default: one a CPU")
    parser.add_argument("--json", action="store_true", help="one JSON object a finding")
    parser.set_defaults(run=_decontaminate)


def _decontaminate(options: argparse.Namespace) -> int:
    from rich.progress import Progress

    from mmprolong_data.errors import SettingsError
    from mmprolong_data.settings import load_settings

    from ..contamination import find_contaminated
    from ..pipeline import default_workers
    from ..recipe import Recipe

    recipe = load_settings(Recipe, None, options.overrides)
    recipe.validate()
    workers = options.workers if options.workers is not None else default_workers()
    if workers < 1:
        raise SettingsError(f"--workers {workers}: must be at least 1")
    output, errors = terminal.console(), terminal.console(stderr=True)
    found = looked_at = unreadable = 0
    with Progress(console=errors, disable=not errors.is_terminal) as progress:
        task = progress.add_task("decontaminate", total=None)

        def on_progress(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        def note(text: str) -> None:
            errors.print(text, style="yellow", markup=False, highlight=False)

        against = [Path(folder) for folder in options.against]
        for finding in find_contaminated(options.target, against, recipe, workers, on_progress, note):
            looked_at += 1
            unreadable += bool(finding.reason)
            if not finding.detail and not finding.reason:
                continue
            found += bool(finding.detail)
            if options.json:
                text = json.dumps(finding.to_dict(), sort_keys=True)
                output.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                text = finding.detail or f"cannot be compared ({finding.reason})"
                output.print(f"{finding.name}: {text}", markup=False, highlight=False, soft_wrap=True)
    summary = f"{looked_at:,} looked at, {found:,} contaminated, {unreadable:,} unreadable"
    errors.print(summary, style="bold red" if found else "green", highlight=False)
    return 1 if found else 0
