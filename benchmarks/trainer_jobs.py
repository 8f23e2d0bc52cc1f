"""A few steps of one trainer at one length, in a process of its own: what ``trainer.py steps`` starts. Prints JSON.

    python trainer_jobs.py ours FOLDER              our trainer, from the dataset to the optimizer
    python trainer_jobs.py transformers FOLDER      transformers' Trainer and image processor on the same samples

``FOLDER`` holds ``run.yaml`` and what it names. Each step has one document; the first one warms up.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any


class Meter:
    """CPU and wall seconds of steps, from the end of one to the end of the next, so that fetching data counts."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def step(self, loss: float, wait: float) -> None:
        """A step has ended, for which ``wait`` seconds no data were there."""
        cpu, wall = time.process_time(), time.perf_counter()
        self.rows.append({"loss": loss, "cpu": cpu - self._cpu, "seconds": wall - self._wall, "wait": wait})
        self._cpu, self._wall = cpu, wall

    def report(self) -> None:
        """Print what was measured, with the peak of the resident set in MiB."""
        print(json.dumps({"steps": self.rows, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def ours() -> None:
    """Our trainer as a user runs it."""
    import torch
    from mmprolong_trainer.config import TrainConfig
    from mmprolong_trainer.loop import Trainer
    from mmprolong_trainer.parallel import start_world

    from mmprolong_data.settings import load_settings

    torch.set_num_threads(1)
    meter = Meter()

    class Measured(Trainer):
        def _one_step(self) -> None:
            waited = self._feed.waited
            super()._one_step()
            meter.step(self._guard.history[-1], self._feed.waited - waited)

    Measured(load_settings(TrainConfig, "run.yaml"), start_world(1), lambda _: None).run()
    meter.report()


def transformers() -> None:
    """Plain transformers: its Trainer, its image processor, its model with sdpa attention and recomputation."""
    import io

    import torch
    from mmprolong_trainer.config import TrainConfig
    from mmprolong_trainer.encode import ChatEncoder
    from PIL import Image
    from transformers import Qwen2_5_VLForConditionalGeneration, TrainerCallback, TrainingArguments
    from transformers import Trainer as HfTrainer
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from mmprolong_data.loader import PageStream
    from mmprolong_data.settings import load_settings

    torch.set_num_threads(1)
    config = load_settings(TrainConfig, "run.yaml")
    folder = Path(config.model.path)
    stream = PageStream(
        config.data.path, config.data.configs, pixels="jpeg", pack=False, max_tokens=config.data.max_tokens,
        packs_per_step=config.packs_per_step(),
    )  # fmt: skip
    samples = [pack.samples[0] for pack in stream]
    encoder, processor = ChatEncoder(folder), Qwen2VLImageProcessorPil(max_pixels=config.short_context.max_pixels)
    meter, waited = Meter(), [0.0]

    class Documents(torch.utils.data.Dataset[dict[str, Any]]):
        def __len__(self) -> int:
            return len(samples)

        def __getitem__(self, number: int) -> dict[str, Any]:
            begun = time.perf_counter()
            pages = [Image.open(io.BytesIO(page)) for page in samples[number].pages]
            found = processor(images=pages, return_tensors="pt")
            encoded = encoder.encode(samples[number].record["messages"], found["image_grid_thw"].numpy())
            ids = torch.from_numpy(encoded.ids)
            labels = torch.full_like(ids, -100)
            labels[1:] = torch.from_numpy(encoded.targets[:-1])
            waited[0] = time.perf_counter() - begun
            return {
                "input_ids": ids[None], "labels": labels[None], "pixel_values": found["pixel_values"],
                "image_grid_thw": found["image_grid_thw"],
                "mm_token_type_ids": torch.from_numpy(encoded.is_image)[None].int(),
            }  # fmt: skip

    class Recorder(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in logs:
                meter.step(float(logs["loss"]), waited[0])

    class InOrder(HfTrainer):
        def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)  # type: ignore[arg-type]

    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, attn_implementation="sdpa", dtype=torch.float32)
    arguments = TrainingArguments(
        "hf", max_steps=config.run.token_budget // config.data.max_tokens + 1, per_device_train_batch_size=1,
        gradient_checkpointing=True, report_to=[], save_strategy="no", logging_steps=1, use_cpu=True,
        disable_tqdm=True, remove_unused_columns=False, learning_rate=config.optimizer.lr, adam_beta2=0.95,
        weight_decay=0.1, lr_scheduler_type="constant", max_grad_norm=1.0, dataloader_pin_memory=False,
    )  # fmt: skip
    InOrder(
        model, arguments, train_dataset=Documents(), data_collator=lambda rows: rows[0], callbacks=[Recorder()]
    ).train()
    meter.report()


if __name__ == "__main__":
    os.chdir(sys.argv[2])
    {"ours": ours, "transformers": transformers}[sys.argv[1]]()
