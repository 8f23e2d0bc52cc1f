"""Short-context chat and image data: read, measured once, packed, and mixed with long documents by a fixed rule."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch.distributed as dist

from mmprolong_data.errors import MMProLongError, missing_extra
from mmprolong_data.order import best_fit, permutation
from mmprolong_data.settings import fingerprint

from .batch import Document
from .config import TrainConfig
from .encode import ChatEncoder
from .images import PageDecoder
from .parallel import Place

if TYPE_CHECKING:
    from .sources import StreamSource

Ints = npt.NDArray[np.int64]
IMAGE_MARK = "<image>"
"""Where an image stands in plain text, in datasets whose turns are strings."""
ROLES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant", "system": "system"}


class ShortContextPacks:
    """Packs of short samples, as a function of their number: the same on every rank and on every shape.

    All samples are measured once (by rank 0, kept in ``run.out``). Those longer than a pack, damaged, or without an
    answer are left out and counted in ``left_out``.
    """

    def __init__(self, config: TrainConfig, encoder: ChatEncoder, decoder: PageDecoder, place: Place) -> None:
        """Open and measure the dataset.

        Raises:
            MMProLongError: it cannot be read, or holds nothing usable.
        """
        settings = config.short_context
        self._where = f"{settings.path}, split {settings.split}"
        self._rows = _open(settings.path or "", settings.name, settings.split)
        self._encoder, self._seed = encoder, config.run.seed
        self._limit, self._window = config.data.max_tokens, config.data.window
        self._decoder = PageDecoder(
            decoder.patch_size, decoder.merge_size, config.data.threads, max_pixels=settings.max_pixels
        )
        lengths = self._lengths(Path(config.run.out).expanduser(), place)
        self._usable = np.flatnonzero((lengths > 0) & (lengths <= self._limit))
        self._tokens = lengths[self._usable]
        self.left_out = len(lengths) - len(self._usable)
        if not len(self._usable):
            raise MMProLongError(f"{self._where}: none of {len(lengths)} samples fits {self._limit:,} tokens")
        self._counts: list[int] = []
        self._planned: tuple[int, Ints, Ints] = (-1, self._usable, self._usable)

    def describe(self) -> str:
        """What is there, in one line."""
        left_out = f", {self.left_out:,} left out (too long, damaged, or without an answer)" if self.left_out else ""
        return f"short context of {self._where}, {len(self._usable):,} samples{left_out}"

    def documents(self, number: int) -> list[Document]:
        """The documents of pack ``number``, counted from the start of the run, epoch after epoch."""
        epoch = 0
        while number >= self._packs(epoch):
            number, epoch = number - self._packs(epoch), epoch + 1
        order, starts = self._plan(epoch)
        return [self._document(int(self._usable[row])) for row in order[starts[number] : starts[number + 1]]]

    def _packs(self, epoch: int) -> int:
        if epoch == len(self._counts):
            self._counts.append(len(self._plan(epoch)[1]) - 1)
        return self._counts[epoch]

    def _plan(self, epoch: int) -> tuple[Ints, Ints]:
        if self._planned[0] != epoch:
            shuffled = permutation(len(self._usable), "short_context", self._seed, epoch)
            order, starts = best_fit(self._tokens[shuffled], self._limit, self._window)
            self._planned = (epoch, shuffled[order], starts)
        return self._planned[1], self._planned[2]

    def _lengths(self, out: Path, place: Place) -> Ints:
        """Tokens of every sample; 0 for one without an answer. Rank 0 measures, the others read its file."""
        key = [self._rows._fingerprint, self._decoder.patch_size, self._decoder.max_pixels]
        path = out / f"short-context-{fingerprint(key)[:16]}.npy"
        if place.rank == 0 and not path.is_file():
            out.mkdir(parents=True, exist_ok=True)
            measured = np.zeros(len(self._rows), np.int64)
            for number in range(len(self._rows)):
                try:
                    measured[number] = len(self._document(number).encoded)
                except MMProLongError:
                    continue
            temporary = path.with_name(f"{path.stem}.tmp.npy")
            np.save(temporary, measured, allow_pickle=False)
            temporary.replace(path)
        dist.barrier()
        lengths: Ints = np.load(path, allow_pickle=False)
        return lengths

    def _document(self, number: int) -> Document:
        from .data import group_of

        row = self._rows[number]
        where = f"{self._where}: row {number}"
        images = [_image_bytes(image, where) for image in _images(row)]
        grid = self._decoder.grid(images, where).reshape(-1, 3)
        encoded = self._encoder.encode(_messages(row, where), grid)
        # Sizes below the loader's limit are this decoder's business alone: its pages are decoded here.
        pixels = self._decoder.decode(images, grid, where) if images else None
        return Document(encoded, pixels, grid, group_of("short_context", len(encoded)), f"short-{number}")


class MixedSource:
    """Long and short packs in a fixed pattern: of ``n`` packs over all ranks, ``floor(n * share)`` are short."""

    def __init__(self, long: StreamSource, short: ShortContextPacks, share: float, rank: int, ranks: int) -> None:
        """Mix. ``long`` must hand every pack to this process: it is told which ones to make."""
        self._long, self._short, self._share, self._rank, self._ranks = long, short, share, rank, ranks
        self._given = 0

    def next_documents(self) -> list[Document]:
        """See ``PackSource``."""
        number = self._given + self._rank
        self._given += self._ranks
        shorts = math.floor(number * self._share + 1e-9)
        if math.floor((number + 1) * self._share + 1e-9) > shorts:
            return self._short.documents(shorts)
        return self._long.documents_of(number - shorts)

    def describe(self) -> str:
        """See ``PackSource``."""
        return f"{self._long.describe()}\n{self._share:.0%} of the packs: {self._short.describe()}"

    def state_dict(self) -> dict[str, Any]:
        """See ``PackSource``."""
        return {"packs": self._given, "long": self._long.state_dict()["settings"]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See ``PackSource``."""
        self._long.load_state_dict(self._long.state_dict() | {"settings": state["long"]})
        self._given = state["packs"]

    def close(self) -> None:
        """See ``PackSource``."""
        self._long.close()


def _open(path: str, name: str | None, split: str) -> Any:
    try:
        from datasets import Image, List, load_dataset, load_from_disk
    except ImportError:
        raise missing_extra("datasets", "train") from None
    try:
        if (Path(path) / "state.json").is_file() or (Path(path) / "dataset_dict.json").is_file():
            loaded = load_from_disk(path)
            rows = loaded[split] if (Path(path) / "dataset_dict.json").is_file() else loaded
        else:
            rows = load_dataset(path, name, split=split)
    except (FileNotFoundError, ValueError, KeyError, ConnectionError, OSError) as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise MMProLongError(f"short_context.path = {path}: cannot be loaded: {cause}") from None
    columns = set(rows.column_names)
    if not columns & {"messages", "conversations"}:
        raise MMProLongError(f"{path}: has no column 'messages' or 'conversations': {', '.join(sorted(columns))}")
    for column, kind in (("images", List(Image(decode=False))), ("image", Image(decode=False))):
        if column in columns:
            rows = rows.cast_column(column, kind)
    return rows


def _images(row: dict[str, Any]) -> list[Any]:
    if row.get("images") is not None:
        return list(row["images"])
    return [row["image"]] if row.get("image") is not None else []


def _image_bytes(image: Any, where: str) -> bytes:
    if isinstance(image, dict) and image.get("bytes"):
        return bytes(image["bytes"])
    raise MMProLongError(f"{where}: an image without bytes; embed the images in the dataset")


def _messages(row: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """Turns with typed parts, from typed parts, from strings with ``<image>``, or from ``conversations``."""
    turns = row.get("messages") or row.get("conversations") or []
    messages = []
    for turn in turns:
        role = ROLES.get(turn.get("role") or turn.get("from") or "")
        content = turn.get("content") if turn.get("content") is not None else turn.get("value")
        if role is None or content is None:
            raise MMProLongError(f"{where}: not a chat turn: {str(turn)[:100]}")
        if isinstance(content, str):
            pieces = content.split(IMAGE_MARK)
            content = [{"type": "text", "text": pieces[0]}]
            for piece in pieces[1:]:
                content += [{"type": "image"}, {"type": "text", "text": piece}]
        messages.append({"role": role, "content": [_part(part, where) for part in content]})
    return messages


def _part(part: Any, where: str) -> dict[str, Any]:
    """A part without the columns of other types, which Arrow fills with nulls."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "image":
        return {"type": "image"}
    if kind == "text" and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    raise MMProLongError(f"{where}: a part that is neither text nor image: {str(part)[:100]}")
