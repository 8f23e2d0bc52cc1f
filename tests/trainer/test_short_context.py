"""Short-context data: every usual form of a chat dataset, what is left out, and the mixture's exact resumption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmprolong_trainer.config import TrainConfig
from mmprolong_trainer.encode import ChatEncoder
from mmprolong_trainer.images import PageDecoder
from mmprolong_trainer.parallel import Place
from mmprolong_trainer.prepare import load_config
from mmprolong_trainer.short_context import ShortContextPacks
from mmprolong_trainer.sources import open_source
from support.ranks import run_ranks
from support.samples import document_pages
from support.training import settings

from mmprolong_data.errors import MMProLongError

PLACE = Place(rank=0, dp_rank=0, dp=1, sp=1)
IMAGE = {"bytes": bytes(document_pages(1, 1)[0]), "path": None}


def save(folder: Path, **columns: list[Any]) -> Path:
    from datasets import Dataset

    Dataset.from_dict(columns).save_to_disk(str(folder))
    return folder


def turns(question: str, answer: str, role: str = "role", content: str = "content") -> list[dict[str, str]]:
    names = ("human", "gpt") if role == "from" else ("user", "assistant")
    return [{role: names[0], content: question}, {role: names[1], content: answer}]


def opened(model: Path, config: TrainConfig) -> tuple[str, list[list[str]]]:
    """What the packs say of themselves, and the texts of the first pack's documents."""
    encoder = ChatEncoder(model)
    try:
        packs = ShortContextPacks(config, encoder, PageDecoder(14, 2, 1), PLACE)
    except MMProLongError as error:
        return f"error: {error}", []
    documents = packs.documents(0)
    texts = [[encoder.decode(d.encoded.ids[~d.encoded.is_image].tolist()), str(len(d.grid_thw))] for d in documents]
    return packs.describe(), texts


def short(model: Path, dataset: Path, out: Path, path: Path) -> TrainConfig:
    return settings(model, dataset, out, short_context__path=str(path), short_context__share=0.5)


def test_usual_forms_of_chat_datasets_are_read_alike(qwen2_5: Path, dataset: Path, tmp_path: Path) -> None:
    typed = [
        {"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": "What is it?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "A page."}]},
    ]
    forms: dict[str, dict[str, list[Any]]] = {
        "marks": {"messages": [turns("<image>What is it?", "A page.")], "images": [[IMAGE]]},
        "typed": {"messages": [typed], "images": [[IMAGE]]},
        "llava": {"conversations": [turns("<image>What is it?", "A page.", "from", "value")], "image": [IMAGE]},
    }
    configs = [short(qwen2_5, dataset, tmp_path / f"{n}-out", save(tmp_path / n, **f)) for n, f in forms.items()]
    (results,) = run_ranks(1, tmp_path, lambda: [opened(qwen2_5, config) for config in configs])
    for name, (told, texts) in zip(forms, results, strict=True):
        assert told == f"short context of {tmp_path / name}, split train, 1 samples"
        assert texts == results[0][1]
        assert texts[0][1] == "1"
        assert texts[0][0].endswith("user\nWhat is it?\nassistant\nA page.\n")


def test_what_cannot_be_learnt_is_left_out_and_counted(qwen2_5: Path, dataset: Path, tmp_path: Path) -> None:
    rows: list[tuple[list[dict[str, str]], list[Any]]] = [
        (turns("How deep?", "12 m"), []),
        (turns("long " * 600, "no"), []),
        (turns("alone", "x")[:1], []),
        (turns("<image><image>two", "x"), [IMAGE]),
        (turns("<image>damaged", "x"), [{"bytes": b"\xff\xd8 nothing", "path": None}]),
        (turns("<image>elsewhere", "x"), [{"bytes": None, "path": "/etc/passwd"}]),
        ([{"role": "tool", "content": "x"}, *turns("q", "a")], []),
    ]
    path = save(tmp_path / "short", messages=[row[0] for row in rows], images=[row[1] for row in rows])
    config = short(qwen2_5, dataset, tmp_path / "out", path)
    ((told, texts),) = run_ranks(1, tmp_path, opened, qwen2_5, config)
    assert told.endswith("1 samples, 6 left out (too long, damaged, or without an answer)")
    assert [text.partition("user\n")[2] for text, _ in texts] == ["How deep?\nassistant\n12 m\n"]


def test_a_dataset_of_no_use_is_named(qwen2_5: Path, dataset: Path, tmp_path: Path) -> None:
    cases = {
        tmp_path / "none": "cannot be loaded",
        save(tmp_path / "columns", text=["a"]): "has no column 'messages' or 'conversations': text",
        save(tmp_path / "empty", messages=[turns("alone", "x")[:1]]): "none of 1 samples fits 512 tokens",
    }
    configs = [short(qwen2_5, dataset, tmp_path / f"{path.name}-out", path) for path in cases]
    (results,) = run_ranks(1, tmp_path, lambda: [opened(qwen2_5, config)[0] for config in configs])
    for (path, message), result in zip(cases.items(), results, strict=True):
        assert str(path) in result
        assert message in result


def mixture(model: Path, config: TrainConfig) -> list[list[str]]:
    """Keys of eight packs: in one go; then stopped after four, and continued by two data-parallel processes."""
    decoder, model_config = PageDecoder(14, 2, 1), load_config(model)

    def keys(source: Any, number: int) -> list[str]:
        return [",".join(document.key for document in source.next_documents()) for _ in range(number)]

    whole = open_source(config, model, model_config, decoder, PLACE)
    first = open_source(config, model, model_config, decoder, PLACE)
    result = [keys(whole, 8), keys(first, 4)]
    for rank in range(2):
        again = open_source(config, model, model_config, decoder, Place(rank=rank, dp_rank=rank, dp=2, sp=1))
        again.load_state_dict(first.state_dict())
        result.append(keys(again, 2))
        again.close()
    whole.close()
    first.close()
    return result


def test_the_mixture_goes_on_exactly_on_another_number_of_processes(
    qwen2_5: Path, dataset: Path, tmp_path: Path
) -> None:
    path = save(tmp_path / "short", messages=[turns(f"What is {n}? " * 20, f"It is {n}.") for n in range(12)])
    config = short(qwen2_5, dataset, tmp_path / "out", path)
    ((whole, before, first, second),) = run_ranks(1, tmp_path, mixture, qwen2_5, config)
    assert before == whole[:4]
    assert [first[0], second[0], first[1], second[1]] == whole[4:]
    assert len(set(whole)) == 8
    assert sum(pack.startswith("short-") for pack in whole) == 4
