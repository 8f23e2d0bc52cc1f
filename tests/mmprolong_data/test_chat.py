"""Chat turns feed a processor's template as they are; counted tokens are the template's tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from mmprolong_data.chat import build_messages, count_tokens, open_counter
from mmprolong_data.errors import MMProLongError

TEMPLATE = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
)
"""A chat template that does what Qwen2.5-VL's does for these parts."""
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
TEXT = ["Page 1:", "Page 12:", "system", "user", "You are a helpful aid.", "What is the depth? 12.4 m\n"] * 30
TEXT += ["assistant"] * 300


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small byte-level BPE with the special tokens of the model."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=alphabet, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    path = tmp_path_factory.mktemp("tiny") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def render(messages: list[dict[str, Any]]) -> str:
    return jinja2.Environment().from_string(TEMPLATE).render(messages=messages)


@pytest.mark.parametrize("labels", [True, False])
def test_count_equals_the_tokens_of_the_rendered_template(tokenizer_file: Path, labels: bool) -> None:
    messages = build_messages("What is the depth?", "12.4 m", 13, labels)
    text = render(messages)
    assert text.count("<|image_pad|>") == 13
    assert ("Page 13:" in text) == labels
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    expected = len(tokenizer.encode(text).ids) - 13 + sum(range(100, 113))
    counted = count_tokens(messages, list(range(100, 113)), open_counter(str(tokenizer_file)))
    # Parts are counted one by one: where two meet, at a line break of the template, a merge may save a token.
    assert 0 <= counted - expected <= 6


def test_names_of_special_tokens_in_a_document_are_ordinary_text(tokenizer_file: Path) -> None:
    for counter in (open_counter(str(tokenizer_file)), open_counter("estimate")):
        assert counter.count("<|image_pad|>") >= 4


def test_the_folder_of_a_tokenizer_will_do(tokenizer_file: Path) -> None:
    assert open_counter(str(tokenizer_file.parent)).count("Page 1:") > 0


def test_a_missing_or_wrong_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(MMProLongError, match="absent"):
        open_counter(str(tmp_path / "absent"))
    wrong = tmp_path / "tokenizer.json"
    wrong.write_text("{}")
    with pytest.raises(MMProLongError, match="not a tokenizer"):
        open_counter(str(wrong))


def test_every_image_needs_its_token_count() -> None:
    with pytest.raises(ValueError, match="3 images"):
        count_tokens(build_messages("q", "a", 3), [10, 10], open_counter("estimate"))


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("The depth of the reservoir is 12.4 m.", 10, 18),
        ("1234567890", 10, 12),
        ("水库的深度是十二米。", 6, 12),
        ("Глубина водохранилища", 4, 14),
        ("\n\n\n", 1, 3),
    ],
)
def test_estimate_is_in_a_sane_range(text: str, least: int, most: int) -> None:
    assert least <= open_counter("estimate").count(text) <= most
