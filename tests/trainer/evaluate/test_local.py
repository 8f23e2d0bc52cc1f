"""The transformers backend: a key-value cache that changes nothing, and an overfitted model that finds its answers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmprolong_trainer.batch import Document, make_batch
from mmprolong_trainer.evaluate.backends.local import LocalBackend, model_identity
from mmprolong_trainer.evaluate.evaluation import evaluate
from mmprolong_trainer.evaluate.generation import Generator
from mmprolong_trainer.evaluate.items import IMAGE, Item, Suite
from mmprolong_trainer.evaluate.suites import open_suite
from mmprolong_trainer.export import export_model
from mmprolong_trainer.prepare import load_config
from support.builds import run
from support.samples import document_pages, make_sample, write_dataset
from support.vlm import load_reference, tiny_folder

CPU = torch.device("cpu")
PAGES = list(document_pages(1, 2, 84, 112))
MESSAGES = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Page 1:"}, {"type": "image", "text": None}, {"type": "text", "text": "Page 2:"},
            {"type": "image", "text": None}, {"type": "text", "text": "What is the depth? <|image_pad|>"},
        ],
    }
]  # fmt: skip


@pytest.mark.parametrize("kind", ["qwen2_5", "qwen3"])
def test_the_cache_gives_what_a_whole_forward_pass_gives(kind: str, request: pytest.FixtureRequest) -> None:
    generator = Generator(request.getfixturevalue(kind), CPU, torch.float32)
    grid = generator._decoder.grid(PAGES, "x")
    text = generator.reply(MESSAGES, PAGES, 12, "Answer:")
    encoded, position = generator.encode(MESSAGES, grid, "Answer:")
    ids: list[int] = []
    for _ in range(12):  # the same greedy tokens, each from a forward pass over everything before it
        tail = torch.arange(len(ids)).numpy()
        longer = dataclasses.replace(
            encoded,
            ids=torch.cat([torch.from_numpy(encoded.ids), torch.tensor(ids, dtype=torch.int64)]).numpy(),
            targets=torch.cat([torch.from_numpy(encoded.targets), torch.full((len(ids),), -100)]).numpy(),
            positions=torch.cat(
                [torch.from_numpy(encoded.positions.copy()), torch.from_numpy(tail + position).expand(3, -1)], dim=1
            ).numpy(),
            is_image=torch.cat([torch.from_numpy(encoded.is_image), torch.zeros(len(ids), dtype=torch.bool)]).numpy(),
        )
        batch = make_batch([Document(longer, None, grid, 0, "x", PAGES)], 0, 1, generator._decoder)
        with torch.no_grad():
            hidden = generator.model.hidden_states(batch)
            head: Any = generator.model.model.lm_head
            number = int(head(hidden[-1]).argmax())
        if number == generator._end:
            break
        ids.append(number)
    assert text == generator._encoder.decode(ids)
    assert ids


def test_greedy_replies_are_those_of_transformers(qwen2_5: Path) -> None:
    generator = Generator(qwen2_5, CPU, torch.float32)
    reference = load_reference(qwen2_5).eval()
    grid = generator._decoder.grid(PAGES, "x")
    encoded, _ = generator.encode(MESSAGES, grid)
    pixels = generator._decoder.decode(PAGES, grid, "x")
    produced = reference.generate(
        input_ids=torch.from_numpy(encoded.ids)[None],
        attention_mask=torch.ones(1, len(encoded), dtype=torch.int64),
        pixel_values=generator.model.normalize(torch.from_numpy(pixels), torch.float32),
        image_grid_thw=torch.from_numpy(grid),
        mm_token_type_ids=torch.from_numpy(encoded.is_image.astype("int32"))[None],
        max_new_tokens=10,
        do_sample=False,
        eos_token_id=generator._end,
    )
    ids = [int(n) for n in produced[0, len(encoded) :] if int(n) != generator._end]
    assert generator.reply(MESSAGES, PAGES, 10) == generator._encoder.decode(ids)


def answers_suite() -> Suite:
    """Four documents of one to three pages, at two lengths; which answer is right shows on the pages alone."""

    def item(number: int) -> Item:
        pages = list(document_pages(50 + number, 1 + number % 3))
        parts = [part for page in range(len(pages)) for part in (f"Page {page + 1}:", IMAGE)]
        return Item(
            f"q{number}", "find", (*parts, "What is the depth?"), tuple(f"{number}/{p}" for p in range(len(pages))),
            lambda: pages, "What is the depth?", f"{number + 1}2.4 m", length=1024 << (number % 2), depth=0.0,
            evidence=(0,), max_tokens=16,
        )  # fmt: skip

    return Suite("find", [item(n) for n in range(4)])


def overfit(folder: Path, out: Path, suite: Suite, steps: int = 120) -> None:
    """Train all weights on the answers of a suite, with the trainer's loss."""
    torch.manual_seed(0)
    generator = Generator(folder, CPU, torch.float32)
    model = generator.model.train().requires_grad_(True)
    batches = []
    for item in suite.items:
        pages = list(item.load())
        grid = generator._decoder.grid(pages, item.key)
        answer = {"role": "assistant", "content": [{"type": "text", "text": item.answer}]}
        encoded = generator._encoder.encode([*item.messages(), answer], grid)
        batches.append(make_batch([Document(encoded, None, grid, 0, item.key, pages)], 0, 1, generator._decoder))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        total = 0.0
        for batch in batches:
            loss = model(batch)[0] / batch.labelled
            loss.backward()
            total += float(loss.detach())
        optimizer.step()
        optimizer.zero_grad()
        if total < 0.02:
            break
    export_model(model.model, load_config(folder), folder, out, torch.float32)


def test_an_overfitted_model_finds_its_answers_and_a_fresh_one_does_not(tmp_path: Path) -> None:
    folder, suite = tiny_folder(tmp_path / "tiny"), answers_suite()
    before = evaluate(suite, LocalBackend(folder), tmp_path / "before").summary
    overfit(folder, tmp_path / "trained", suite)
    after = evaluate(suite, LocalBackend(tmp_path / "trained"), tmp_path / "after").summary
    assert before["overall"]["score"] < 50
    assert after["overall"]["score"] == 100
    assert [row["score"] for row in after["lengths"]] == [100, 100]
    assert model_identity(folder) != model_identity(tmp_path / "trained")


def test_command_with_a_model_folder(qwen2_5: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "data", shards={("reasoning", "validation"): [[make_sample(1, "reasoning", pages=2)]]})
    suite = open_suite("probe", tmp_path / "data")
    assert len(suite.items) == 1
    base = ("evaluate", "--suite", "probe", "--data", tmp_path / "data", "--out", tmp_path / "out")
    run(*base, "--model", qwen2_5, "--dtype", "float32")
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["run"]["settings"]["backend"] == "transformers"
    assert "no model here" in run(*base, "--model", tmp_path / "data", code=1).stderr
    assert "must be auto" in run(*base, "--model", qwen2_5, "--dtype", "int8", code=1).stderr
