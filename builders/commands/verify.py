"""``mmprolong verify``: a dataset against its manifest."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    verify = commands.add_parser(
        "verify",
        help="check a dataset against its manifest",
        description="Read every shard, index and count of a dataset and compare it with manifest.json."
        " Exit code 1 and one line a problem where something differs.",
    )
    verify.add_argument("dataset", type=Path, metavar="DIR")
    verify.set_defaults(run=_verify)


def _verify(options: argparse.Namespace) -> int:
    from rich.progress import Progress

    from mmprolong_data.verify import verify_dataset

    output, errors = Console(), Console(stderr=True)
    with Progress(console=errors, disable=not errors.is_terminal) as progress:
        task = progress.add_task("verify", total=None)

        def on_progress(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        problems = verify_dataset(options.dataset, progress=on_progress)
    for problem in problems:
        output.print(problem, markup=False, highlight=False, soft_wrap=True)
    if problems:
        output.print(f"{options.dataset}: {len(problems)} problems", style="bold red", highlight=False)
        return 1
    output.print(f"{options.dataset}: everything is as the manifest says", style="green", highlight=False)
    return 0
