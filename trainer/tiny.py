"""Very small random models with the architecture of the real ones: for trying things on a CPU, and for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch

from .export import write_safetensors
from .prepare import write_config

SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
)  # fmt: skip


def write_tokenizer(folder: Path, texts: Iterable[str], vocabulary: int = 4096) -> int:
    """Train a byte-level BPE on ``texts`` and write ``tokenizer.json``. Returns the size of the vocabulary."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    # Digits one by one, as in Qwen's vocabulary.
    digits = pre_tokenizers.Split(Regex(r"\d"), "isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return int(tokenizer.get_vocab_size())


def tiny_config(
    kind: Literal["qwen2_5_vl", "qwen3_vl"],
    vocabulary: int,
    *,
    hidden: int = 64,
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    rope_theta: float = 1e6,
    tied: bool = False,
) -> Any:
    """A configuration of the real architecture in small; special tokens as ``write_tokenizer`` numbers them."""
    from transformers import Qwen2_5_VLConfig, Qwen3VLConfig

    head = hidden // heads
    half = head // 2
    section = [half - 2 * (half * 3 // 8), half * 3 // 8, half * 3 // 8]
    text: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": 32_768,
        "rms_norm_eps": 1e-6,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "rope_parameters": {"rope_type": "default", "rope_theta": rope_theta, "mrope_section": section},
    }
    vision: dict[str, Any] = {"depth": 2, "hidden_size": hidden // 2, "intermediate_size": hidden, "num_heads": 2}
    vision |= {"out_hidden_size": hidden, "in_channels": 3, "spatial_merge_size": 2, "temporal_patch_size": 2}
    names = {name: number for number, name in enumerate(SPECIAL_TOKENS)}
    common: dict[str, Any] = {
        "image_token_id": names["<|image_pad|>"],
        "video_token_id": names["<|video_pad|>"],
        "vision_start_token_id": names["<|vision_start|>"],
        "vision_end_token_id": names["<|vision_end|>"],
        "tie_word_embeddings": tied,
    }
    if kind == "qwen2_5_vl":
        vision |= {"patch_size": 14, "window_size": 112, "fullatt_block_indexes": [1], "hidden_act": "silu"}
        architectures = ["Qwen2_5_VLForConditionalGeneration"]
        return Qwen2_5_VLConfig(text_config=text, vision_config=vision, architectures=architectures, **common)
    text |= {"head_dim": head}
    text["rope_parameters"] |= {"mrope_interleaved": True}
    vision |= {"patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    architectures = ["Qwen3VLForConditionalGeneration"]
    return Qwen3VLConfig(text_config=text, vision_config=vision, architectures=architectures, **common)


def make_tiny_model(folder: Path, dataset: Path, seed: int = 0) -> int:
    """A tiny Qwen2.5-VL for a dataset: its tokenizer learns from the dataset's texts. Returns the number of parameters.

    Raises:
        MMProLongError: no dataset there, or ``folder`` is in use.
    """
    from mmprolong_data.errors import MMProLongError
    from mmprolong_data.loader import PageStream
    from mmprolong_data.manifest import read_manifest

    from .model import build_model

    if folder.exists() and any(folder.iterdir()):
        raise MMProLongError(f"{folder}: exists and is not empty. Remedy: another folder")
    configs = read_manifest(dataset).configs()
    texts = []
    for pack in PageStream(dataset, configs, pixels=None, pack=False, max_tokens=1 << 24):
        for sample in pack.samples:
            for message in sample.record["messages"]:
                texts += [part["text"] for part in message["content"] if part["text"]]
    vocabulary = write_tokenizer(folder, [*texts, "system", "user", "assistant"])
    config = tiny_config("qwen2_5_vl", vocabulary, rope_theta=4e6)
    write_tiny_model(folder, config, seed)
    return sum(parameter.numel() for parameter in build_model(config).parameters())


def write_tiny_model(folder: Path, config: Any, seed: int = 0) -> None:
    """Write a model folder with random weights: every matrix normal with 1/sqrt(columns), so that signals neither grow
    nor fade; norms 1, biases 0."""
    from .model import build_model

    model = build_model(config)
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2:
            scale = 1.0 if "embed" in name and "patch" not in name else parameter[0].numel() ** -0.5
            tensors[name] = torch.randn(parameter.shape, generator=generator) * scale
        else:
            tensors[name] = torch.full(parameter.shape, 0.0 if name.endswith("bias") else 1.0)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder, tensors.items(), config.model_type, torch.float32)
    write_config(folder, config)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [2]}) + "\n", encoding="utf-8")
