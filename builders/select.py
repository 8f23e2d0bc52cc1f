"""The plan: which document serves which split, configs and slice. A pure function of inventory and recipe."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmprolong_data.errors import MMProLongError
from mmprolong_data.schema import SPLITS

from .candidates import Candidates, find_candidates
from .recipe import Recipe
from .seeding import stable_unit

EVERY_BELOW = 10_000
"""``select.assignment: auto`` lets every document serve every config below this many documents."""

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
        details: Row of the inventory -> what ``reasons`` alone does not say, for reasons that the plan gave.
        benchmarks: What the documents were compared with (``benchmarks.Benchmark`` as plain values).
        benchmark_index: Name of the file in the work folder with what they were compared with.
    """

    documents: pa.Table
    left_out: dict[str, int]
    reasons: list[str]
    found: int
    details: dict[int, str] = field(default_factory=dict)
    benchmarks: list[dict[str, Any]] = field(default_factory=list)
    benchmark_index: str = ""

    @property
    def num_slices(self) -> int:
        """Number of slices; they are numbered from 0 without gaps."""
        return int(self.documents["slice"][-1].as_py()) + 1 if len(self.documents) else 0

    def only(self, slices: Sequence[int]) -> Plan:
        """The plan of these slices alone."""
        mask = np.isin(self.documents["slice"].to_numpy(), np.asarray(slices, dtype=np.int64))
        return replace(self, documents=self.documents.filter(pa.array(mask)))

    def slice_rows(self, number: int) -> list[dict[str, Any]]:
        """The planned documents of one slice, in order."""
        column = self.documents["slice"].to_numpy()
        start, stop = np.searchsorted(column, [number, number + 1])
        rows: list[dict[str, Any]] = self.documents.slice(int(start), int(stop - start)).to_pylist()
        return rows

    def samples(self) -> dict[str, dict[str, int]]:
        """Planned number of documents by config and split."""
        counts: dict[str, dict[str, int]] = {}
        for batch in self._batches("split", "configs"):
            for split, configs in zip(batch["split"], batch["configs"], strict=True):
                for config in configs:
                    counts.setdefault(config, dict.fromkeys(SPLITS, 0))[split] += 1
        return counts

    def slice_sizes(self) -> list[tuple[int, int]]:
        """Documents and pages of every slice."""
        numbers = self.documents["slice"].to_numpy()
        pages = np.bincount(numbers, weights=self.documents["pages"].to_numpy(), minlength=self.num_slices)
        documents = np.bincount(numbers, minlength=self.num_slices)
        return list(zip(documents.tolist(), map(int, pages), strict=True))

    def fingerprint(self) -> str:
        """SHA-256 of everything in the plan but the paths: equal for the same files in another place."""
        digest = hashlib.sha256()
        for batch in self._batches(*(name for name in PLAN_SCHEMA.names if name != "path")):
            digest.update(repr(list(batch.values())).encode("utf-8", "surrogatepass"))
        digest.update(repr(sorted(self.left_out.items())).encode())
        return digest.hexdigest()

    def fates(self, inventory: pa.Table) -> pa.Table:
        """What the plan says about every file (``FATES_SCHEMA``), in the order of the inventory."""
        reasons = pa.array(self.reasons, pa.string())
        kept = pc.equal(reasons, "")
        details = inventory["detail"].combine_chunks()
        if self.details:
            late = pa.array(self.details.keys(), pa.int64())
            mask = np.zeros(len(inventory), dtype=bool)
            mask[late.to_numpy()] = True
            in_order = [self.details[row] for row in sorted(self.details)]
            details = pc.replace_with_mask(details, pa.array(mask), pa.array(in_order, pa.string()))
        details = pc.if_else(kept, "", details)
        where = pc.index_in(inventory["sha256"], self.documents["doc_id"].combine_chunks())
        splits = pc.if_else(kept, self.documents["split"].combine_chunks().take(where.combine_chunks()), "")
        columns = [inventory[name] for name in ("sha256", "name", "bytes", "pages", "language", "producer")]
        return pa.Table.from_arrays([*columns, reasons, details, splits], schema=FATES_SCHEMA)

    def _batches(self, *columns: str) -> Iterator[dict[str, list[Any]]]:
        """Columns as Python values, some thousand documents at a time."""
        for batch in self.documents.select(columns).to_batches(max_chunksize=8192):
            yield batch.to_pydict()


FATES_SCHEMA = pa.schema(
    [
        ("doc_id", pa.string()),
        ("name", pa.string()),
        ("bytes", pa.int64()),
        ("pages", pa.int32()),
        ("language", pa.string()),
        ("producer", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("split", pa.string()),
    ]
)
"""One row a file found: its reason ("" if it is planned, with its split) as far as the plan knows."""


def make_plan(
    inventory: pa.Table,
    recipe: Recipe,
    verdicts: Mapping[str, tuple[str, str]] | None = None,
    candidates: Candidates | None = None,
) -> Plan:
    """Choose documents, fit their resolution, split, assign configs and cut slices.

    Args:
        inventory: As ``ingest.take_inventory`` gives it.
        recipe: The settings; ``select``, ``render``, ``tasks.configs``, ``pack`` and ``seed`` matter here.
        verdicts: doc_id -> (reason, detail) of candidates that a look at their text left out.
        candidates: ``find_candidates(inventory, recipe)``, if it was called before; its reasons are completed.

    Raises:
        MMProLongError: no document is left; the message says why and what to change.
    """
    chosen = candidates or find_candidates(inventory, recipe)
    reasons, verdicts = chosen.reasons, verdicts or {}
    details: dict[int, str] = {}
    fitting = []
    for position, doc_id in enumerate(chosen.doc_ids):
        if doc_id in verdicts:
            reason, details[chosen.rows[position]] = verdicts[doc_id]
            reasons.set(chosen.rows[position], reason)
        else:
            fitting.append(position)
    every = recipe.select.assignment == "every" or (recipe.select.assignment == "auto" and len(fitting) < EVERY_BELOW)
    rows = []
    spent = 0
    budget = recipe.select.token_budget
    for position in fitting:
        doc_id, tokens = chosen.doc_ids[position], chosen.tokens[position]
        configs = list(recipe.tasks.configs) if every else [_mixture_config(recipe, doc_id)]
        cost = tokens * len(configs)
        if budget is not None and spent + cost > budget:
            reasons.set(chosen.rows[position], "over_budget")
            continue
        spent += cost
        held_out = stable_unit("split", doc_id) < recipe.select.validation
        rows.append((position, "validation" if held_out else "train", configs))
    if not rows:
        raise MMProLongError(_nothing_selected(inventory, chosen, recipe))

    rows.sort(key=lambda row: SPLITS.index(row[1]))  # stable: inside a split the hash order stays
    positions = [row[0] for row in rows]
    table = inventory.select(["sha256", "path", "name", "pages"]).take(pa.array([chosen.rows[i] for i in positions]))
    columns = {
        "doc_id": table["sha256"], "path": table["path"], "name": table["name"], "pages": table["pages"],
        "dpi": [chosen.dpis[i] for i in positions], "tokens": [chosen.tokens[i] for i in positions],
        "split": [row[1] for row in rows], "configs": [row[2] for row in rows],
        "slice": list(_cut(rows, chosen.tokens, recipe)),
    }  # fmt: skip
    arrays = [
        value.cast(field.type) if isinstance(value, pa.ChunkedArray) else pa.array(value, field.type)
        for field, value in zip(PLAN_SCHEMA, columns.values(), strict=True)
    ]
    documents = pa.Table.from_arrays(arrays, schema=PLAN_SCHEMA).combine_chunks()
    return Plan(documents, reasons.counts(), reasons.to_list(), len(reasons.codes), details)


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


def _cut(rows: list[tuple[int, str, list[str]]], tokens: list[int], recipe: Recipe) -> Iterator[int]:
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


def _nothing_selected(inventory: pa.Table, chosen: Candidates, recipe: Recipe) -> str:
    least, most = recipe.page_range()
    counts = Counter(chosen.reasons.counts())
    listing = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
    message = f"None of the {len(inventory)} files can be used ({listing or 'no PDF found'})."
    lengths = sorted(inventory["pages"].take(pa.array(chosen.usable, pa.int64())).to_pylist())
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
