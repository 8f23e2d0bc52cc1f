"""Tiny vision-language models and documents for them, and what transformers alone makes of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from mmprolong_trainer import attention, model, tiny
from mmprolong_trainer.batch import Document
from mmprolong_trainer.encode import IGNORED, ChatEncoder
from mmprolong_trainer.packed import PackedModel
from mmprolong_trainer.prepare import load_config

from mmprolong_data.chat import build_messages

TEXTS = ["Page 1: system user assistant You are a helpful assistant. What is the depth? 12.4 m"] * 10
HF_CLASSES = {
    "qwen2_5_vl": transformers.Qwen2_5_VLForConditionalGeneration,
    "qwen3_vl": transformers.Qwen3VLForConditionalGeneration,
}


def tiny_folder(folder: Path, kind: Any = "qwen2_5_vl", **sizes: Any) -> Path:
    """A model folder: tokenizer, random weights, configuration."""
    vocabulary = tiny.write_tokenizer(folder, TEXTS, 400)
    tiny.write_tiny_model(folder, tiny.tiny_config(kind, vocabulary, **sizes))
    return folder


def load_model(folder: Path) -> Any:
    """Our way to the model."""
    config = load_config(folder)
    attention.select_kernel("auto", torch.device("cpu"), torch.float32)
    built = model.build_model(config)
    attention.attach(built)
    model.materialize(built, torch.device("cpu"))
    model.load_weights(built, folder)
    return built


def load_reference(folder: Path, implementation: str = "eager") -> Any:
    """transformers' way to the model."""
    config = load_config(folder)
    reference = HF_CLASSES[config.model_type].from_pretrained(
        folder, attn_implementation=implementation, dtype=torch.float32, local_files_only=True
    )
    return reference.train()


def make_document(folder: Path, pages: Sequence[tuple[int, int]], question: str, seed: int = 0) -> Document:
    """A document with pages of ``(rows, columns)`` patches of noise."""
    config = load_config(folder)
    size = config.vision_config.patch_size
    grid = np.array([[1, rows, columns] for rows, columns in pages], dtype=np.int64).reshape(-1, 3)
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (int(grid.prod(axis=1).sum()), 3 * size * size), dtype=np.uint8)
    encoder = ChatEncoder(folder)
    encoded = encoder.encode(build_messages(question, f"12.{seed} m", len(pages)), grid)
    return Document(encoded, pixels, grid, seed % 3, f"document-{seed}")


def reference_loss(reference: Any, document: Document) -> torch.Tensor:
    """The summed cross-entropy of one document, computed by transformers from ids, labels and float pixels."""
    ids = torch.from_numpy(document.encoded.ids)[None]
    arguments: dict[str, Any] = {}
    if len(document.grid_thw):
        arguments = {
            "pixel_values": PackedModel(reference, 16).normalize(torch.from_numpy(document.pixels), torch.float32),
            "image_grid_thw": torch.from_numpy(document.grid_thw),
            "mm_token_type_ids": torch.from_numpy(document.encoded.is_image.astype(np.int32))[None],
        }
    logits = reference(input_ids=ids, use_cache=False, **arguments).logits[0]
    targets = torch.from_numpy(document.encoded.targets)
    return torch.nn.functional.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
