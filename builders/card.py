"""The card (``README.md``) of a dataset: templates filled from its manifest, its content and its publisher's words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from mmprolong_data.card_yaml import card_metadata
from mmprolong_data.errors import MMProLongError
from mmprolong_data.manifest import Manifest
from mmprolong_data.schema import SPLITS

from .card_facts import CardFacts, collect_facts, wilson
from .card_info import PURPOSES, CardInfo, read_card_info
from .croissant import croissant_bytes
from .reasons import DOCUMENT_REASONS, SAMPLE_REASONS
from .recipe import Recipe
from .report.statistics import ReadRecords, read_statistics
from .workspace import write_atomically

PICTURE = "assets/tokens.png"
CROISSANT = "croissant.json"
MOST_LISTED = 12
MODEL_TASKS = {
    "questions": "writing questions and answers",
    "paraphrase": "other words for questions",
    "closed_book": "check `closed_book`: must fail without pages",
    "evidence": "check `evidence`: must answer from the evidence pages",
    "without_evidence": "check `without_evidence`: must fail on the other pages",
    "rivals": "check `rivals`: other pages must not answer otherwise",
    "judge": "check `judge`: must agree",
}
"""What language models did, by the manifest's word for it."""


def write_card(
    root: Path, manifest: Manifest, *, repo: str = "", picture: bool = False, read: ReadRecords | None = None
) -> list[str]:
    """Write the card of a dataset, and what belongs to it.

    Args:
        root: The dataset's folder, with shards, indexes and document table in place.
        manifest: Of the dataset; the file need not be written yet.
        repo: ``ORG/NAME`` on the Hub, for the examples; "" for a folder.
        picture: Draw the histogram of lengths again.
        read: Reads records, where the shards are elsewhere.

    Returns:
        The paths of what the card consists of, below ``root``.

    Raises:
        FormatError: an index or a shard is damaged.
        SettingsError: ``card.yaml`` or ``sources.csv`` is wrong.
    """
    files = card_files(root, manifest, repo=repo, picture=picture, read=read)
    for name, content in files.items():
        write_atomically(root / name, content)
    if CROISSANT not in files:
        (root / CROISSANT).unlink(missing_ok=True)
    return list(files)


def card_files(
    root: Path, manifest: Manifest, *, repo: str = "", picture: bool = False, read: ReadRecords | None = None
) -> dict[str, bytes]:
    """Path -> content of what ``write_card`` writes, which see."""
    info = read_card_info(root)
    counted = read_statistics(root, manifest, read)
    facts = collect_facts(root, manifest, counted)
    files: dict[str, bytes] = {}
    if picture:
        from .report.figures import draw_figures

        try:
            files[PICTURE] = draw_figures(counted, ("lengths",))["lengths"]
        except MMProLongError:  # Matplotlib is an extra; a card without a picture is still a card
            picture = False
    has_picture = picture or (root / PICTURE).is_file()
    recipe = known_recipe(manifest.recipe)
    card = render_card(
        manifest, recipe, "mmprolong", facts=facts, info=info, repo=repo, picture=PICTURE if has_picture else ""
    )
    files["README.md"] = card.encode()
    wanted = info.croissant if info.croissant is not None else manifest.container == "webdataset"
    if wanted:
        files[CROISSANT] = croissant_bytes(manifest, info, repo)
    return files


def render_card(
    manifest: Manifest,
    recipe: Recipe,
    folder: str,
    *,
    facts: CardFacts | None = None,
    info: CardInfo | None = None,
    repo: str = "",
    picture: str = "",
) -> str:
    """The card as Markdown with its YAML front matter.

    Args:
        manifest: Of the dataset; every number in the card comes from it or from ``facts``.
        recipe: What it was built with.
        folder: The name to load it by where it is no repository.
        facts: What was counted in the dataset.
        info: The publisher's words.
        repo: ``ORG/NAME`` on the Hub.
        picture: Path of the histogram of lengths; "" for none.
    """
    info = info or CardInfo()
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    splits = [split for split in SPLITS if any(split in counts for counts in manifest.samples.values())]
    title = info.title or repo.rpartition("/")[2] or "mmprolong"
    languages = sorted(code for code in (facts.languages if facts else ()) if code != "und")
    card = environment.get_template("dataset.md.j2").render(
        metadata=card_metadata(manifest, _publishers_metadata(info, title, languages)),
        title=title,
        folder=folder,
        repo=repo,
        tag=f"v{manifest.dataset_version}",
        manifest=manifest,
        recipe=recipe,
        facts=facts,
        info=info,
        picture=picture,
        configs=manifest.configs(),
        splits=splits,
        pages=recipe.page_range(),
        purposes=PURPOSES,
        reasons=DOCUMENT_REASONS,
        sample_reasons=SAMPLE_REASONS,
        totals={
            "samples": sum(sum(counts.values()) for counts in manifest.samples.values()),
            "tokens": sum(sum(counts.values()) for counts in manifest.tokens.values()),
        },
        sums={config: _sums(manifest, config) for config in manifest.configs()},
        citation=info.citation.strip() or _citation(manifest, title, repo),
        grouped="{:,}".format,
        md=markdown_text,
        checks_text=checks_text,
        listing=_listing,
        counter=Counter,
        wilson=wilson,
        change_text=change_text,
        code=markdown_code,
        model_tasks=MODEL_TASKS,
        independent=_independence(manifest),
        config_names=lambda names: ", ".join(map(markdown_code, names)),
    )
    return re.sub(r"\n{3,}", "\n\n", card)


def known_recipe(plain: Mapping[str, Any]) -> Recipe:
    """The recipe of a manifest that another version wrote: unknown settings are dropped, missing ones are defaults."""

    def fill(default: Any, values: Mapping[str, Any]) -> Any:
        changed = {}
        for item in fields(default):
            if item.name in values:
                own, value = getattr(default, item.name), values[item.name]
                changed[item.name] = fill(own, value) if is_dataclass(own) and isinstance(value, dict) else value
        return type(default)(**{item.name: getattr(default, item.name) for item in fields(default)} | changed)

    recipe: Recipe = fill(Recipe(), plain)
    return recipe


def markdown_text(text: str) -> str:
    """Foreign text as one line that Markdown shows as it is, also in a table."""
    return re.sub(r"([\\`*_{}\[\]<>|#!])", r"\\\1", " ".join(str(text).split()))


def markdown_code(text: str) -> str:
    """Foreign text as a code span, also in a table."""
    words = " ".join(str(text).split()).replace("`", "'").replace("|", "/")
    return f"`{words}`"


def checks_text(checks: Mapping[str, Counter[str]]) -> str:
    """The checks of a config: names and, where not all are ok, the verdicts."""
    passed = [check for check, verdicts in checks.items() if set(verdicts) == {"ok"}]
    counts = {checks[check].total() for check in passed}
    words = []
    if len(counts) == 1:
        words.append(f"{', '.join(markdown_code(check) for check in sorted(passed))}: all {counts.pop():,} ok")
        passed_together = set(passed)
    else:
        passed_together = set()
    for check in sorted(set(checks) - passed_together):
        verdicts = ", ".join(f"{markdown_text(verdict)} {count:,}" for verdict, count in checks[check].most_common())
        words.append(f"{markdown_code(check)}: {verdicts}")
    return "; ".join(words)


def change_text(entry: Mapping[str, Any]) -> str:
    """One entry of the changelog in words."""
    parts = []
    if entry["level"] == "first":
        parts.append("first version")
    for things in ("documents", "samples"):
        counts = entry[things]
        words = [f"{counts[how]:,} {how}" for how in ("added", "removed", "changed") if counts.get(how)]
        if words:
            parts.append(f"{things}: {', '.join(words)}")
    if not parts:
        parts.append("the same samples")
    note = markdown_text(entry["note"])
    return "; ".join(parts) + (f". {note}" if note else "")


def _template(name: str) -> str:
    return resources.files("mmprolong_cards").joinpath(name).read_text(encoding="utf-8")


def _publishers_metadata(info: CardInfo, title: str, languages: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {"license": info.license, "pretty_name": title}
    if info.license == "other":
        values["license_name"] = info.license_name
    if languages:
        values["language"] = languages
    return values


def _listing(counts: Counter[str]) -> str:
    """``a 12, b 3``: values by their number, the rare ones together."""
    words = [f"{markdown_code(name)} {count:,}" for name, count in counts.most_common(MOST_LISTED)]
    rest = counts.total() - sum(count for _, count in counts.most_common(MOST_LISTED))
    return ", ".join([*words, f"others {rest:,}"] if rest else words)


def _independence(manifest: Manifest) -> str:
    """Whether the models that checked are others than the one that wrote."""
    models = {task["task"]: task["model"] for task in manifest.models.get("tasks", ())}
    writer = models.pop("questions", "")
    same = sorted(task for task, model in models.items() if model == writer)
    if not same or not writer:
        return ""
    names = ", ".join(markdown_code(name) for name in same)
    return f"The model that wrote the questions checked them itself in {names}: it shares its own blind spots."


def _citation(manifest: Manifest, title: str, repo: str) -> str:
    key = re.sub(r"[^a-z0-9]+", "-", (repo or title).lower()).strip("-")
    lines = [f"  title   = {{{title}}}", f"  version = {{{manifest.dataset_version}}}"]
    if repo:
        lines.append(f"  url     = {{https://huggingface.co/datasets/{repo}}}")
    return f"@misc{{{key},\n" + ",\n".join(lines) + "\n}"


def _sums(manifest: Manifest, config: str) -> dict[str, int]:
    """Tokens, tokens a sample (rounded) and bytes of a config."""
    tokens, samples = sum(manifest.tokens[config].values()), sum(manifest.samples[config].values())
    size = sum(shard["bytes"] for shard in manifest.shards if shard["config"] == config)
    return {"tokens": tokens, "mean": round(tokens / max(samples, 1)), "bytes": size}
