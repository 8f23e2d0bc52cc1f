"""The card (``README.md``) of a built dataset: the template filled from its manifest, nothing else."""

from __future__ import annotations

from importlib import resources

import jinja2

from mmprolong_data.card_yaml import card_metadata
from mmprolong_data.manifest import Manifest
from mmprolong_data.schema import SPLITS

from .reasons import DOCUMENT_REASONS, SAMPLE_REASONS
from .recipe import Recipe

PURPOSES = {
    "extract_single": "one fact, on one page",
    "extract_multi": "facts gathered from several pages",
    "reasoning": "a sum, difference, comparison or count over several facts",
    "ocr_full": "the text of all pages",
    "ocr_needle": "the text of 1-3 named pages; the others distract",
}
PROBE_PURPOSES = {"planted_code": "a number in a box that was stamped onto one page"}


def render_card(manifest: Manifest, recipe: Recipe, folder: str) -> str:
    """The card as Markdown with its YAML front matter.

    Args:
        manifest: Of the dataset; every number in the card comes from it.
        recipe: What it was built with.
        folder: The name to load it by.
    """
    environment = jinja2.Environment(
        trim_blocks=False, keep_trailing_newline=True, undefined=jinja2.StrictUndefined, autoescape=False
    )
    template = environment.from_string(
        resources.files("mmprolong_cards").joinpath("dataset.md.j2").read_text(encoding="utf-8")
    )
    splits = [split for split in SPLITS if any(split in counts for counts in manifest.samples.values())]
    return template.render(
        metadata=card_metadata(manifest),
        title="mmprolong",
        folder=folder,
        manifest=manifest,
        recipe=recipe,
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
        grouped="{:,}".format,
    )


def _sums(manifest: Manifest, config: str) -> dict[str, int]:
    """Tokens, tokens a sample (rounded) and bytes of a config."""
    tokens, samples = sum(manifest.tokens[config].values()), sum(manifest.samples[config].values())
    size = sum(shard["bytes"] for shard in manifest.shards if shard["config"] == config)
    return {"tokens": tokens, "mean": round(tokens / max(samples, 1)), "bytes": size}
