"""A sample as chat turns with page labels, and the length of the conversation in tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from .tokens import EstimateCounter, TokenizerCounter

SYSTEM_PROMPT = "You are a helpful assistant."
"""What Qwen2.5-VL's chat template adds where a conversation has no system turn; it is counted, not stored."""

TURN_TOKENS = 5
"""``<|im_start|>``, the role (1), a newline, ``<|im_end|>`` and a newline."""

VISION_MARKERS = 2
"""``<|vision_start|>`` and ``<|vision_end|>`` around every image."""


class TokenCounter(Protocol):
    """Counts the tokens of ordinary text; special tokens' names in it are ordinary text too."""

    name: str

    def count(self, text: str) -> int:
        """Number of tokens of ``text``."""


def open_counter(tokenizer: str) -> TokenCounter:
    """The counter for a setting: ``estimate``, or the path of a ``tokenizer.json`` or of its folder.

    Raises:
        MMProLongError: the file or the package ``tokenizers`` is missing, or the file is not a tokenizer.
    """
    return EstimateCounter() if tokenizer == "estimate" else TokenizerCounter(tokenizer)


def page_label(page: int) -> str:
    """The label before the image of page ``page`` (0-based)."""
    return f"Page {page + 1}:"


def build_messages(question: str, answer: str, num_pages: int, page_labels: bool = True) -> list[dict[str, Any]]:
    """The chat turns of a sample.

    Returns:
        ``[user, assistant]``, each ``{"role", "content": [part, ...]}``; a part is ``{"type": "text", "text": str}`` or
        ``{"type": "image", "text": None}``. The user's parts are label and image of every page, then the question.
    """
    parts: list[dict[str, Any]] = []
    for page in range(num_pages):
        if page_labels:
            parts.append({"type": "text", "text": page_label(page)})
        parts.append({"type": "image", "text": None})
    parts.append({"type": "text", "text": question})
    return [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
    ]


def count_tokens(messages: Sequence[dict[str, Any]], image_token_counts: Sequence[int], counter: TokenCounter) -> int:
    """Length of the whole conversation as Qwen2.5-VL's chat template writes it.

    Args:
        messages: As ``build_messages`` gives them.
        image_token_counts: Tokens of each image, in order.
        counter: For the text.

    Raises:
        ValueError: the number of images differs.
    """
    total = TURN_TOKENS + counter.count(SYSTEM_PROMPT)
    images = 0
    for message in messages:
        total += TURN_TOKENS
        for part in message["content"]:
            if part["type"] == "image":
                images += 1
                total += VISION_MARKERS
            else:
                total += counter.count(part["text"])
    if images != len(image_token_counts):
        raise ValueError(f"{images} images in the messages, {len(image_token_counts)} token counts")
    return total + sum(image_token_counts)
