"""``mmprolong remove``: documents out of a dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmprolong_data import terminal
from mmprolong_data.arguments import local_path

HELP = """\
Take documents out of a finished dataset: only the shards that hold them are rewritten, the version is raised, and
the document table keeps their SHA-256 with the reason 'removed'. The change is made in DIR. If it is interrupted, run
the same command again. What is on the Hub changes with the next push; older tags keep the document (see the manual).
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    remove = commands.add_parser(
        "remove",
        help="take documents out of a dataset",
        description=HELP,
        epilog="example: mmprolong remove mmprolong --doc 9f2c... --note 'on request of the author'",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    remove.add_argument("dataset", type=local_path, metavar="DIR")
    remove.add_argument(
        "--doc", nargs="+", required=True, metavar="SHA256", dest="documents",
        help="SHA-256 of the PDF (column doc_id of index/documents.parquet), or its first 12 digits and more",
    )  # fmt: skip
    remove.add_argument("--version", default="", metavar="X.Y.Z", help="default: the next one that the rule allows")
    remove.add_argument("--note", default="", metavar="TEXT", help="a line for the changelog; default: on request")
    remove.set_defaults(run=_remove)


def _remove(options: argparse.Namespace) -> int:
    from ..publishing.remove import finish_removal, remove
    from ..publishing.show import print_removal

    output = terminal.console()
    if finish_removal(options.dataset):
        output.print(f"{options.dataset}: an interrupted removal was carried to its end.", highlight=False)
        if _already_gone(options.dataset, options.documents):
            return 0
    removal = remove(options.dataset, options.documents, options.version, options.note)
    print_removal(output, removal, options.dataset)
    return 0


def _already_gone(root: Path, documents: list[str]) -> bool:
    """True if the removal that was carried to its end is the one that is asked for."""
    from ..publishing.views import open_folder

    gone = {row["doc_id"] for row in open_folder(root).documents() if row["reason"] == "removed"}
    return all(any(doc_id.startswith(text.lower()) for doc_id in gone) for text in documents)
