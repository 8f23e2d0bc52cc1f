"""The settings of a training run: every setting, its default (the paper's) and its meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from mmprolong_data.schema import CONFIG_NAMES, SPLITS
from mmprolong_data.settings import fingerprint, require, require_ranges, require_weights, to_plain


@dataclass(frozen=True, slots=True)
class Model:
    """Which model, and how it is held."""

    path: str = ""
    """A folder with ``config.json``, safetensors and ``tokenizer.json``: the output of ``mmprolong prepare-model``."""
    rope_theta: float | None = None
    """The RoPE base that the folder must have; a run with another one is refused. Null: the folder decides."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Type of the computation. Master weights, gradients' reduction and optimizer states are always float32."""
    freeze: list[Literal["vision", "merger", "language", "embeddings", "lm_head"]] = field(default_factory=list)
    """Parts that are not trained. ``vision`` is the tower without its merger(s)."""
    attention: Literal["auto", "flash_attn", "varlen", "sdpa"] = "auto"
    """The attention kernel; ``auto`` takes the first of these that runs here, and the log says which."""


@dataclass(frozen=True, slots=True)
class Data:
    """The long-document samples."""

    path: str = "mmprolong"
    """A dataset folder or Hub address, as ``PageStream`` takes it."""
    configs: dict[str, float] = field(
        default_factory=lambda: {"extract_single": 0.4, "extract_multi": 0.4, "reasoning": 0.2}
    )
    """Weight of each config in the mixture."""
    split: str = "train"
    """Split of the dataset."""
    max_tokens: int = 131_072
    """Length of a pack, and the longest sample."""
    pack: bool = True
    """Several documents in one pack where they fit; they never see each other. False: one document a pack."""
    window: int = 256
    """Samples that packing looks at together."""
    threads: int = 4
    """Threads that decode pages, a process."""
    page_labels: bool = True
    """Whether the samples must have (or must lack) ``Page N:`` before each page; a dataset that differs is refused."""
    on_error: Literal["raise", "skip"] = "raise"
    """What a damaged sample does."""


@dataclass(frozen=True, slots=True)
class ShortContext:
    """Short chat or image data, mixed in to keep short-context abilities; a set with ``messages`` and ``images``."""

    path: str | None = None
    """A dataset that ``datasets.load_dataset`` or ``load_from_disk`` reads. Null: none."""
    name: str | None = None
    """Its configuration."""
    split: str = "train"
    """Its split."""
    share: float = 0.0
    """Share of packs that hold short-context samples, 0 to 0.8."""
    max_pixels: int = 1_003_520
    """Larger images are made smaller (1,280 tokens at 28 x 28 pixels a token)."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What is learnt."""

    target: Literal["answers", "all"] = "answers"
    """``answers``: the assistant's turns; ``all``: every text token. Image tokens never carry loss."""
    chunk: int = 1024
    """Positions whose logits exist at a time."""


@dataclass(frozen=True, slots=True)
class Optimizer:
    """AdamW and its schedule, which counts tokens, not steps."""

    lr: float = 1e-5
    """Peak learning rate."""
    min_lr: float = 1e-6
    """Learning rate at the end of the cosine."""
    warmup: float = 0.1
    """Share of the token budget over which the rate rises linearly from 0."""
    betas: list[float] = field(default_factory=lambda: [0.9, 0.95])
    """Decay of the moments."""
    eps: float = 1e-8
    """Added to the root of the second moment."""
    weight_decay: float = 0.1
    """Decoupled decay of matrices; vectors (norms, biases) are not decayed."""
    grad_clip: float = 1.0
    """Largest global gradient norm; 0: no clipping."""


@dataclass(frozen=True, slots=True)
class Parallel:
    """How the work is spread over processes. World size = dp x sp; dp follows."""

    sp: int = 1
    """Ulysses sequence parallelism: processes that share one pack. Must divide the number of query heads."""
    checkpoint_language: bool = True
    """Recompute the language layers' activations in the backward pass."""
    checkpoint_vision: bool = True
    """The same for the vision tower."""
    offload: Literal["none", "activations", "parameters"] = "none"
    """Keep checkpointed activations, or parameters and optimizer states, in host memory."""


@dataclass(frozen=True, slots=True)
class Guard:
    """When a run stops by itself, its state saved."""

    spike: float = 3.0
    """Stop when the loss is above this many times the median of the last ``window`` steps; 0: never."""
    window: int = 50
    """Steps of the median; no spike is looked for before there are so many."""
    skip: int = 0
    """Steps with a NaN or infinite loss or gradient that are left out (and logged) before the run stops."""


@dataclass(frozen=True, slots=True)
class Run:
    """Length, output, checkpoints, metrics."""

    out: str = "runs/mmprolong"
    """Folder of checkpoints, metrics and the final model."""
    token_budget: int = 5_368_709_120
    """Tokens (image and text) after which the run ends: 5 x 2^30."""
    global_batch_tokens: int = 4_194_304
    """Tokens of one optimizer step if all packs are full: this / data.max_tokens packs, spread over dp."""
    seed: int = 0
    """Order of the data."""
    checkpoint_every: int = 50
    """Steps between checkpoints; 0: only at the end."""
    keep: int = 2
    """Checkpoints kept."""
    async_checkpoint: bool = True
    """Write checkpoints while training goes on."""
    export: bool = True
    """Write a Hugging Face model folder at the end (OUT/model)."""
    probe: str | None = None
    """A suite of ``mmprolong build-probe`` (or a dataset: its validation split) that is measured while training."""
    eval_every_tokens: int = 0
    """Tokens between two measurements of the probe; 0: none."""
    probe_per_cell: int = 1
    """Samples of each task at each length that are measured."""
    trackers: list[Literal["tensorboard", "wandb", "trackio"]] = field(default_factory=list)
    """Besides OUT/metrics.jsonl."""
    threads: int = 0
    """CPU threads of torch a process; 0: torch decides."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """All settings of a run."""

    model: Model = field(default_factory=Model)
    data: Data = field(default_factory=Data)
    short_context: ShortContext = field(default_factory=ShortContext)
    loss: Loss = field(default_factory=Loss)
    optimizer: Optimizer = field(default_factory=Optimizer)
    parallel: Parallel = field(default_factory=Parallel)
    guard: Guard = field(default_factory=Guard)
    run: Run = field(default_factory=Run)

    def packs_per_step(self) -> int:
        """Packs of one optimizer step, over all processes."""
        return self.run.global_batch_tokens // self.data.max_tokens

    def identity(self) -> dict[str, Any]:
        """The settings that decide the loss curve: a checkpoint is continued only with the same ones.

        How the work is spread, where output goes and how it is guarded may change between two parts of a run.
        """
        plain = to_plain(self)
        for section, names in {
            "model": ("attention", "path"),
            "data": ("threads", "path"),
            "short_context": ("path",),
            "loss": ("chunk",),
            "run": (
                *("out", "checkpoint_every", "keep", "async_checkpoint", "export", "trackers", "threads"),
                *("probe", "eval_every_tokens", "probe_per_cell"),
            ),
        }.items():
            for name in names:
                del plain[section][name]
        del plain["parallel"], plain["guard"]
        return plain

    def hash(self) -> str:
        """SHA-256 of ``identity()``."""
        return fingerprint(self.identity())

    def validate(self) -> None:
        """Check ranges that the types cannot express.

        Raises:
            SettingsError: naming the setting, its value and what is allowed.
        """

        def check(ok: bool, name: str, value: object, allowed: str) -> None:
            require(ok, "config", name, value, allowed)

        check(bool(self.model.path), "model.path", self.model.path, "a model folder made by 'mmprolong prepare-model'")
        require_weights(self.data.configs, "config", "data.configs", CONFIG_NAMES)
        check(self.data.split in SPLITS, "data.split", self.data.split, f"one of {', '.join(SPLITS)}")
        ranges: tuple[tuple[str, float, float], ...] = (
            ("data.max_tokens", 64, 1 << 24),
            ("data.window", 1, 1 << 20),
            ("data.threads", 1, 1024),
            ("short_context.share", 0.0, 0.8),
            ("short_context.max_pixels", 56 * 56, 12_845_056),
            ("loss.chunk", 1, 1 << 24),
            ("optimizer.lr", 0.0, 1.0),
            ("optimizer.min_lr", 0.0, self.optimizer.lr),
            ("optimizer.warmup", 0.0, 1.0),
            ("optimizer.eps", 0.0, 1.0),
            ("optimizer.weight_decay", 0.0, 10.0),
            ("optimizer.grad_clip", 0.0, 1e9),
            ("parallel.sp", 1, 4096),
            ("guard.spike", 0.0, 1e9),
            ("guard.window", 1, 1 << 20),
            ("guard.skip", 0, 1 << 20),
            ("run.token_budget", 1, 1 << 60),
            ("run.checkpoint_every", 0, 1 << 30),
            ("run.keep", 1, 1 << 20),
            ("run.threads", 0, 4096),
            ("run.eval_every_tokens", 0, 1 << 60),
            ("run.probe_per_cell", 1, 1 << 20),
        )
        require_ranges(self, "config", ranges)
        probe, short = self.run.probe, self.short_context
        check(not self.run.eval_every_tokens or bool(probe), "run.probe", probe, "set where eval_every_tokens > 0")
        betas = self.optimizer.betas
        check(len(betas) == 2 and all(0 <= b < 1 for b in betas), "optimizer.betas", betas, "two numbers in [0, 1)")
        batch, length = self.run.global_batch_tokens, self.data.max_tokens
        whole = batch >= length and batch % length == 0
        check(whole, "run.global_batch_tokens", batch, f"a multiple of data.max_tokens ({length:,})")
        check(short.share == 0 or bool(short.path), "short_context.path", short.path, "set where share > 0")
