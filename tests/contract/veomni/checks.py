"""Runs in VeOmni's environment: what our adapter and its collator make of a run, and what VeOmni fixes. Prints JSON.

python checks.py VEOMNI.yaml [VeOmni's options]
"""

from __future__ import annotations

import dataclasses
import json
import sys
import typing
from pathlib import Path
from typing import Any

import yaml


def unknown_keys(kind: Any, values: dict[str, Any], where: str = "") -> list[str]:
    """Keys without a field: VeOmni's parser drops them in silence."""
    hints = typing.get_type_hints(kind)
    found = []
    for key, value in values.items():
        if key not in hints:
            found.append(where + key)
        elif isinstance(value, dict) and dataclasses.is_dataclass(hints[key]):
            found += unknown_keys(hints[key], value, f"{where}{key}.")
    return found


def main() -> None:
    """Print what was found as the last line."""
    from mmprolong_trainer.veomni.adapter import PackTransform, train_config
    from transformers import AutoConfig
    from veomni.arguments import parse_args
    from veomni.data import MainCollator
    from veomni.distributed.parallel_state import init_parallel_state
    from veomni.trainer import vlm_trainer

    written = yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8"))
    result: dict[str, Any] = {"unknown": unknown_keys(vlm_trainer.VeOmniVLMArguments, written)}
    arguments = parse_args(vlm_trainer.VeOmniVLMArguments)
    result["cap"] = vlm_trainer.MAX_PIXELS
    arguments.compute_train_steps()
    result["steps"] = arguments.train_steps
    try:
        settings = train_config(arguments)
    except Exception as error:  # noqa: BLE001 - reported
        print(json.dumps(result | {"error": str(error)}))
        return
    import torch.distributed as dist

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    init_parallel_state(dp_size=1, dp_replicate_size=1, dp_shard_size=1, dp_mode="fsdp2")
    folder = Path(arguments.model.model_path)
    transform = PackTransform(settings, folder, AutoConfig.from_pretrained(folder))
    source = transform.open_packs()
    documents = source.next_documents()
    lengths = [len(document.encoded) for document in documents]
    (sample,) = transform(documents)
    batch = MainCollator()([sample])
    source.close()
    result |= {
        "lengths": lengths,
        "bounds": batch["cu_seq_lens_q"].tolist(),
        "image_tokens": int(batch["image_mask"].sum()),
        "pages": [int(document.grid_thw.prod(axis=1).sum()) // 4 for document in documents],
        "position_shape": list(batch["position_ids"].shape),
        "labels": int((batch["labels"] >= 0).sum()),
        "learnt": sum(int((document.encoded.targets >= 0).sum()) for document in documents),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
