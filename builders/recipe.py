"""The recipe: every setting of a build, its default (the paper's) and its meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mmprolong_data.errors import SettingsError
from mmprolong_data.schema import CONFIG_NAMES
from mmprolong_data.settings import fingerprint, to_plain


@dataclass(frozen=True, slots=True)
class Ingest:
    """Which files are looked at."""

    max_bytes: int = 1 << 30
    """Larger files are left out (``too_large``) without being read."""
    max_pages: int = 2000
    """Documents with more pages are left out (``too_many_pages``) without a look at their boxes."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Limits of the child processes that touch PDFs. Not part of the recipe's hash."""

    memory: int = 4 << 30
    """Address space of a child, in bytes (``memory``)."""
    timeout: float = 300.0
    """Seconds of wall time for one document in one stage (``timeout``)."""
    recycle: int = 200
    """A child is replaced after this many documents."""


@dataclass(frozen=True, slots=True)
class Select:
    """Which documents serve which config and split."""

    distribution: Literal["pool_native", "long_biased"] = "pool_native"
    """``pool_native``: 32-50 pages; ``long_biased``: 50-100 pages. No reweighting inside the range."""
    pages: list[int] | None = None
    """``[least, most]`` pages, both included; overrides the distribution's range."""
    max_tokens: int = 131_072
    """No sample is longer (image and text tokens of the whole conversation)."""
    token_budget: int | None = None
    """Stop selecting when the planned tokens of all samples reach this many."""
    validation: float = 0.05
    """Share of documents, by hash, in the validation split."""
    assignment: Literal["auto", "every", "mixture"] = "auto"
    """``every``: each document serves every config; ``mixture``: exactly one; ``auto``: ``every`` below 10,000."""
    mixture: dict[str, float] = field(
        default_factory=lambda: {"extract_single": 0.4, "extract_multi": 0.4, "reasoning": 0.2}
    )
    """Weights of the configs under ``mixture``."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents are good enough; all off by default (extra curate)."""

    languages: list[str] = field(default_factory=list)
    """ISO codes such as en, zh; ``und`` for what cannot be told; empty: all."""
    min_words: float = 0.0
    """Least words a page, on average (0: off); a page of prose has 300 to 600."""
    max_blank: float = 1.0
    """Largest share of pages that show nothing (1: off)."""
    max_repeated: float = 1.0
    """Largest share of pages whose text stands in another candidate too (1: off)."""
    max_spam: float = 1.0
    """Largest share of words that are spam_words (1: off); 0.005 is a strict value."""
    spam_words: list[str] = field(
        default_factory=lambda: [
            "casino", "jackpot", "viagra", "cialis", "porn", "xxx", "escort", "betting", "payday", "torrent", "keygen",
            "crack", "bonus", "slots", "poker", "replica", "discount", "cheap",
        ]
    )  # fmt: skip
    """Words that count as spam, in lower case."""
    max_forms: float = 1.0
    """Largest share of pages with five or more fields to fill in (1: off)."""


@dataclass(frozen=True, slots=True)
class Dedup:
    """Documents of nearly equal text (equal files are always left out)."""

    near: bool = False
    """Leave out near-duplicates, by MinHash of the text of all pages (extra curate)."""
    threshold: float = 0.8
    """Least Jaccard similarity (of runs of 5 words) of documents that count as one."""


@dataclass(frozen=True, slots=True)
class Decontaminate:
    """Benchmarks that the dataset must not contain."""

    against: list[str] = field(default_factory=list)
    """Folders of PDFs, page images and jsonl of questions; only their last names become part of the dataset."""
    similarity: float = 0.8
    """Least Jaccard similarity of the words of two pages that count as one."""
    distance: int = 32
    """Most bits (of 256) in which the perceptual hashes of two pages differ that count as one."""
    pages: int = 1
    """So many pages of a benchmark make a document contaminated."""


@dataclass(frozen=True, slots=True)
class Render:
    """How pages become images."""

    dpi: int = 144
    """Resolution; 144 makes an A4 page 2,580 tokens."""
    quality: int = 85
    """JPEG quality."""
    max_pixels: int = 12_845_056
    """Most pixels of one page (Qwen2.5-VL's limit); larger pages are rendered smaller."""
    fit: Literal["shrink", "drop"] = "shrink"
    """A document that does not fit max_tokens: lower its DPI until it does, or leave it out."""
    min_dpi: int = 92
    """Never shrink below this."""


@dataclass(frozen=True, slots=True)
class Parse:
    """How pages become blocks."""

    tables: bool = True
    """Look for tables on candidate pages."""
    ocr: Literal["auto", "never"] = "auto"
    """``auto``: scanned pages go to the OCR engine where the ocr extra is installed, else ``needs_ocr``."""
    max_scanned: float = 0.1
    """Without OCR, largest share of scanned pages that a document may have (it then serves no ``ocr_full``)."""


@dataclass(frozen=True, slots=True)
class Segments:
    """The runs of pages that questions are made from."""

    pages: list[int] = field(default_factory=lambda: [8, 15])
    """``[least, most]`` pages of a run of consecutive sections."""


@dataclass(frozen=True, slots=True)
class QA:
    """How questions are made."""

    generator: Literal["programmatic"] = "programmatic"
    """``programmatic`` needs no model."""
    per_document: int = 1
    """Samples a document and VQA config; each holds all page images of the document again."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """How samples are made of questions and text."""

    configs: list[str] = field(default_factory=lambda: list(CONFIG_NAMES))
    """The configs to build."""
    page_labels: bool = True
    """Put ``Page N:`` before each page image."""
    needle_pages: list[int] = field(default_factory=lambda: [1, 3])
    """``[least, most]`` pages to transcribe in ``ocr_needle``."""
    headers: bool = False
    """Keep running headers and footers in transcriptions."""
    tokenizer: str = "estimate"
    """``estimate`` (a stated rule that never counts too few), or the path of a ``tokenizer.json``."""


@dataclass(frozen=True, slots=True)
class Pack:
    """How samples become shards."""

    documents_per_slice: int = 32
    """Most documents of one slice = of one shard."""
    shard_bytes: int = 256 << 20
    """Planned bytes of a shard; a slice closes before it would be larger."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a build. Equal recipes and equal inputs give byte-identical datasets."""

    seed: int = 0
    """Every random choice is a hash of this, the document and the purpose."""
    version: str = "1.0.0"
    """Version of the dataset, ``X.Y.Z``."""
    ingest: Ingest = field(default_factory=Ingest)
    sandbox: Sandbox = field(default_factory=Sandbox)
    select: Select = field(default_factory=Select)
    filters: Filters = field(default_factory=Filters)
    dedup: Dedup = field(default_factory=Dedup)
    decontaminate: Decontaminate = field(default_factory=Decontaminate)
    render: Render = field(default_factory=Render)
    parse: Parse = field(default_factory=Parse)
    segments: Segments = field(default_factory=Segments)
    qa: QA = field(default_factory=QA)
    tasks: Tasks = field(default_factory=Tasks)
    pack: Pack = field(default_factory=Pack)

    def page_range(self) -> tuple[int, int]:
        """Least and most pages of a selected document, both included."""
        if self.select.pages is not None:
            return self.select.pages[0], self.select.pages[1]
        return (32, 50) if self.select.distribution == "pool_native" else (50, 100)

    def content(self) -> dict[str, Any]:
        """The settings that decide the bytes of the dataset: all but ``sandbox``, and no place of a file."""
        plain = to_plain(self)
        del plain["sandbox"]
        # What a benchmark's folder holds is part of what a build is begun with; where it lies is nobody's business.
        plain["decontaminate"]["against"] = [Path(path).name for path in self.decontaminate.against]
        return plain

    def hash(self) -> str:
        """SHA-256 of ``content()``."""
        return fingerprint(self.content())

    def validate(self) -> None:
        """Check ranges that the types cannot express.

        Raises:
            SettingsError: naming the setting, its value and what is allowed.
        """

        def check(ok: bool, name: str, value: object, allowed: str) -> None:
            if not ok:
                raise SettingsError(f"recipe: {name} = {value!r}: must be {allowed}")

        def check_range(name: str, value: list[int]) -> None:
            ok = len(value) == 2 and 1 <= value[0] <= value[1]
            check(ok, name, value, "two numbers [least, most] with 1 <= least <= most")

        if self.select.pages is not None:
            check_range("select.pages", self.select.pages)
        check_range("segments.pages", self.segments.pages)
        check_range("tasks.needle_pages", self.tasks.needle_pages)
        parts = self.version.split(".")
        check(len(parts) == 3 and all(p.isdecimal() for p in parts), "version", self.version, "X.Y.Z")
        for name, low, high in (
            ("render.dpi", 36, 600),
            ("render.quality", 1, 100),
            ("render.min_dpi", 36, 600),
            ("render.max_pixels", 28 * 28, 12_845_056),
            ("select.max_tokens", 1024, 1 << 24),
            ("select.validation", 0.0, 0.9),
            ("filters.min_words", 0.0, 10_000.0),
            ("filters.max_blank", 0.0, 1.0),
            ("filters.max_repeated", 0.0, 1.0),
            ("filters.max_spam", 0.0, 1.0),
            ("filters.max_forms", 0.0, 1.0),
            ("dedup.threshold", 0.5, 1.0),
            ("decontaminate.similarity", 0.5, 1.0),
            ("decontaminate.distance", 0, 64),
            ("decontaminate.pages", 1, 1000),
            ("parse.max_scanned", 0.0, 1.0),
            ("qa.per_document", 1, 100),
            ("pack.documents_per_slice", 1, 1000),
            ("pack.shard_bytes", 1 << 20, 1 << 30),
            ("ingest.max_bytes", 1, 1 << 40),
            ("ingest.max_pages", 1, 1_000_000),
            ("sandbox.memory", 512 << 20, 1 << 50),
            ("sandbox.timeout", 1.0, 86_400.0),
            ("sandbox.recycle", 1, 1_000_000),
        ):
            value: Any = self
            for key in name.split("."):
                value = getattr(value, key)
            check(low <= value <= high, name, value, f"from {low} to {high}")
        budget = self.select.token_budget
        check(budget is None or budget > 0, "select.token_budget", budget, "a positive number")
        configs = self.tasks.configs
        known = bool(configs) and len(set(configs)) == len(configs) and set(configs) <= set(CONFIG_NAMES)
        check(known, "tasks.configs", configs, f"different ones of {', '.join(CONFIG_NAMES)}")
        weights = self.select.mixture
        check(
            bool(weights)
            and set(weights) <= set(CONFIG_NAMES)
            and all(w >= 0 for w in weights.values())
            and sum(weights.values()) > 0,
            "select.mixture",
            weights,
            "config: weight, weights not negative and not all zero",
        )
