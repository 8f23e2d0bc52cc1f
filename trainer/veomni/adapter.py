"""Runs in VeOmni's environment: our packs as its dataset, pages at their full size, and the RoPE base checked.

    torchrun --nproc-per-node 8 -m mmprolong_trainer.veomni.adapter OUT/veomni.yaml

What VeOmni's own ``VLMTrainer`` would do in silence, and ``Trainer`` below does not:

- its processor has ``max_pixels = 768 * 28 * 28``, a constant: an A4 page would have 736 tokens instead of 2,520;
- of the released files of Qwen2.5-VL, whose tensors are named ``visual.*`` and ``model.layers.*``, it would take next
  to nothing with transformers 5.9, and train from random weights (one line of its log lists the "missing" ones);
- its transform would encode ``<|image_pad|>`` in a document's text as the special token;
- its optimizer would take the vision tower's rate from ``vit_lr``, ignore ``betas``, and decay norms and biases.

The rest is VeOmni's.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import IterableDataset
from veomni.arguments import parse_args
from veomni.data.dataset import DATASET_REGISTRY
from veomni.distributed.parallel_state import get_parallel_state
from veomni.trainer.vlm_trainer import VeOmniVLMArguments, VLMTrainer
from veomni.utils.device import get_device_type

from mmprolong_data.errors import MMProLongError, SettingsError
from mmprolong_data.settings import from_plain

from ..batch import Document, make_batch
from ..config import Optimizer, TrainConfig
from ..data import PackSource
from ..encode import IGNORED
from ..images import PageDecoder
from ..model import module_name
from ..parallel import Place
from ..pixels import PixelNormalizer
from ..rope import base_of, check_built
from ..schedule import make_optimizer
from ..sources import open_source
from .arguments import SECTION


def train_config(arguments: Any) -> TrainConfig:
    """Our settings in VeOmni's arguments, where both say the same.

    Raises:
        SettingsError: they contradict each other, or documents of a pack would see each other.
    """
    plain = arguments.data.mm_configs[SECTION]
    plain = plain | {"model": plain["model"] | {"path": arguments.model.model_path}}
    config = from_plain(TrainConfig, plain | {"data": plain["data"] | {"path": arguments.data.train_path}})
    config.validate()
    for name, theirs, ours in (
        ("data.max_seq_len", arguments.data.max_seq_len, config.data.max_tokens),
        ("train.global_batch_size", arguments.train.global_batch_size, config.packs_per_step()),
        ("train.micro_batch_size", arguments.train.micro_batch_size, 1),
        ("train.dyn_bsz", arguments.train.dyn_bsz, False),
        ("data.dataloader.num_workers", arguments.data.dataloader.num_workers, 0),
    ):
        if theirs != ours:
            raise SettingsError(f"{name} = {theirs!r}: must be {ours!r} with data.mm_configs.{SECTION}; export again")
    attention = arguments.model.ops_implementation.attn_implementation
    if config.data.pack and "flash" not in attention:
        raise SettingsError(
            f"model.ops_implementation.attn_implementation = {attention}: documents of a pack would see each other."
            f" Remedy: flash_attention_2, or data.mm_configs.{SECTION}.data.pack = false"
        )
    return config


class PackDataset(IterableDataset):  # type: ignore[type-arg]
    """Packs without end for one data-parallel group; each is one sample to VeOmni. Its state is the data position."""

    def __init__(self, source: PackSource, transform: PackTransform) -> None:
        """Take packs from ``source``."""
        self._source, self._transform = source, transform

    def __iter__(self) -> Iterator[list[dict[str, Tensor]]]:
        while True:
            yield self._transform(self._source.next_documents())

    def state_dict(self) -> dict[str, Any]:
        """The position behind the last pack."""
        return self._source.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind the pack at which ``state`` was taken, on any number of processes."""
        self._source.load_state_dict(state)

    def set_epoch(self, epoch: int) -> None:
        """The source counts its epochs itself."""


class PackTransform:
    """What turns the documents of a pack into one sample of VeOmni's, and opens the source they come from."""

    def __init__(self, settings: TrainConfig, folder: Path, model_config: Any) -> None:
        """Bind settings, model folder and model configuration; nothing is opened yet."""
        self._settings, self._folder, self._model = settings, folder, model_config
        vision = model_config.vision_config
        self._decoder = PageDecoder(int(vision.patch_size), int(vision.spatial_merge_size), settings.data.threads)
        self._normalize = PixelNormalizer(vision)
        self._dtype = torch.bfloat16 if settings.model.dtype == "bfloat16" else torch.float32

    def open_packs(self) -> PackSource:
        """The packs of this process; those of a Ulysses group get the same ones, which VeOmni cuts itself.

        Raises:
            MMProLongError: dataset, model and settings do not go together.
        """
        state = get_parallel_state()
        place = Place(rank=dist.get_rank(), dp_rank=state.dp_rank, dp=state.dp_size, sp=1)
        return open_source(self._settings, self._folder, self._model, self._decoder, place)

    def __call__(self, documents: list[Document]) -> list[dict[str, Tensor]]:
        """The documents as one sample. VeOmni finds their bounds where the first row of positions is 0.

        Returns:
            ``input_ids`` (0 where pages are), ``labels`` (not shifted), ``attention_mask``, ``image_mask`` and
            ``video_mask``: [S]; ``position_ids``: [3, S]; with pages ``pixel_values``: [patches, C * T * p * p], and
            ``image_grid_thw``.
        """
        batch = make_batch(documents, 0, 1, self._decoder)
        labels = torch.full_like(batch.targets, IGNORED)
        labels[1:] = batch.targets[:-1]
        image = torch.zeros_like(labels, dtype=torch.bool)
        image[batch.slots] = True
        features = {
            "input_ids": batch.input_ids.masked_fill(image, 0),
            "labels": labels,
            "attention_mask": torch.ones_like(labels),
            "image_mask": image,
            "video_mask": torch.zeros_like(image),
            "position_ids": batch.position_ids[1:, 0],
        }
        if batch.has_pages:
            features |= {"pixel_values": self._normalize(batch.pixels, self._dtype), "image_grid_thw": batch.grid_thw}
        return [features]


@DATASET_REGISTRY.register(SECTION)  # type: ignore[untyped-decorator]
def build_pack_dataset(transform: PackTransform, **_: Any) -> PackDataset:
    """VeOmni's way to a dataset: ``data.datasets_type`` names it."""
    return PackDataset(transform.open_packs(), transform)


RELEASED_NAMES = {r"^visual\.": "model.visual.", r"^model\.(?!language_model\.|visual\.)": "model.language_model."}
"""Pattern -> replacement: the names of tensors in the released files of Qwen2.5-VL to those of its modules."""


def _tensor_names(folder: Path) -> set[str]:
    from safetensors import safe_open

    names: set[str] = set()
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as tensors:
            names |= set(tensors.keys())
    return names


class _FolderAssets:
    """Saves tokenizer, templates and processor settings of the model folder as they are: no pixel limit gets in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save_pretrained(self, out: str) -> None:
        Path(out).mkdir(parents=True, exist_ok=True)
        for pattern in ("*.json", "*.txt", "*.jinja"):
            for path in self._folder.glob(pattern):
                if path.name != "config.json" and not path.name.endswith(".safetensors.index.json"):
                    shutil.copyfile(path, Path(out) / path.name)


class Trainer(VLMTrainer):  # type: ignore[misc]
    """VeOmni's trainer with our pages, packs and parameter groups."""

    def __init__(self, arguments: Any) -> None:
        """Build everything.

        Raises:
            MMProLongError: model, dataset and settings do not go together, or the RoPE base did not reach the model.
        """
        self.settings = train_config(arguments)
        super().__init__(arguments)
        base = base_of(self.base.model_config.text_config)
        wanted = self.settings.model.rope_theta
        if wanted is not None and base != wanted:
            raise MMProLongError(
                f"{arguments.model.model_path}: RoPE base {base:g}, the run was exported for {wanted:g}"
            )
        check_built(self.base.model, base)

    def _build_model(self) -> None:
        super()._build_model()
        model, folder = self.base.model, Path(self.base.args.model.model_path)
        if self.base.model_config.model_type == "qwen2_5_vl":
            # What VeOmni looks for and transformers 5.9 has moved elsewhere; the same as ``module_name``.
            model._checkpoint_conversion_mapping = RELEASED_NAMES
        held = {module_name(key) for key in _tensor_names(folder)}
        missing = sorted({name for name, _ in model.named_parameters()} - held)
        if self.base.model_config.tie_word_embeddings:
            missing = [name for name in missing if name != "lm_head.weight"]
        if missing:
            raise MMProLongError(f"{folder}: {len(missing)} tensors are missing, such as {', '.join(missing[:3])}")

    def _build_model_assets(self) -> None:
        folder = Path(self.base.args.model.model_path)
        self.base.model_assets = [self.base.model_config, _FolderAssets(folder)]

    def _build_data_transform(self) -> None:
        folder = Path(self.base.args.model.model_path)
        self.base.data_transform = PackTransform(self.settings, folder, self.base.model_config)

    def _build_optimizer(self) -> None:
        chosen = self.base.args.train.optimizer
        settings = Optimizer(lr=chosen.lr, betas=list(chosen.betas), weight_decay=chosen.weight_decay)
        self.base.optimizer = make_optimizer(self.base.model, settings)


def main() -> int:
    """Train as the YAML file says. Returns the exit code."""
    try:
        arguments = parse_args(VeOmniVLMArguments)
        if get_device_type() == "cpu":  # VeOmni knows no backend for it; good for trying a run
            dist.init_process_group("gloo")
        Trainer(arguments).train()
    except MMProLongError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
