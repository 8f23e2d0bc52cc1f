"""``mmprolong pull``: a dataset behind a URL to a folder."""

from __future__ import annotations

import argparse

from mmprolong_data import terminal
from mmprolong_data.arguments import local_path

PULL_HELP = """\
Copy a dataset from a bucket (or any other URL) to a folder, where all other commands work.

Every shard and index is checked against the SHA-256 of the manifest. What is there already is not fetched again: run
the same command after an interruption, or for a new version. Training needs no copy: the loader reads URLs.
"""

PULL_EXAMPLES = """\
example:
  mmprolong pull s3://bucket/set set && mmprolong verify set && mmprolong inspect set
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    pull = commands.add_parser(
        "pull",
        help="a dataset from a bucket to a folder",
        description=PULL_HELP,
        epilog=PULL_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    pull.add_argument("url", metavar="URL", help="of the dataset: s3://BUCKET/FOLDER, gs://..., hf://datasets/ORG/NAME")
    pull.add_argument("folder", type=local_path, metavar="DIR", help="empty, or what an earlier pull has left")
    pull.set_defaults(run=_pull)


def _pull(options: argparse.Namespace) -> int:
    from rich.progress import Progress

    from mmprolong_data.errors import SettingsError
    from mmprolong_data.remote import is_url

    from ..bucket.pull import pull_dataset

    if not is_url(options.url):
        raise SettingsError(f"{options.url}: must be a URL, such as s3://BUCKET/FOLDER")
    output, errors = terminal.console(), terminal.console(stderr=True)
    with Progress(console=errors, disable=not errors.is_terminal) as progress:
        task = progress.add_task("pull", total=None)
        fetched = pull_dataset(
            options.url, options.folder, lambda done, total: progress.update(task, completed=done, total=total)
        )
    output.print(f"{options.folder}: {fetched} shards and indexes fetched", highlight=False, soft_wrap=True)
    output.print(f"Check it: mmprolong verify {options.folder}", highlight=False, soft_wrap=True)
    return 0
