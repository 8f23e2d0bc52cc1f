"""``mmprolong status``: how far a build is, wherever it runs."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from mmprolong_data import terminal
from mmprolong_data.arguments import place

STATUS_HELP = """\
Tell how far the build in a folder is: slices and pages of every stage, failures, and when it may be done.

It reads the work folder alone, so it works for a build on this machine, for parts on others (Slurm, Kubernetes) and for
builds that have ended. Nothing is changed or stopped by it. Of a build in a bucket (s3://BUCKET/FOLDER) it tells which
slices are complete there and which were begun; how far a machine is with a slice only that machine knows.

exit codes: 0 running, ended or waiting, 1 no build there, 3 slices have failed for good
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    status = commands.add_parser(
        "status",
        help="how far a build is",
        description=STATUS_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    status.add_argument("dataset", type=place, nargs="?", default=Path("mmprolong"), metavar="DIR")
    status.add_argument("--json", action="store_true", help="one JSON object, for programs")
    status.set_defaults(run=_status)


def _status(options: argparse.Namespace) -> int:
    from ..console import human_time
    from ..status import read_status

    if isinstance(options.dataset, str):
        from ..bucket.status import read_bucket_status

        status = read_bucket_status(options.dataset)
    else:
        status = read_status(options.dataset)
    output = terminal.console()
    if options.json:
        text = json.dumps(status.to_dict(), sort_keys=True, indent=1)
        output.print(text, markup=False, highlight=False, soft_wrap=True)
        return 3 if status.failed else 0
    if status.slices == 0:
        output.print(f"{options.dataset}: the inventory is being taken; there is no plan yet", highlight=False)
        return 0
    from rich.table import Table

    table = Table("stage", "slices", "documents", "pages", "done", title="Progress", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, stage in status.stages.items():
        share = f"{100 * stage.pages / max(status.pages, 1):.1f} %"
        table.add_row(
            name,
            f"{stage.slices:,} of {status.slices:,}",
            f"{stage.documents:,} of {status.documents:,}",
            f"{stage.pages:,} of {status.pages:,}",
            share,
        )
    output.print(table)
    lines = [f"In work now: {len(status.in_work)} slices {_listing(status.in_work)}".rstrip()]
    if isinstance(options.dataset, str):
        lines = [f"Begun, not complete: {len(status.begun)} slices {_listing(status.begun)}".rstrip()]
    if status.interrupted:
        lines.append(f"Begun, not complete, nobody at it: {len(status.interrupted)} {_listing(status.interrupted)}")
    if status.last is not None:
        lines.append(f"Last slice completed {human_time(max(0.0, time.time() - status.last))} ago")
    if status.seconds_left is not None and (status.in_work or status.begun):
        lines.append(f"About {human_time(status.seconds_left)} left at the pace of the last slices")
    if status.published:
        lines.append("Published: the dataset is complete" if not status.failed else "Published, without failed slices")
    elif status.stages["pack"].slices == status.slices:
        lines.append(f"All slices are complete. Next: mmprolong build --finish --out {options.dataset}")
    for line in lines:
        output.print(line, markup=False, highlight=False, soft_wrap=True)
    for number, error in status.failed.items():
        output.print(f"Failed: slice {number}: {error}", markup=False, highlight=False, soft_wrap=True, style="red")
    return 3 if status.failed else 0


def _listing(numbers: list[int]) -> str:
    text = ", ".join(map(str, numbers[:12])) + (", ..." if len(numbers) > 12 else "")
    return f"({text})" if text else ""
