"""``mmprolong init``: a ./mmprolong that is a card alone, so that stock ``load_dataset`` streams from the Hub."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from . import terminal
from .arguments import local_path, without_tilde
from .errors import MMProLongError, SettingsError
from .registration import NAME

if TYPE_CHECKING:
    from .manifest import Manifest

MARK = "<!-- written by mmprolong init -->"
VERSION_TAG = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    init = commands.add_parser(
        "init",
        help="point load_dataset at a published dataset",
        description=f'Write ./{NAME}/README.md, a card that names the shards of a dataset elsewhere. In this folder'
        f' load_dataset("{NAME}", CONFIG) then streams from there, with stock datasets alone.',
        epilog=f"Example: {NAME} init ORG/NAME@v1.0.0",
    )  # fmt: skip
    init.add_argument(
        "source", metavar="ORG/NAME[@vX.Y.Z]", help="a dataset on the Hub (default: newest version), or a folder"
    )
    init.add_argument(
        "--out", type=local_path, default=Path(NAME), metavar="DIR", help=f"where to write (default: {NAME})"
    )
    init.add_argument("--force", action="store_true", help="replace a README.md that was not written by this command")
    init.set_defaults(run=_init)


def _init(options: argparse.Namespace) -> int:
    from .catalog import read_dataset
    from .manifest import MANIFEST_NAME
    from .roots import HUB, hub_url
    from .source import open_source

    console = terminal.console(stderr=True)
    card = options.out / "README.md"
    _check_place(options.out, card, options.force)
    folder = without_tilde(options.source)
    if (folder / MANIFEST_NAME).is_file():
        root = str(folder.absolute())
    else:
        root = hub_url(options.source)
        if "@" not in root:
            tag = _newest(root.removeprefix(HUB))
            root = f"{root}@{tag}" if tag else root
            if not tag:
                console.print(f"{options.source} has no version tags: its newest state is used, which may change.")
    source = open_source(root)
    try:
        manifest = read_dataset(source)
    finally:
        source.close()
    options.out.mkdir(parents=True, exist_ok=True)
    temporary = card.with_name("README.md.tmp")
    temporary.write_text(stub(manifest, root), encoding="utf-8")
    temporary.replace(card)
    output = terminal.console()
    samples = ", ".join(f"{config} {sum(counts.values())}" for config, counts in manifest.samples.items())
    output.print(f"{card}: version {manifest.dataset_version} at {root}", highlight=False, soft_wrap=True)
    output.print(f"samples: {samples}", highlight=False, soft_wrap=True)
    output.print(_call(manifest), markup=False, highlight=False, soft_wrap=True)
    return 0


def stub(manifest: Manifest, root: str) -> str:
    """The text of the card.

    Args:
        manifest: Of the dataset.
        root: Its folder (absolute), or ``hf://datasets/ORG/NAME@vX.Y.Z``.
    """
    from .card_yaml import card_metadata

    metadata = card_metadata(manifest).replace("path: data/", f"path: {root}/data/")
    lines = [
        "---", f"{metadata}---", MARK, "", f"# {NAME} {manifest.dataset_version}", "",
        f"The data is at `{root}`. In the folder above this one:", "",
        "```python", "from datasets import load_dataset", "", _call(manifest), "```", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _call(manifest: Manifest) -> str:
    config = next(iter(manifest.configs()), "extract_multi")
    split = next(iter(manifest.samples.get(config, {})), "train")
    return f'load_dataset("{NAME}", "{config}", split="{split}", streaming=True)'


def _check_place(folder: Path, card: Path, force: bool) -> None:
    from .manifest import MANIFEST_NAME

    if (folder / MANIFEST_NAME).exists():
        raise SettingsError(f"{folder}: a dataset is here already. Remedy: another folder, with --out")
    if card.exists() and not force and MARK not in card.read_text(encoding="utf-8", errors="replace"):
        raise SettingsError(f"{card}: is there already, and not ours. Remedy: --force replaces it")
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder}: not a folder. Remedy: another one, with --out")


def _newest(repo: str) -> str | None:
    """The highest version tag of a repo on the Hub."""
    import huggingface_hub

    try:
        refs = huggingface_hub.HfApi().list_repo_refs(repo, repo_type="dataset")
    except huggingface_hub.errors.RepositoryNotFoundError:
        raise MMProLongError(f"{repo}: no such dataset on the Hub, or no right to it. Remedy: hf auth login") from None
    except Exception as error:  # noqa: BLE001 - the client's HTTP library raises errors of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise MMProLongError(f"{repo}: the Hub could not be asked ({reason}). Remedy: try again later") from None
    versions = {tag.name: VERSION_TAG.fullmatch(tag.name) for tag in refs.tags}
    numbered = {name: tuple(map(int, match.groups())) for name, match in versions.items() if match}
    return max(numbered, key=lambda name: numbered[name], default=None)
