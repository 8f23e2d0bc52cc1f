"""The plan: which document serves which split, configs and slice. A pure function of inventory and recipe."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mmprolong_data.errors import MMProLongError
from mmprolong_data.schema import SPLITS

from .fit import fit_dpi, image_tokens
from .recipe import Recipe
from .seeding import stable_int, stable_unit

EVERY_BELOW = 10_000
"""``select.assignment: auto`` lets every document serve every config below this many documents."""

TEXT_RESERVE = 512
"""Tokens kept free for the question, the answer and the chat template when a document's pages are planned."""

LABEL_TOKENS = 10
"""Planned tokens of a page's label and its two vision markers."""

BYTES_PER_TOKEN = 80
"""Planned JPEG bytes per image token (quality 85: about 200 KB for 2,500 tokens)."""

PLAN_SCHEMA = pa.schema(
    [
        ("doc_id", pa.string()),
        ("path", pa.string()),
        ("name", pa.string()),
        ("pages", pa.int32()),
        ("dpi", pa.int32()),
        ("tokens", pa.int64()),
        ("split", pa.string()),
        ("configs", pa.list_(pa.string())),
        ("slice", pa.int32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a build will do.

    Attributes:
        documents: One row a selected document (``PLAN_SCHEMA``), in slice order; ``tokens`` are its planned image and
            label tokens at ``dpi``.
        left_out: Reason code -> number of files of the inventory, for what is known before parsing.
        reasons: One reason code a row of the inventory; "" for the selected ones.
        found: Rows of the inventory.
    """

    documents: pa.Table
    left_out: dict[str, int]
    reasons: list[str]
    found: int

    @property
    def num_slices(self) -> int:
        """Number of slices; they are numbered from 0 without gaps."""
        return int(self.documents["slice"][-1].as_py()) + 1 if len(self.documents) else 0

    def slice_rows(self, number: int) -> list[dict[str, Any]]:
        """The planned documents of one slice, in order."""
        column = self.documents["slice"].to_numpy()
        start, stop = np.searchsorted(column, [number, number + 1])
        rows: list[dict[str, Any]] = self.documents.slice(int(start), int(stop - start)).to_pylist()
        return rows

    def samples(self) -> dict[str, dict[str, int]]:
        """Planned number of documents by config and split."""
        counts: dict[str, dict[str, int]] = {}
        for split, configs in zip(
            self.documents["split"].to_pylist(), self.documents["configs"].to_pylist(), strict=True
        ):
            for config in configs:
                counts.setdefault(config, dict.fromkeys(SPLITS, 0))[split] += 1
        return counts

    def fingerprint(self) -> str:
        """SHA-256 of everything in the plan but the paths: equal for the same files in another place."""
        digest = hashlib.sha256()
        for name in PLAN_SCHEMA.names:
            if name != "path":
                digest.update(repr(self.documents[name].to_pylist()).encode("utf-8", "surrogatepass"))
        digest.update(repr(sorted(self.left_out.items())).encode())
        return digest.hexdigest()


def make_plan(inventory: pa.Table, recipe: Recipe) -> Plan:
    """Choose documents, fit their resolution, split, assign configs and cut slices.

    Args:
        inventory: As ``ingest.take_inventory`` gives it.
        recipe: The settings; ``select``, ``render``, ``tasks.configs``, ``pack`` and ``seed`` matter here.

    Raises:
        MMProLongError: no document is left; the message says why and what to change.
    """
    reasons: list[str] = inventory["reason"].to_pylist()
    pages = inventory["pages"].to_numpy(zero_copy_only=False)
    least, most = recipe.page_range()
    usable = [i for i, reason in enumerate(reasons) if not reason]
    chosen = []
    for i in usable:
        if pages[i] < least:
            reasons[i] = "too_few_pages"
        elif pages[i] > most:
            reasons[i] = "too_many_pages"
        else:
            chosen.append(i)

    ids = inventory["sha256"]
    doc_ids = {i: ids[i].as_py() for i in chosen}
    chosen.sort(key=lambda i: (stable_int(recipe.seed, doc_ids[i], "order"), doc_ids[i]))
    dpis, tokens = _fit(inventory, chosen, recipe)
    fitting = []
    for i in chosen:
        if dpis[i]:
            fitting.append(i)
        else:
            reasons[i] = "too_many_tokens"
    every = recipe.select.assignment == "every" or (recipe.select.assignment == "auto" and len(fitting) < EVERY_BELOW)
    rows = []
    spent = 0
    budget = recipe.select.token_budget
    for i in fitting:
        configs = list(recipe.tasks.configs) if every else [_mixture_config(recipe, doc_ids[i])]
        cost = tokens[i] * len(configs)
        if budget is not None and spent + cost > budget:
            reasons[i] = "over_budget"
            continue
        spent += cost
        held_out = stable_unit("split", doc_ids[i]) < recipe.select.validation
        rows.append((i, "validation" if held_out else "train", configs))
    if not rows:
        raise MMProLongError(_nothing_selected(inventory, usable, reasons, least, most))

    rows.sort(key=lambda row: SPLITS.index(row[1]))  # stable: inside a split the hash order stays
    columns: dict[str, list[Any]] = {name: [] for name in PLAN_SCHEMA.names}
    paths, names = inventory["path"], inventory["name"]
    for (i, split, configs), slice_number in zip(rows, _cut(rows, tokens, recipe), strict=True):
        values = (
            doc_ids[i], paths[i].as_py(), names[i].as_py(), int(pages[i]), dpis[i], tokens[i], split, configs,
            slice_number,
        )  # fmt: skip
        for name, value in zip(PLAN_SCHEMA.names, values, strict=True):
            columns[name].append(value)
    left_out = dict(sorted(Counter(reason for reason in reasons if reason).items()))
    return Plan(pa.table(columns, schema=PLAN_SCHEMA), left_out, reasons, len(reasons))


def _fit(inventory: pa.Table, chosen: list[int], recipe: Recipe) -> tuple[dict[int, int], dict[int, int]]:
    """Per chosen row: the DPI at which it fits (0: none) and its planned tokens."""
    widths, heights = inventory["widths"], inventory["heights"]
    dpis, tokens = {}, {}
    for i in chosen:
        boxes = list(zip(widths[i].as_py(), heights[i].as_py(), strict=True))
        text = LABEL_TOKENS * len(boxes) + TEXT_RESERVE
        dpi = fit_dpi(boxes, recipe, recipe.select.max_tokens - text)
        dpis[i] = dpi
        if dpi:
            tokens[i] = text + image_tokens(boxes, dpi, recipe.render.max_pixels)
    return dpis, tokens


def _mixture_config(recipe: Recipe, doc_id: str) -> str:
    weights = {c: w for c, w in sorted(recipe.select.mixture.items()) if c in recipe.tasks.configs and w > 0}
    if not weights:
        raise MMProLongError("select.mixture gives no weight to any of tasks.configs; change one of them")
    point = stable_unit(recipe.seed, doc_id, "mixture") * sum(weights.values())
    for config, weight in weights.items():
        point -= weight
        if point < 0:
            return config
    return list(weights)[-1]


def _cut(rows: list[tuple[int, str, list[str]]], tokens: dict[int, int], recipe: Recipe) -> Iterator[int]:
    """The slice number of each row: a slice ends where a shard of it would become too long or too large."""
    number, split = 0, rows[0][1]
    documents: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for i, row_split, configs in rows:
        planned = tokens[i] * BYTES_PER_TOKEN * recipe.qa.per_document
        full = any(
            documents[c] >= recipe.pack.documents_per_slice
            or (documents[c] and size[c] + planned > recipe.pack.shard_bytes)
            for c in configs
        )
        if full or row_split != split:
            number, split = number + 1, row_split
            documents.clear()
            size.clear()
        for config in configs:
            documents[config] += 1
            size[config] += planned
        yield number


def _nothing_selected(inventory: pa.Table, usable: list[int], reasons: list[str], least: int, most: int) -> str:
    counts = Counter(reason for reason in reasons if reason)
    listing = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
    message = f"None of the {len(reasons)} files can be used ({listing or 'no PDF found'})."
    lengths = sorted(int(inventory["pages"][i].as_py()) for i in usable)
    if lengths and (counts["too_few_pages"] or counts["too_many_pages"]):
        low, high = max(1, min(lengths[len(lengths) // 4], least)), max(lengths[-1], 1)
        message += (
            f" The recipe wants documents of {least}-{most} pages; yours have {lengths[0]}-{lengths[-1]}."
            f" Remedy: --set select.pages=[{min(8, low) if lengths[-1] >= 8 else 1},{max(most, high)}]"
        )
    elif counts["too_many_tokens"]:
        message += " Remedy: raise select.max_tokens or lower render.min_dpi."
    elif counts["over_budget"]:
        message += " Remedy: raise select.token_budget; it is smaller than one document's samples."
    return message
