"""A training run from start to end: build, resume, steps until the token budget is used, checkpoints, export."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mmprolong_data.errors import MMProLongError, SettingsError
from mmprolong_data.settings import to_plain

from .attention import attach, select_kernel
from .batch import RankBatch
from .checkpoint import Checkpoints
from .config import TrainConfig
from .data import Feed, grouped, num_groups
from .encode import ChatEncoder
from .evaluate.in_training import TrainingProbe
from .export import export_model
from .guard import LossGuard, SignalFlag, StoppedRun
from .images import PageDecoder
from .metrics import METRICS_NAME, MetricsLog, peak_flops, peak_memory, step_flops
from .model import build_model, checkpoint_activations, freeze, layers, load_weights, materialize
from .packed import PackedModel
from .parallel import World, check_heads, shard
from .plot import plot_run
from .prepare import load_config
from .rope import base_of, check_built
from .schedule import learning_rate, make_optimizer, scale_and_clip
from .sources import open_source

Say = Callable[[str], None]


class Trainer:
    """One run on this process. All processes do the same, each with its part of model and data."""

    def __init__(self, config: TrainConfig, world: World, say: Say) -> None:
        """Build everything, and continue from the newest checkpoint in ``run.out`` if there is one.

        Args:
            config: Validated settings.
            world: See ``start_world``.
            say: Takes lines for the user (called on every rank; silent on all but the first).

        Raises:
            MMProLongError: model, dataset and settings do not go together; names what and how to mend it.
        """
        self.config, self.world, self._say = config, world, say
        self._folder = Path(config.model.path).expanduser()
        self._out = Path(config.run.out).expanduser()
        self._packs = self._packs_per_rank()
        self.model = self._build_model()
        self.optimizer = make_optimizer(self.model, config.optimizer)
        self._checkpoints = Checkpoints(self._out / "checkpoints", config.run.keep, config.run.async_checkpoint)
        vision = self.model_config.vision_config
        decoder = PageDecoder(int(vision.patch_size), int(vision.spatial_merge_size), config.data.threads)
        source = open_source(config, self._folder, self.model_config, decoder, world)
        self.step = self.tokens = 0
        history: list[float] = []
        self._data_state: dict[str, Any] = source.state_dict()
        newest = self._checkpoints.latest()
        if newest is not None:
            state = self._checkpoints.load(newest, self.model, self.optimizer, config.identity())
            self.step, self.tokens, history = state["step"], state["tokens"], state["losses"]
            self._data_state = state["data"]
            source.load_state_dict(state["data"])
            say(f"Continuing from {newest}: step {self.step:,}, {self.tokens:,} tokens")
        self._guard = LossGuard(config.guard, history)
        self._feed = Feed(source, world.sp_rank, world.sp, decoder)
        self._probe = self._open_probe(decoder)
        self._log = None
        if world.rank == 0:
            self._log = MetricsLog(self._out, config.run.trackers, to_plain(config), self.step)

    def run(self) -> str:
        """Train until the budget is used or a signal arrives. Returns ``done`` or ``interrupted``.

        Raises:
            StoppedRun: loss or gradients went wrong; the state before that step is saved.
            MMProLongError: the data cannot be used.
        """
        settings = self.config.run
        flag = SignalFlag()
        try:
            while self.tokens < settings.token_budget:
                self._one_step()
                self._checkpoints.poll()
                if self.world.max([float(flag.number)])[0]:
                    self._save()
                    self._say(f"Stopped by a signal after step {self.step:,}; the state is saved.")
                    return "interrupted"
                if settings.checkpoint_every and self.step % settings.checkpoint_every == 0:
                    self._save()
            self._save()
            self._checkpoints.finish()
            if settings.export:
                dtype = torch.bfloat16 if self.config.model.dtype == "bfloat16" else torch.float32
                export_model(self.model.model, self.model_config, self._folder, self._out / "model", dtype)
                self._say(f"Model: {self._out / 'model'}")
            return "done"
        finally:
            flag.restore()
            self._feed.close()
            self._checkpoints.finish()
            if self._log is not None:
                self._log.close()
                self._plot()

    def _plot(self) -> None:
        with contextlib.suppress(ImportError):  # matplotlib may be absent; the numbers are in metrics.jsonl
            if self.step:
                plot_run(self._out / METRICS_NAME, self._out / "metrics.png")

    def check(self) -> str:
        """Make one batch and take no step."""
        try:
            batch = self._feed.next().batch
            self._feed.close()  # nothing reads on while the plan is looked at
            self._say(self._feed.describe())
            self._say(
                f"First pack: {len(batch.keys)} samples, {batch.pages} pages, {batch.tokens:,} tokens,"
                f" {batch.labelled:,} with loss, largest position {batch.max_position:,}. Everything goes together."
            )
            return "checked"
        finally:
            self._feed.close()
            if self._log is not None:
                self._log.close()

    def _one_step(self) -> None:
        begun, waited = time.perf_counter(), self._feed.waited
        tally = _Tally(num_groups())
        self.model.train()
        for _ in range(self._packs):
            ready = self._feed.next()
            tally.add(ready.batch, self.world)
            loss, sums = self.model(ready.batch.to(self.world.device))
            loss.backward()
            tally.add_loss(float(loss.detach()), sums)
        data_state = ready.state
        totals = tally.summed(self.world)
        labelled = totals["labelled"]
        loss_value = totals["loss"] / labelled
        norm = scale_and_clip(self.model, labelled, self.config.optimizer.grad_clip)
        verdict = self._guard.check(loss_value, norm)
        if verdict not in (None, "skip"):
            self.optimizer.zero_grad(set_to_none=True)
            self._save()
            self._checkpoints.finish()
            raise StoppedRun(
                f"step {self.step + 1}: {verdict}. The state before this step is saved in {self._out / 'checkpoints'};"
                f" samples on this rank: {', '.join(tally.keys[:8])}. Remedy: look at them; guard.skip or guard.spike"
            )
        before, tokens = self.tokens, self.tokens + int(totals["tokens"])
        rate = learning_rate(self.config.optimizer, tokens, self.config.run.token_budget)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if verdict is None:
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step, self.tokens, self._data_state = self.step + 1, tokens, data_state
        seconds = time.perf_counter() - begun
        peaks = self.world.max([tally.max_position, float(peak_memory(self.world.device)), self._feed.waited - waited])
        measured = self._measure(before)
        if self._log is not None:
            values = measured | self._values(totals, tally, loss_value, norm, rate, seconds, peaks)
            if verdict == "skip":
                values["skipped"] = True
            self._log.log(values)
            self._say(
                f"step {self.step:>6,}  loss {loss_value:7.4f}  norm {norm:8.3f}  lr {rate:.2e}"
                f"  {values['tokens_per_s']:>9,.0f} tokens/s  fill {values['fill']:.3f}"
                f"  {100 * tokens / self.config.run.token_budget:5.1f} %"
            )

    def _open_probe(self, decoder: PageDecoder) -> TrainingProbe | None:
        config = self.config
        if not config.run.eval_every_tokens or config.run.probe is None:
            return None
        kind, merge = self.model_config.model_type, int(self.model_config.vision_config.spatial_merge_size)
        encoder = ChatEncoder(self._folder, system=kind == "qwen2_5_vl", merge_size=merge)
        path = Path(config.run.probe).expanduser()
        longest = config.data.max_tokens
        return TrainingProbe(path, config.run.probe_per_cell, longest, encoder, decoder, self.world)

    def _measure(self, before: int) -> dict[str, float]:
        """The probe, where a multiple of ``run.eval_every_tokens`` lies behind ``before`` and not behind this step."""
        every = self.config.run.eval_every_tokens
        if self._probe is None or self.tokens // every == before // every:
            return {}
        values = self._probe.measure(self.model)
        said = ", ".join(f"{name.removeprefix('probe/')} {value:.3f}" for name, value in sorted(values.items()))
        self._say(f"probe at {self.tokens:,} tokens, {len(self._probe)} samples: {said}")
        return values

    def _values(
        self,
        totals: dict[str, float],
        tally: _Tally,
        loss: float,
        norm: float,
        rate: float,
        seconds: float,
        peaks: list[float],
    ) -> dict[str, Any]:
        config, world = self.config, self.world
        values: dict[str, Any] = {
            "step": self.step, "tokens": self.tokens, "loss": loss, "lr": rate, "grad_norm": norm,
            "step_tokens": int(totals["tokens"]), "labelled": int(totals["labelled"]), "pages": int(totals["pages"]),
            "samples": int(totals["samples"]),
            "fill": totals["tokens"] / (config.packs_per_step() * config.data.max_tokens),
            "max_position": int(peaks[0]), "memory": int(peaks[1]), "seconds": seconds,
            "tokens_per_s": totals["tokens"] / seconds, "pages_per_s": totals["pages"] / seconds,
            "data_wait": peaks[2] / seconds, "digest": f"{int(totals['digest']):012x}",
        }  # fmt: skip
        peak = peak_flops(world.device)
        if peak is not None:
            flops = step_flops(
                self._sizes,
                int(totals["tokens"]),
                int(totals["patches"]),
                int(totals["labelled"]),
                int(totals["squares"]),
            )
            values["mfu"] = flops / seconds / (peak * world.size)
        return values | grouped(tally.group_sums, tally.group_counts)

    def _save(self) -> None:
        state = {
            "step": self.step, "tokens": self.tokens, "data": self._data_state, "losses": self._guard.history,
            "identity": self.config.identity(), "shape": {"dp": self.world.dp, "sp": self.world.sp},
        }  # fmt: skip
        self._checkpoints.save(self.model, self.optimizer, state)

    def _packs_per_rank(self) -> int:
        packs = self.config.packs_per_step()
        if packs % self.world.dp:
            raise SettingsError(
                f"config: run.global_batch_tokens = {self.config.run.global_batch_tokens:,}: {packs} packs a step"
                f" cannot be spread over {self.world.dp} data-parallel processes"
            )
        return packs // self.world.dp

    def _build_model(self) -> PackedModel:
        config, world = self.config, self.world
        self.model_config = load_config(self._folder)
        base = base_of(self.model_config.text_config)
        wanted = config.model.rope_theta
        if wanted is not None and wanted != base:
            raise SettingsError(
                f"config: model.rope_theta = {wanted:g}: {self._folder} has {base:g}."
                f" Remedy: mmprolong prepare-model --rope-theta {wanted:g}"
            )
        check_heads(self.model_config.text_config, world.sp)
        compute = torch.bfloat16 if config.model.dtype == "bfloat16" else torch.float32
        kernel = select_kernel(config.model.attention, world.device, compute)
        inner = build_model(self.model_config)
        attach(inner)
        freeze(inner, config.model.freeze)
        language, vision = layers(inner)
        offload = config.parallel.offload
        if offload == "parameters" and world.device.type == "cpu":
            raise SettingsError("config: parallel.offload = parameters: needs a GPU to offload from")
        if config.parallel.checkpoint_language:
            checkpoint_activations(language, offload == "activations")
        if config.parallel.checkpoint_vision:
            checkpoint_activations(vision, offload == "activations")
        self._sizes = _sizes(inner, self.model_config)
        model = PackedModel(inner, config.loss.chunk, num_groups(), world.sequence_group)
        shard(model, [*language, *vision], world.mesh, compute, offload == "parameters")
        materialize(model, torch.device("cpu") if offload == "parameters" else world.device, world.device)
        load_weights(inner, self._folder)
        check_built(inner, base)
        trained = sum(p.numel() for p in inner.parameters() if p.requires_grad)
        total = sum(p.numel() for p in inner.parameters())
        self._say(
            f"Model: {self._folder}, {total:,} parameters, {trained:,} trained, RoPE base {base:g},"
            f" attention {kernel}\n"
            f"Processes: {world.size} = dp {world.dp} x sp {world.sp} on {world.device.type};"
            f" a step: {config.packs_per_step()} packs of {config.data.max_tokens:,} tokens"
        )
        return model


class _Tally:
    """Adds up what the packs of one step on this rank contain. Ranks that share packs count them once."""

    def __init__(self, groups: int) -> None:
        self.group_sums, self.group_counts = [0.0] * groups, [0.0] * groups
        self.max_position = 0
        self.keys: list[str] = []
        self._counts = dict.fromkeys(("tokens", "labelled", "pages", "samples", "patches", "squares", "digest"), 0.0)
        self._loss = 0.0
        self._sums: torch.Tensor | None = None

    def add(self, batch: RankBatch, world: World) -> None:
        """Count a pack; its tensors are still on the host."""
        labelled = batch.targets >= 0
        counts = torch.bincount(batch.groups[labelled], minlength=len(self.group_counts)).tolist()
        self.group_counts = [a + b for a, b in zip(self.group_counts, counts, strict=True)]
        self.keys += batch.keys
        self.max_position = max(self.max_position, batch.max_position)
        self._counts["patches"] += int(batch.grid_thw.prod(dim=1).sum()) if batch.has_pages else 0
        if world.sp_rank:
            return
        for name in ("tokens", "labelled", "pages", "squares"):
            self._counts[name] += getattr(batch, name)
        self._counts["samples"] += len(batch.keys)
        # A sum does not depend on which rank had which pack; 40 bits a sample stay exact in float64.
        digests = [int.from_bytes(hashlib.sha256(key.encode()).digest()[:5], "big") for key in batch.keys]
        self._counts["digest"] += float(sum(digests))

    def add_loss(self, loss: float, sums: torch.Tensor) -> None:
        """Count the losses of a pack."""
        self._loss += loss
        self._sums = sums if self._sums is None else self._sums + sums

    def summed(self, world: World) -> dict[str, float]:
        """Totals over all ranks; the groups are summed in place."""
        assert self._sums is not None
        names = [*self._counts, "loss"]
        own = [*self._counts.values(), self._loss, *self._sums.tolist(), *self.group_counts]
        both = world.sum(own)
        groups = len(self.group_counts)
        self.group_sums = both[len(names) : len(names) + groups]
        self.group_counts = both[len(names) + groups :]
        totals = dict(zip(names, both[: len(names)], strict=True))
        if totals["labelled"] == 0:
            raise MMProLongError("a step without a single labelled token: the dataset's answers are empty")
        return totals


def _sizes(model: torch.nn.Module, config: Any) -> dict[str, int]:
    core: Any = model.get_submodule("model")
    text = config.text_config
    head = int(getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads)
    return {
        "language": sum(p.numel() for p in core.language_model.layers.parameters() if p.ndim >= 2),
        "vision": sum(p.numel() for p in core.visual.blocks.parameters() if p.ndim >= 2),
        "head": text.hidden_size * text.vocab_size,
        "attention": text.num_hidden_layers * text.num_attention_heads * head,
    }


def run_training(config: TrainConfig, world: World, check: bool = False) -> str:
    """Build a ``Trainer`` and run it, telling the user on the first rank."""

    def say(line: str) -> None:
        if world.rank == 0:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    trainer = Trainer(config, world, say)
    return trainer.check() if check else trainer.run()
