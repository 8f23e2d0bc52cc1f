"""A sample's chat turns as token ids, targets and M-RoPE positions. Text of documents never becomes a special token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mmprolong_data.chat import SYSTEM_PROMPT
from mmprolong_data.errors import MMProLongError, missing_extra

Ints = npt.NDArray[np.int64]
IGNORED = -100
"""Target of a position that carries no loss."""

_SPECIAL = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")


@dataclass(frozen=True, slots=True)
class Encoded:
    """One document as the model takes it; S tokens.

    Attributes:
        ids: [S] token ids.
        targets: [S] the token that each position must predict (the next one), or ``IGNORED``.
        positions: [3, S] M-RoPE positions (time, height, width), from 0.
        is_image: [S] True where a page's feature stands.
    """

    ids: Ints
    targets: Ints
    positions: Ints
    is_image: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)


class ChatEncoder:
    """Writes conversations as Qwen's chat template does, from a model folder's ``tokenizer.json``."""

    def __init__(
        self, folder: Path, loss_on: Literal["answers", "all"] = "answers", *, system: bool = True, merge_size: int = 2
    ) -> None:
        """Load the tokenizer.

        Args:
            folder: Has ``tokenizer.json``.
            loss_on: ``answers``: the assistant's words and the end of its turn; ``all``: everything but images.
            system: Add the default system turn where there is none (Qwen2.5-VL's template does, Qwen3-VL's does not).
            merge_size: Patches along the side of a token.

        Raises:
            MMProLongError: the package, the file or one of the special tokens is missing.
        """
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise missing_extra("tokenizers", "train") from None
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise MMProLongError(f"{path}: missing. Remedy: save the model's tokenizer there (save_pretrained)")
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception
            raise MMProLongError(f"{path}: not a tokenizer: {error}") from None
        ids: list[int] = []
        for token in _SPECIAL:
            number = self._tokenizer.token_to_id(token)
            if number is None:
                raise MMProLongError(f"{path}: lacks {token}: not the tokenizer of a Qwen-VL model")
            ids.append(number)
        self._start, self._end, self._vision_start, self._vision_end, self.image_id = ids
        # As split_special_tokens of transformers: "<|image_pad|>" in a document is text, never the token.
        self._tokenizer.encode_special_tokens = True
        self._loss_on, self._system, self._merge = loss_on, system, merge_size

    def encode(self, messages: Sequence[dict[str, Any]], grid_thw: Ints) -> Encoded:
        """Encode a conversation.

        Args:
            messages: Turns with typed parts, as ``mmprolong_data.chat.build_messages`` makes them; a turn's content
            may also
                be a plain string.
            grid_thw: [images, 3] patches of each image (time, height, width), in order.

        Raises:
            MMProLongError: the number of images in the messages differs, or no turn is the assistant's.
        """
        writer = _Writer(self._merge)
        turns = list(messages)
        if self._system and turns and turns[0]["role"] != "system":
            turns.insert(0, {"role": "system", "content": SYSTEM_PROMPT})
        page = 0
        for turn in turns:
            answer = turn["role"] == "assistant"
            writer.add([self._start, *self._text(turn["role"] + "\n")] if answer else [self._start], False)
            text = "" if answer else turn["role"] + "\n"
            for part in _parts(turn["content"]):
                if part["type"] == "image":
                    if page == len(grid_thw):
                        raise MMProLongError(f"the messages have more images than the sample ({len(grid_thw)})")
                    writer.add([*self._text(text), self._vision_start], answer)
                    writer.add_image(self.image_id, grid_thw[page])
                    page, text = page + 1, ""
                    writer.add([self._vision_end], answer)
                else:
                    text += part["text"]
            writer.add([*self._text(text), self._end], answer)
            writer.add(self._newline(), False)
        if page != len(grid_thw):
            raise MMProLongError(f"the messages have {page} images, the sample {len(grid_thw)}")
        encoded = writer.finish(self._loss_on == "all")
        if (encoded.targets == IGNORED).all():
            raise MMProLongError("no turn of the conversation carries loss: there is no answer to learn")
        return encoded

    def filler(self) -> Encoded:
        """A document of one token that nothing is learnt from: for a rank that has no sample in a round."""
        return Encoded(np.array([self._end]), np.array([IGNORED]), np.zeros((3, 1), np.int64), np.zeros(1, np.bool_))

    def decode(self, ids: Sequence[int]) -> str:
        """Token ids as text, special tokens left out."""
        text: str = self._tokenizer.decode(list(ids))
        return text

    def _text(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids if text else []
        return ids

    def _newline(self) -> list[int]:
        return self._text("\n")


class _Writer:
    """Collects tokens, which of them are learnt, and their positions."""

    def __init__(self, merge: int) -> None:
        self._merge = merge
        self._ids: list[Ints] = []
        self._learnt: list[npt.NDArray[np.bool_]] = []
        self._image: list[npt.NDArray[np.bool_]] = []
        self._positions: list[Ints] = []
        self._next = 0

    def add(self, ids: Sequence[int], learnt: bool) -> None:
        """Text: the three positions advance together."""
        count = len(ids)
        self._ids.append(np.asarray(ids, dtype=np.int64))
        self._learnt.append(np.full(count, learnt))
        self._image.append(np.zeros(count, dtype=np.bool_))
        self._positions.append(np.broadcast_to(np.arange(self._next, self._next + count), (3, count)))
        self._next += count

    def add_image(self, image_id: int, grid: Ints) -> None:
        """A page: one time step, rows and columns; the text after it goes on behind its longer side (M-RoPE)."""
        height, width = int(grid[1]) // self._merge, int(grid[2]) // self._merge
        count = height * width
        self._ids.append(np.full(count, image_id, dtype=np.int64))
        self._learnt.append(np.zeros(count, dtype=np.bool_))
        self._image.append(np.ones(count, dtype=np.bool_))
        rows, columns = np.divmod(np.arange(count), width)
        self._positions.append(np.stack([np.zeros(count, dtype=np.int64), rows, columns]) + self._next)
        self._next += max(height, width)

    def finish(self, learn_all: bool) -> Encoded:
        ids, image = np.concatenate(self._ids), np.concatenate(self._image)
        learnt = ~image if learn_all else np.concatenate(self._learnt)
        targets = np.full(len(ids), IGNORED, dtype=np.int64)
        targets[:-1][learnt[1:]] = ids[1:][learnt[1:]]
        return Encoded(ids, targets, np.concatenate(self._positions, axis=1), image)


def _parts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
