"""``mmprolong push``: a dataset to the Hub, as a version."""

from __future__ import annotations

import argparse

from mmprolong_data import terminal
from mmprolong_data.arguments import local_path, repository

HELP = """\
Publish a dataset folder as a version of a dataset repository on the Hugging Face Hub.

The folder is verified first. Shards that the repository does not have are uploaded in slices; then one commit on
main brings in the whole version with manifest, indexes and card, and the tag vX.Y.Z is set. A tag is never moved.
If the push is interrupted, run the same command again: only what is missing travels.
The token comes from HF_TOKEN or from 'hf auth login'; HF_ENDPOINT names another Hub.
"""

EXAMPLES = """\
examples:
  mmprolong push mmprolong ORG/mmprolong --dry-run            what would be sent
  mmprolong push mmprolong ORG/mmprolong --private            the first version, in a private repository
  mmprolong push mmprolong ORG/mmprolong --version 1.1.0 --note "200 reports of 2025"
  mmprolong diff ORG/mmprolong@v1.0.0 ORG/mmprolong@v1.1.0    what a version changed

versions: X.Y.Z; X for readers that must change, Y for documents or samples added, removed or changed, Z for the
card, licences, recipe or tools alone. A version that says less than what has changed is refused.
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    push = commands.add_parser(
        "push",
        help="publish a dataset as a version on the Hub",
        description=HELP,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    push.add_argument("dataset", type=local_path, metavar="DIR")
    push.add_argument("repo", type=repository, metavar="ORG/NAME")
    push.add_argument("--version", default="", metavar="X.Y.Z", help="default: the version of the manifest")
    push.add_argument("--private", action="store_true", help="create the repository as a private one")
    push.add_argument("--note", default="", metavar="TEXT", help="a line for the changelog")
    push.add_argument("--dry-run", action="store_true", help="verify, compare and print; send nothing")
    push.set_defaults(run=_push)


def _push(options: argparse.Namespace) -> int:
    from huggingface_hub.utils.tqdm import disable_progress_bars

    from mmprolong_data.versions import parse_version

    from ..publishing.hub import Repository
    from ..publishing.push import Push
    from ..publishing.show import PushDisplay, print_push

    if options.version:
        parse_version(options.version)
    output, errors = terminal.console(), terminal.console(stderr=True)
    disable_progress_bars()  # the client's own, which would leave some lines for every file
    display = PushDisplay(errors)
    repo = Repository(options.repo, on_retry=display.note)
    push = Push(options.dataset, repo, display, options.version, options.private, options.note)
    try:
        plan = push.plan()
        print_push(output, plan)
        if options.dry_run:
            output.print("Nothing was sent (--dry-run).")
            return 0
        commit = push.run(plan)
    finally:
        display.close()
    if not plan.done:
        output.print(f"Published: {plan.repo} v{plan.version} (commit {commit[:12]})", highlight=False, soft_wrap=True)
    config = plan.manifest.configs()[0]
    output.print(
        f'Load it: load_dataset("{plan.repo}", "{config}", revision="v{plan.version}")', highlight=False, soft_wrap=True
    )
    return 0
