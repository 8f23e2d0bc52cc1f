"""``mmprolong card``: what the publisher has to say, and the card written anew."""

from __future__ import annotations

import argparse

from mmprolong_data import terminal
from mmprolong_data.arguments import local_path, repository

HELP = """\
Write the card (README.md) of a dataset anew from what was built, with the publisher's words and the licences and
sources of the documents. Both are kept in DIR (card.yaml, sources.csv) and published with it.
"""

EXAMPLES = """\
examples:
  mmprolong card mmprolong --sources licences.csv       columns: doc_id or name; license, source, title
  mmprolong card mmprolong --set title='Reports' --set contact=data@example.org
  mmprolong card mmprolong --set 'precision=[{what: programmatic/1, checked: 88, right: 83, how: two readers}]'

settings: title, license, license_name, summary, collection, intended_use, limits, personal_data, decontamination,
contact, citation, precision, croissant. Longer texts are easier written into DIR/card.yaml itself.
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    card = commands.add_parser(
        "card",
        help="write the card anew, with licences and the publisher's words",
        description=HELP,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    card.add_argument("dataset", type=local_path, metavar="DIR")
    card.add_argument("--sources", type=local_path, metavar="CSV", help="licence and source of each document")
    card.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="one setting of card.yaml; may be repeated",
    )  # fmt: skip
    card.add_argument("--repo", type=repository, metavar="ORG/NAME", help="write the examples for this repository")
    card.set_defaults(run=_card)


def _card(options: argparse.Namespace) -> int:
    from mmprolong_data.manifest import read_manifest

    from ..card import write_card
    from ..card_info import (
        INFO_FILE,
        SOURCES_FILE,
        import_sources,
        read_card_info,
        sources_bytes,
        write_card_info,
    )
    from ..publishing.views import open_folder
    from ..workspace import write_atomically

    root, output = options.dataset, terminal.console()
    manifest = read_manifest(root)
    info = read_card_info(root, options.overrides)
    if options.sources is not None:
        documents = open_folder(root).documents()
        rows, unknown = import_sources(options.sources, documents)
        write_atomically(root / SOURCES_FILE, sources_bytes(rows))
        used = manifest.documents["used"]
        output.print(
            f"{options.sources}: {len(rows):,} of {used:,} used documents found", highlight=False, soft_wrap=True
        )
        if unknown:
            some = ", ".join(unknown[:5]) + (" ..." if len(unknown) > 5 else "")
            output.print(
                f"{len(unknown):,} rows name no used document: {some}", markup=False, highlight=False, soft_wrap=True
            )
    if options.overrides or not (root / INFO_FILE).exists():
        write_card_info(root, info)
    for name in write_card(root, manifest, repo=options.repo or "", picture=True):
        output.print(f"Written: {root / name}", highlight=False, soft_wrap=True)
    return 0
