"""The recipe: every setting of a build, its default (the paper's) and its meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mmprolong_data.llm.settings import LLM
from mmprolong_data.llm.types import Endpoint
from mmprolong_data.schema import CONFIG_NAMES
from mmprolong_data.settings import fingerprint, require, require_ranges, require_weights, to_plain

MODEL_CHECKS = ("closed_book", "evidence", "without_evidence", "rivals", "judge")
"""The checks by models, in order of their cost."""

_OURS = {"model", "messages", "stream", "n", "api_key"}
"""Fields of a request that ``qa.extra`` may not set: the answer would be another one, or a secret be published."""


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
    recycle: int = 1000
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
    hidden_text: bool = False
    """Believe text that is not painted, which other OCR programs put behind scans; else such pages are read anew."""
    ocr: Literal["auto", "never", "require"] = "auto"
    """``auto``: scanned pages are read where the ocr extra is installed; ``require``: it must be; ``never``."""
    max_scanned: float = 0.1
    """Without OCR, largest share of scanned pages that a document may have (it then serves no ``ocr_full``)."""


@dataclass(frozen=True, slots=True)
class Ocr:
    """How scanned pages are read. A page with a text layer that can be trusted is not touched by any of this."""

    engine: Literal["paddleocr", "tesseract", "ppstructure", "vl"] = "paddleocr"
    """``paddleocr``, the ``tesseract`` program, ``ppstructure`` (PP-StructureV3) or ``vl`` (PaddleOCR-VL)."""
    model: str = "small"
    """PP-OCRv6 ``small`` or ``tiny`` (4x faster) come by pip; other names of PaddleOCR's are downloaded."""
    server: str = ""
    """Of vl alone: URL of a server that has it, such as http://localhost:8118/v1. Not part of the recipe's hash."""
    server_backend: Literal[
        "vllm-server", "sglang-server", "fastdeploy-server", "mlx-vlm-server", "llama-cpp-server"
    ] = "vllm-server"
    """Of vl alone: what serves it."""
    server_model: str = ""
    """Of vl alone: the model's name on the server, where it is another one than PaddleOCR's."""
    dpi: int = 144
    """Resolution at which pages are read."""
    languages: str = "eng"
    """Of tesseract alone: its language packs, such as ``deu+fra``."""
    other_scripts: str = ""
    """Of paddleocr alone: tesseract's language packs, such as ``rus+ukr``, for pages that ``model`` cannot read."""
    device: str = "cpu"
    """Of paddleocr alone: ``cpu``, or ``gpu:0`` where the installed onnxruntime or paddlepaddle can use one."""
    backend: Literal["onnxruntime", "paddle"] = "onnxruntime"
    """Of paddleocr alone: what computes; ``paddle`` needs paddlepaddle, which no extra installs."""
    straighten: bool = True
    """Turn pages that lie on their side or head, and level out skew of up to 5 degrees."""
    layout: bool = True
    """Ask a layout model for titles, tables, figures, headers and footers; else line heights alone decide."""
    check: float = 0.01
    """Share of trusted text pages that are read too (by ``tiny``), to see whether the text layer tells the truth."""
    agreement: float = 0.8
    """Least similarity of a checked page; below it all pages of the document are read by OCR."""
    certainty: float = 0.88
    """Of paddleocr alone: least mean score of a page's characters; a page below it counts as failed."""
    max_errors: float = 0.02
    """Largest share of scanned pages that may fail; beyond it the document is left out (``ocr_error``)."""


def ocr_content(settings: Ocr) -> dict[str, Any]:
    """The settings that decide what is read, without those of engines that are not used (they came later)."""
    plain = to_plain(settings)
    del plain["server"]
    if settings.engine != "vl":
        del plain["server_backend"], plain["server_model"]
    return plain


@dataclass(frozen=True, slots=True)
class OcrLimits:
    """Limits of the child processes that recognize text. Not part of the recipe's hash."""

    workers: int | None = None
    """Processes; default: as --workers, but one for every 3 GB of the machine's memory at most."""
    memory: int = 10 << 30
    """Address space of a child, in bytes (``memory``); what it really uses stays below 3 GB."""
    page_timeout: float = 60.0
    """Seconds of wall time for one page (``timeout``)."""
    window: int = 8
    """Pages that a child is given at a time, 64 at most."""
    recycle: int = 400
    """A child is replaced after this many pages."""
    cache: str = ""
    """Folder of the pages read so far; default: in the build's work folder. Builds may share one."""


@dataclass(frozen=True, slots=True)
class Ray:
    """What a task of ``--engine ray`` takes of its cluster. Not part of the recipe's hash."""

    cpus: int = 1
    """CPUs of a task, and sandboxed processes that it runs."""
    gpus: float | None = None
    """GPUs of a task; default: one where OCR runs on it (ocr.device), else none."""
    memory: int = 0
    """Bytes that Ray sets aside for a task (0: none); for scheduling only, sandbox.memory is what limits."""
    resources: dict[str, float] = field(default_factory=dict)
    """Further resources of a task, as your cluster names them."""
    slices: int | None = None
    """Slices a task; default: so many that every CPU gets some four tasks, 8 at most."""
    retries: int = 3
    """How often a task is begun again after its process or its machine was lost."""


@dataclass(frozen=True, slots=True)
class Segments:
    """The runs of pages that questions are made from."""

    pages: list[int] = field(default_factory=lambda: [8, 15])
    """``[least, most]`` pages of a run of consecutive sections."""


@dataclass(frozen=True, slots=True)
class QA:
    """How questions are made."""

    generator: Literal["programmatic", "openai"] = "programmatic"
    """``programmatic`` needs no model; ``openai``: a model at any OpenAI-compatible endpoint looks at the pages."""
    per_document: int = 1
    """Samples a document and VQA config; each holds all page images of the document again."""
    model: str = ""
    """Name of the model, for ``openai`` and ``paraphrase``."""
    base_url: str = "https://api.openai.com/v1"
    """The endpoint, such as http://localhost:8000/v1. Not part of the recipe's hash."""
    mode: Literal["chat", "batch"] = "chat"
    """``batch``: through the endpoint's batch API: cheaper, hours later. Not part of the recipe's hash."""
    pages: Literal["images", "both", "text"] = "images"
    """What the model sees of a page: its image, its text as parsed, or both."""
    image_dpi: int | None = None
    """Resolution of the images that the model sees; by default that of the dataset."""
    page_characters: int = 6000
    """Most characters of a page's text that the model sees."""
    extra: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Model: further fields of its requests, such as {NAME: {chat_template_kwargs: {enable_thinking: false}}}."""
    attempts: int = 4
    """Most questions that are asked for before a sample of a document and config is given up."""
    temperature: float = 0.7
    """Sampling temperature for questions."""
    max_tokens: int = 4096
    """Most tokens of a reply; models that think before they answer need more."""
    paraphrase: bool = False
    """Let the model reword the questions of ``programmatic``, keeping anchor and answer (checked)."""


@dataclass(frozen=True, slots=True)
class Verify:
    """Checks by models, for questions of the generator ``openai``. Those of ``programmatic`` carry proofs."""

    checks: list[str] = field(default_factory=lambda: ["closed_book", "evidence"])
    """Any of closed_book (without pages: must fail), evidence (evidence pages only: must succeed), without_evidence
    (the segment's other pages: must fail), rivals (other windows of the document: must give no other answer), judge."""
    models: dict[str, str] = field(default_factory=dict)
    """Check: model; by default ``qa.model``. A judge should be another model."""
    base_urls: dict[str, str] = field(default_factory=dict)
    """Check: endpoint; by default ``qa.base_url``. Not part of the recipe's hash."""
    key_envs: dict[str, str] = field(default_factory=dict)
    """Check: the environment variable that holds its API key; by default ``llm.key_env``. Not part of the hash."""
    votes: int = 3
    """Answers from the evidence pages."""
    votes_needed: int = 2
    """How many of them have to be right."""
    rival_windows: int = 2
    """Windows of the document in which a rival answer is looked for."""
    one_page: Literal["relabel", "drop"] = "relabel"
    """An ``extract_multi`` question that one page answers becomes ``extract_single``, or is dropped."""


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
    ocr: Ocr = field(default_factory=Ocr)
    ocr_limits: OcrLimits = field(default_factory=OcrLimits)
    ray: Ray = field(default_factory=Ray)
    segments: Segments = field(default_factory=Segments)
    qa: QA = field(default_factory=QA)
    verify: Verify = field(default_factory=Verify)
    llm: LLM = field(default_factory=LLM)
    tasks: Tasks = field(default_factory=Tasks)
    pack: Pack = field(default_factory=Pack)

    def page_range(self) -> tuple[int, int]:
        """Least and most pages of a selected document, both included."""
        if self.select.pages is not None:
            return self.select.pages[0], self.select.pages[1]
        return (32, 50) if self.select.distribution == "pool_native" else (50, 100)

    def content(self) -> dict[str, Any]:
        """The settings that decide the bytes of the dataset: no limits, no ``llm``, and no place of a file or model."""
        plain = to_plain(self)
        for section, name in (("qa", "base_url"), ("qa", "mode"), ("verify", "base_urls"), ("verify", "key_envs")):
            del plain[section][name]
        # They came later: recipes without them keep their hash.
        if not self.qa.extra:
            del plain["qa"]["extra"]
        plain["ocr"] = ocr_content(self.ocr)
        del plain["sandbox"], plain["ocr_limits"], plain["ray"], plain["llm"]
        # What a benchmark's folder holds is part of what a build is begun with; where it lies is nobody's business.
        plain["decontaminate"]["against"] = [Path(path).name for path in self.decontaminate.against]
        return plain

    def uses_model(self) -> bool:
        """Whether a build asks a language model."""
        return self.qa.generator == "openai" or self.qa.paraphrase

    def endpoint(self, check: str = "") -> Endpoint:
        """Whom one of the checks by models asks; by default, and without a check, whoever writes the questions."""
        model = self.verify.models.get(check) or self.qa.model
        url = self.verify.base_urls.get(check) or self.qa.base_url
        price = self.llm.prices.get(model)
        key_env = self.verify.key_envs.get(check) or self.llm.key_env
        return Endpoint(model, url, key_env, (price[0], price[1]) if price else None, self.qa.extra.get(model, {}))

    def endpoints(self) -> list[Endpoint]:
        """All that a build asks."""
        checks = self.verify.checks if self.qa.generator == "openai" else []
        return [self.endpoint(check) for check in ("", *checks)] if self.uses_model() else []

    def hash(self) -> str:
        """SHA-256 of ``content()``."""
        return fingerprint(self.content())

    def validate(self) -> None:
        """Check ranges that the types cannot express.

        Raises:
            SettingsError: naming the setting, its value and what is allowed.
        """

        def check(ok: bool, name: str, value: object, allowed: str) -> None:
            require(ok, "recipe", name, value, allowed)

        def check_range(name: str, value: list[int]) -> None:
            ok = len(value) == 2 and 1 <= value[0] <= value[1]
            check(ok, name, value, "two numbers [least, most] with 1 <= least <= most")

        if self.select.pages is not None:
            check_range("select.pages", self.select.pages)
        check_range("segments.pages", self.segments.pages)
        check_range("tasks.needle_pages", self.tasks.needle_pages)
        parts = self.version.split(".")
        check(len(parts) == 3 and all(p.isdecimal() for p in parts), "version", self.version, "X.Y.Z")
        ranges: tuple[tuple[str, float, float], ...] = (
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
            ("qa.attempts", 1, 100),
            ("qa.temperature", 0.0, 2.0),
            ("qa.max_tokens", 16, 1 << 20),
            ("qa.page_characters", 100, 1 << 20),
            ("verify.votes", 1, 25),
            ("verify.votes_needed", 1, self.verify.votes),
            ("verify.rival_windows", 1, 20),
            ("llm.concurrency", 1, 4096),
            ("llm.tries", 1, 100),
            ("llm.timeout", 0.1, 86_400.0),
            ("llm.batch_size", 1, 50_000),
            ("pack.documents_per_slice", 1, 1000),
            ("pack.shard_bytes", 1 << 20, 1 << 30),
            ("ingest.max_bytes", 1, 1 << 40),
            ("ingest.max_pages", 1, 1_000_000),
            ("sandbox.memory", 512 << 20, 1 << 50),
            ("sandbox.timeout", 1.0, 86_400.0),
            ("sandbox.recycle", 1, 1_000_000),
            ("ocr.dpi", 72, 400),
            ("ocr.check", 0.0, 1.0),
            ("ocr.agreement", 0.0, 1.0),
            ("ocr.certainty", 0.0, 1.0),
            ("ocr.max_errors", 0.0, 1.0),
            ("ocr_limits.memory", 2 << 30, 1 << 50),
            ("ocr_limits.page_timeout", 1.0, 86_400.0),
            ("ocr_limits.window", 1, 64),
            ("ocr_limits.recycle", 1, 1_000_000),
            ("ray.cpus", 1, 1024),
            ("ray.memory", 0, 1 << 50),
            ("ray.retries", 0, 1000),
        )
        require_ranges(self, "recipe", ranges)
        dpi = self.qa.image_dpi
        check(dpi is None or 36 <= dpi <= 600, "qa.image_dpi", dpi, "from 36 to 600")
        check(set(self.verify.checks) <= set(MODEL_CHECKS), "verify.checks", self.verify.checks, f"of {MODEL_CHECKS}")
        for name, table in (
            ("models", self.verify.models),
            ("base_urls", self.verify.base_urls),
            ("key_envs", self.verify.key_envs),
        ):
            check(set(table) <= set(MODEL_CHECKS), f"verify.{name}", table, f"check: value, checks of {MODEL_CHECKS}")
        for name in (self.llm.key_env, *self.verify.key_envs.values()):
            variable = name.replace("_", "a").isalnum() and name.isascii() and not name[:1].isdigit()
            # A key that was put here by mistake must not be repeated in the message.
            check(variable, "llm.key_env or verify.key_envs", "...", "the name of an environment variable, not the key")
        header = self.llm.key_header.replace("-", "a")
        check(not header or (header.isalnum() and header.isascii()), "llm.key_header", "...", "the name of a header")
        secret = [name for name in self.llm.query if any(word in name.lower() for word in ("key", "token", "secret"))]
        check(not secret, "llm.query", f"{secret}", "without keys: they belong into the environment")
        check(
            not _OURS & {name for fields in self.qa.extra.values() for name in fields},
            "qa.extra",
            self.qa.extra,
            f"without {', '.join(sorted(_OURS))}",
        )
        prices = self.llm.prices
        check(all(len(p) == 2 and min(p) >= 0 for p in prices.values()), "llm.prices", prices, "model: [input, output]")
        if self.uses_model():
            check(bool(self.qa.model), "qa.model", self.qa.model, "the name of a model")
            for name in (self.qa.model, *self.verify.models.values()):
                # It is published with every sample.
                path = name.startswith(("/", "~", ".")) or "\\" in name
                check(not path, "model", name, "a name, no path; vLLM and SGLang take --served-model-name")
            for url in (self.qa.base_url, *self.verify.base_urls.values()):
                Endpoint("any", url)
        budget = self.select.token_budget
        check(budget is None or budget > 0, "select.token_budget", budget, "a positive number")
        gpus, most = self.ray.gpus, self.ray.slices
        check(gpus is None or gpus >= 0, "ray.gpus", gpus, "not negative")
        check(most is None or most > 0, "ray.slices", most, "a positive number")
        check(min(self.ray.resources.values(), default=1) > 0, "ray.resources", self.ray.resources, "name: amount")
        workers = self.ocr_limits.workers
        check(workers is None or workers > 0, "ocr_limits.workers", workers, "a positive number")
        configs = self.tasks.configs
        known = bool(configs) and len(set(configs)) == len(configs) and set(configs) <= set(CONFIG_NAMES)
        check(known, "tasks.configs", configs, f"different ones of {', '.join(CONFIG_NAMES)}")
        require_weights(self.select.mixture, "recipe", "select.mixture", CONFIG_NAMES)
