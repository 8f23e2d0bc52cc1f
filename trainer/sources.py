"""Where documents come from: the long-document stream of a dataset, and its mixture with short-context data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmprolong_data.errors import MMProLongError, SettingsError
from mmprolong_data.loader import Pack, PageStream

from .batch import Document
from .config import TrainConfig
from .data import PackSource, group_of
from .encode import ChatEncoder
from .images import LAYOUT, PageDecoder
from .parallel import Place
from .short_context import MixedSource, ShortContextPacks


class StreamSource:
    """Long documents from a ``PageStream``, epoch after epoch, in whole steps.

    The packs of an epoch that do not fill a last step are left out of that epoch (other ones in every epoch): so step
    ``k`` holds the same samples on any number of processes.
    """

    def __init__(
        self, stream: PageStream, encoder: ChatEncoder, decoder: PageDecoder, config: TrainConfig, ranks: int
    ) -> None:
        """Wrap a stream that hands every ``ranks``-th pack to this process."""
        self._stream, self._encoder, self._decoder = stream, encoder, decoder
        self._data, self._step, self._ranks = config.data, config.packs_per_step(), ranks
        self._packs: Iterator[Pack] | None = None

    def next_documents(self) -> list[Document]:
        """See ``PackSource``.

        Raises:
            MMProLongError: the dataset has other page labels, longer documents than planned, or too few for a step.
        """
        if self.packs_left() == 0:
            self._stream.set_epoch(self._stream.epoch + 1)
            self._packs = None
        if self._packs is None:
            self._packs = iter(self._stream)
        return self._encode(next(self._packs))

    def packs_left(self) -> int:
        """Packs that the current epoch still has, over all ranks."""
        return max(0, self._whole_packs() - int(self._stream.state_dict()["position"]))

    def describe(self) -> str:
        """The current epoch in one line."""
        plan = self._stream.plan
        line = f"An epoch: {plan.num_samples:,} samples in {plan.num_packs:,} packs, fill {plan.fill:.3f}"
        if self._data.pack:
            line += f"; their lengths allow {self._stream.best_fill():.3f} at most"
        return f"{line}; {self._whole_packs():,} packs make whole steps"

    def documents_of(self, number: int) -> list[Document]:
        """The documents of pack ``number``, counted over all ranks and epochs from the start of the run."""
        epoch = 0
        while True:
            self._stream.set_epoch(epoch)
            whole = self._whole_packs()
            if number < whole:
                break
            number, epoch = number - whole, epoch + 1
        self._stream.load_state_dict(self._stream.state_dict() | {"epoch": epoch, "position": number})
        packs = iter(self._stream)
        try:
            return self._encode(next(packs))
        finally:
            packs.close()  # type: ignore[attr-defined]

    def _whole_packs(self) -> int:
        packs = self._stream.plan.num_packs // self._step * self._step
        if packs == 0:
            raise MMProLongError(
                f"{self._data.path}: too few samples: an epoch of this mixture fills {self._stream.plan.num_packs}"
                f" packs, a step takes {self._step}. Remedy: smaller run.global_batch_tokens, or a larger dataset"
            )
        return packs

    def state_dict(self) -> dict[str, Any]:
        """See ``PackSource``."""
        return self._stream.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See ``PackSource``."""
        self._stream.load_state_dict(state)
        self._packs = None

    def close(self) -> None:
        """See ``PackSource``."""
        if self._packs is not None:
            self._packs.close()  # type: ignore[attr-defined]
            self._packs = None

    def _encode(self, pack: Pack) -> list[Document]:
        documents = []
        for sample in pack.samples:
            where = f"{self._data.path}: sample {sample.record['id']}"
            check_page_labels(sample.record["messages"], self._data.page_labels, where)
            grid = sample.grid_thw
            if grid is None:
                grid = self._decoder.grid(sample.pages, where)
            encoded = self._encoder.encode(sample.record["messages"], grid)
            group = group_of(sample.record["config"], len(encoded))
            documents.append(Document(encoded, sample.pixels, grid, group, sample.record["id"], sample.pages))
        total = sum(len(document.encoded) for document in documents)
        if total > self._data.max_tokens:
            raise MMProLongError(
                f"{self._data.path}: a pack planned for {pack.num_tokens:,} tokens has {total:,}"
                f" (data.max_tokens = {self._data.max_tokens:,}): the dataset counts fewer tokens than this"
                " model makes."
                " Remedy: build it with tasks.tokenizer = the model's tokenizer.json, and for this model's page size"
            )
        return documents or [filler(self._encoder)]


def filler(encoder: ChatEncoder) -> Document:
    """What stands in for a pack whose samples were all left out."""
    import numpy as np

    return Document(encoder.filler(), None, np.empty((0, 3), np.int64), 0, "")


def check_page_labels(messages: list[dict[str, Any]], wanted: bool, where: str) -> None:
    """Check that pages are labelled ``Page N:``, or are not.

    Raises:
        MMProLongError: the dataset was built the other way; starts with ``where``.
    """
    first = messages[0]["content"][0]
    found = first["type"] == "text" and first["text"] == "Page 1:"
    if found != wanted:
        raise MMProLongError(
            f"{where}: its pages {'have' if found else 'lack'} 'Page N:' labels, but data.page_labels ="
            f" {str(wanted).lower()}. Remedy: data.page_labels = {str(found).lower()}, or a dataset built with"
            f" tasks.page_labels = {str(wanted).lower()}"
        )


def open_source(config: TrainConfig, folder: Path, model_config: Any, decoder: PageDecoder, place: Place) -> PackSource:
    """The source of a run, for this process.

    Raises:
        MMProLongError: no dataset there, or it does not go together with model and settings.
    """
    data = config.data
    encoder = ChatEncoder(
        folder,
        config.loss.target,
        system=model_config.model_type == "qwen2_5_vl",
        merge_size=int(model_config.vision_config.spatial_merge_size),
    )
    if encoder.image_id != model_config.image_token_id:
        raise MMProLongError(
            f"{folder}: tokenizer.json numbers <|image_pad|> {encoder.image_id}, config.json"
            f" {model_config.image_token_id}: they belong to different models"
        )
    share = config.short_context.share
    # Mixed with short packs, long ones do not go round the ranks in turn: every rank then steps through all of them.
    rank, ranks = (0, 1) if share else (place.dp_rank, place.dp)
    stream = PageStream(
        data.path,
        {name: weight for name, weight in data.configs.items() if weight > 0},
        split=data.split,
        seed=config.run.seed,
        rank=rank,
        world_size=ranks,
        max_tokens=data.max_tokens,
        pack=data.pack,
        window=data.window,
        packs_per_step=config.packs_per_step(),
        # Whole pages are decoded by the loader only where this rank needs all of them, at the size they are stored in.
        pixels="patches" if place.sp == 1 and decoder.patch_size == 14 else "jpeg",
        layout=LAYOUT,
        threads=data.threads,
        on_error=data.on_error,
    )
    labels = stream.manifest.recipe.get("tasks", {}).get("page_labels", data.page_labels)
    if labels != data.page_labels:
        raise SettingsError(
            f"config: data.page_labels = {str(data.page_labels).lower()}: {data.path} was built with tasks.page_labels"
            f" = {str(labels).lower()}"
        )
    long = StreamSource(stream, encoder, decoder, config, ranks)
    if not share:
        return long
    short = ShortContextPacks(config, encoder, decoder, place)
    return MixedSource(long, short, share, place.dp_rank, place.dp)
