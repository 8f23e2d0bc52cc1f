"""A run's settings as VeOmni's arguments: what it can do alike is translated, what it cannot is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from mmprolong_data.errors import MMProLongError, SettingsError
from mmprolong_data.settings import to_plain

from ..config import TrainConfig
from ..prepare import check_written, load_config
from ..rope import base_of

VERSION = "0.1.12"
"""The VeOmni that this was written for."""

ARGUMENTS_NAME = "veomni.yaml"
SECTION = "mmprolong"
"""Where our own settings are in VeOmni's ``data.mm_configs``."""

HEADER = """\
# A training run for VeOmni {version}, made by 'mmprolong export-veomni'. In VeOmni's environment, which needs mmprolong
# too (docs/training.md, "With VeOmni", says how):
#   torchrun --nproc-per-node 8 -m mmprolong_trainer.veomni.adapter {name}
# Only with the adapter: VeOmni alone shrinks every page to 768 x 28 x 28 pixels, whatever its settings say.
# VeOmni counts steps, not tokens: max_steps is the token budget in full packs.
"""


def veomni_arguments(config: TrainConfig) -> dict[str, Any]:
    """The arguments, as ``veomni.trainer.vlm_trainer.VeOmniVLMArguments`` nests them.

    Raises:
        SettingsError: VeOmni 0.1.12 cannot do what a setting asks for.
    """
    _refuse(config)
    own = to_plain(config)
    kept = {
        "model": ["rope_theta", "dtype"], "data": list(own["data"]), "short_context": list(own["short_context"]),
        "loss": ["target"], "run": ["seed", "global_batch_tokens", "out"],
    }  # fmt: skip
    settings = {section: {name: own[section][name] for name in names} for section, names in kept.items()}
    run, optimizer, parallel = config.run, config.optimizer, config.parallel
    return {
        # The base is not repeated here: the folder has it where VeOmni's transformers looks, and the adapter checks it.
        "model": {
            "model_path": config.model.path,
            "ops_implementation": {"attn_implementation": "flash_attention_2"},
        },
        "data": {
            "train_path": config.data.path,
            "data_type": "conversation",
            "datasets_type": SECTION,
            "max_seq_len": config.data.max_tokens,
            # More samples than steps: the number of steps is max_steps.
            "train_sample": 1 << 40,
            "mm_configs": {SECTION: settings},
            # Our loader has threads of its own, and its position is exact in this process only.
            "dataloader": {"num_workers": 0, "use_background_prefetcher": True, "drop_last": True},
        },
        "train": {
            # A pack is one sample to VeOmni; its own batching would hold 200 decoded ones.
            "dyn_bsz": False,
            "micro_batch_size": 1,
            "global_batch_size": config.packs_per_step(),
            "num_train_epochs": 1,
            "max_steps": -(-run.token_budget // run.global_batch_tokens),
            "seed": run.seed,
            "init_device": "meta",
            "freeze_vit": bool(config.model.freeze),
            "optimizer": {
                "type": "adamw",
                "lr": optimizer.lr,
                "lr_min": optimizer.min_lr,
                "lr_start": 0.0,
                "lr_warmup_ratio": optimizer.warmup,
                "lr_decay_style": "cosine",
                "weight_decay": optimizer.weight_decay,
                "betas": list(optimizer.betas),
                # 0 means none to us; VeOmni would scale every gradient to nothing.
                "max_grad_norm": optimizer.grad_clip or 1e9,
            },
            "gradient_checkpointing": {
                "enable": parallel.checkpoint_language or parallel.checkpoint_vision,
                "enable_reentrant": False,
            },
            "accelerator": {
                "ulysses_size": parallel.sp,
                "fsdp_config": {
                    "fsdp_mode": "fsdp2",
                    "offload": parallel.offload == "parameters",
                    # Enabled for float32 too: without it VeOmni holds bfloat16 weights.
                    "mixed_precision": {
                        "enable": True, "param_dtype": config.model.dtype, "reduce_dtype": "float32",
                    },
                },
                "offload_config": {"enable_activation": parallel.offload == "activations"},
            },
            "checkpoint": {
                "output_dir": run.out,
                "manager": "dcp",
                "load_path": "auto",
                "save_async": run.async_checkpoint,
                "save_steps": run.checkpoint_every,
                "save_hf_weights": run.export,
            },
            "wandb": {"enable": "wandb" in run.trackers, "project": "mmprolong", "name": Path(run.out).name},
        },
    }  # fmt: skip


def export_veomni(config: TrainConfig, out: Path) -> Path:
    """Write ``OUT/veomni.yaml`` for a run whose model folder is prepared. Returns its path.

    Raises:
        MMProLongError: no model there, its base would be misread, or VeOmni cannot do what a setting asks for.
    """
    folder = Path(config.model.path).expanduser()
    model_config = load_config(folder)
    base = base_of(model_config.text_config)
    wanted = config.model.rope_theta
    if wanted is not None and wanted != base:
        raise SettingsError(
            f"config: model.rope_theta = {wanted:g}: {folder} has {base:g}."
            f" Remedy: mmprolong prepare-model --rope-theta {wanted:g}"
        )
    check_written(folder, base)
    arguments = veomni_arguments(config)
    path = out / ARGUMENTS_NAME
    if path.exists():
        raise MMProLongError(f"{path}: exists. Remedy: another folder, or remove it")
    out.mkdir(parents=True, exist_ok=True)
    text = HEADER.format(version=VERSION, name=path) + yaml.safe_dump(arguments, sort_keys=False)
    path.write_text(text, encoding="utf-8")
    return path


def _refuse(config: TrainConfig) -> None:
    frozen = set(config.model.freeze)
    for name, value, fine, can in (
        ("model.freeze", config.model.freeze, frozen in (set(), {"vision", "merger"}), "[] or [vision, merger]"),
        ("optimizer.eps", config.optimizer.eps, config.optimizer.eps == 1e-8, "1e-8"),
        ("run.probe", config.run.probe, not config.run.eval_every_tokens, "no measuring while training"),
        ("guard.skip", config.guard.skip, not config.guard.skip, "0: it leaves no steps out"),
    ):
        if not fine:
            raise SettingsError(f"config: {name} = {value!r}: VeOmni {VERSION} can do {can}")
