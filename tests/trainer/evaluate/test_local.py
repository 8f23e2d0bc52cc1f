"""The transformers backend: a key-value cache that changes nothing, and an overfitted model that finds its answers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from mmprolong_trainer.batch import Document, make_batch
from mmprolong_trainer.evaluate.backends.local import LocalBackend, model_identity
from mmprolong_trainer.evaluate.evaluation import evaluate
from mmprolong_trainer.evaluate.generation import Generator, shared_attention
from mmprolong_trainer.evaluate.items import IMAGE, Item, Suite
from mmprolong_trainer.evaluate.suites import open_suite
from mmprolong_trainer.export import export_model
from mmprolong_trainer.parallel import start_world
from mmprolong_trainer.prepare import load_config
from support.builds import run
from support.ranks import run_ranks
from support.samples import document_pages, make_sample, write_dataset
from support.vlm import load_reference, tiny_folder

from mmprolong_data.errors import FormatError, MMProLongError

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


def replies_of(folder: Path, conversations: list[tuple[Any, list[bytes], str]]) -> list[str]:
    world = start_world(dist.get_world_size()) if dist.is_initialized() else None
    generator = Generator(folder, CPU, torch.float32, world=world)
    return [generator.reply(messages, pages, 10, prefill) for messages, pages, prefill in conversations]


def shared_evaluation(folder: Path, suite: Suite, out: Path) -> dict[str, str]:
    backend = LocalBackend(folder, "cpu", items=suite.items)
    try:
        if not backend.leads:
            backend.serve()
            return {}
        results = evaluate(suite, backend, out).results
        return {result.item: result.output or result.error for result in results}
    finally:
        backend.close()


@pytest.mark.parametrize("kind", ["qwen2_5", "qwen3"])
def test_processes_that_share_a_prompt_say_what_one_says(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(kind)
    text = [{"role": "user", "content": [{"type": "text", "text": "What is the depth?"}]}]
    long = list(document_pages(3, 5, 84, 112))
    parts = [
        part for n in range(5) for part in ({"type": "text", "text": f"Page {n}:"}, {"type": "image", "text": None})
    ]
    # Pages for every process, for some of them, for none; odd lengths, so that the last part is padded.
    conversations = [(MESSAGES, PAGES, "Answer:"), (MESSAGES, PAGES, "ab"), (text, [], ""), (text, [], "x")]
    conversations.append(([{"role": "user", "content": parts}], long, ""))
    alone = replies_of(folder, conversations)
    assert all(alone)
    for ranks in (2, 4):
        assert run_ranks(ranks, tmp_path, replies_of, folder, conversations) == [alone] * ranks


def test_shared_attention_is_attention(tmp_path: Path) -> None:
    def attend(cuts: list[int]) -> float:
        torch.manual_seed(0)
        query, key, value = torch.randn(1, 6, 1, 8), torch.randn(1, 2, 9, 8), 3 * torch.randn(1, 2, 9, 8)
        expected = torch.nn.functional.scaled_dot_product_attention(query, key, value, enable_gqa=True).transpose(1, 2)
        mine = slice(cuts[dist.get_rank()], cuts[dist.get_rank() + 1])
        group = dist.group.WORLD
        assert group is not None
        found = shared_attention(query, key[:, :, mine], value[:, :, mine], None, group)
        return float((found - expected).abs().max())

    for cuts in ([0, 4, 9], [0, 9, 9]):  # the second process may have nothing
        assert max(run_ranks(2, tmp_path, attend, cuts)) < 1e-6


def test_an_evaluation_by_several_processes_is_that_of_one(qwen2_5: Path, tmp_path: Path) -> None:
    def broken() -> list[bytes]:
        raise FormatError("page.jpg: damaged")

    suite = answers_suite()
    items = [*suite.items, dataclasses.replace(suite.items[0], key="broken", load=broken)]
    # A picture whose header is whole and whose end is not: only the process that decodes it sees it.
    cut = [*document_pages(9, 2)]
    cut[1] = cut[1][: len(cut[1]) // 2]
    parts = (IMAGE, IMAGE, "What?")
    items.append(Item("cut", "find", parts, ("1", "2"), lambda: cut, "What?", "x", length=1024, max_tokens=4))
    suite = dataclasses.replace(suite, items=items)
    alone = evaluate(suite, LocalBackend(qwen2_5, "cpu"), tmp_path / "one").results
    shared, *rest = run_ranks(2, tmp_path, shared_evaluation, qwen2_5, suite, tmp_path / "two")
    assert rest == [{}]
    assert {key: shared[key] for key in ("q0", "q1", "q2", "q3")} == {r.item: r.output for r in alone[:4]}
    assert shared["broken"] == "page.jpg: damaged"
    assert shared["cut"] in (alone[5].error, "another process could not read its pages")
    again = evaluate(suite, LocalBackend(qwen2_5, "cpu"), tmp_path / "two").results
    assert [result.seconds for result in again[:4]] != []  # replies of two processes serve one: the same settings
    assert [r.output for r in again[:4]] == [r.output for r in alone[:4]]


def test_processes_with_other_data_are_refused(qwen2_5: Path, tmp_path: Path) -> None:
    def start(folder: Path) -> str:
        items = answers_suite().items[: 3 + dist.get_rank()]
        with pytest.raises(MMProLongError, match="read different items") as caught:
            LocalBackend(folder, "cpu", items=items)
        return str(caught.value)

    assert len(run_ranks(2, tmp_path, start, qwen2_5)) == 2


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
