"""A pack of encoded documents as the tensors of one rank: its part of the sequence, and the pages that it encodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .encode import IGNORED, Encoded, Ints
from .images import PageDecoder
from .ulysses import split_pages


@dataclass(frozen=True, slots=True)
class Document:
    """An encoded sample and its pages.

    Attributes:
        encoded: Tokens, targets, positions.
        pixels: uint8 [patches, p * p * C] in 2 x 2 merge-block order; None: ``pages`` are decoded when it is known
            which ones this rank needs.
        grid_thw: [pages, 3] patches of each page.
        group: Which of the logged losses it counts to.
        key: The sample's id; empty for a filler, which counts nowhere.
        pages: Image files.
    """

    encoded: Encoded
    pixels: npt.NDArray[np.uint8] | None
    grid_thw: Ints
    group: int
    key: str
    pages: Sequence[bytes | memoryview] = ()


@dataclass(slots=True)
class RankBatch:
    """What one rank needs of one pack. S tokens in the pack (padded to a multiple of P), P ranks share it.

    Attributes:
        input_ids, targets, groups: [S / P].
        position_ids: [4, 1, S / P]: positions in the document, then M-RoPE's three.
        cu_seqlens: int32 [documents + 1] bounds over the whole pack; padding is a document of its own.
        longest: Longest document.
        pixels: uint8 [patches, p * p * C] of the pages this rank encodes; a blank page where it has none.
        grid_thw: [pages, 3] of them.
        slots: [k] places in this rank's part that take page features.
        owned: ``owned[i][j]``: feature rows that rank i makes and rank j needs.
        has_pages: False where ``pixels`` is only the blank page.
        tokens, labelled: Of the whole pack, padding left out.
        pages, squares: Pages, and the sum of squared document lengths, of the whole pack.
        max_position: Largest M-RoPE position.
        keys: The samples.
    """

    input_ids: Tensor
    targets: Tensor
    groups: Tensor
    position_ids: Tensor
    cu_seqlens: Tensor
    longest: int
    pixels: Tensor
    grid_thw: Tensor
    slots: Tensor
    owned: list[list[int]]
    has_pages: bool
    tokens: int
    labelled: int
    pages: int
    squares: int
    max_position: int
    keys: list[str] = field(default_factory=list)

    def to(self, device: torch.device) -> RankBatch:
        """Move the tensors."""
        for name in ("input_ids", "targets", "groups", "position_ids", "cu_seqlens", "pixels", "grid_thw", "slots"):
            setattr(self, name, getattr(self, name).to(device, non_blocking=True))
        return self


def page_share(documents: Sequence[Document], rank: int, ranks: int) -> tuple[int, int]:
    """First and last (exclusive) page of the pack that this rank encodes, pages counted over all documents."""
    patches = [int(page.prod()) for document in documents for page in document.grid_thw]
    bounds = split_pages(patches, ranks)
    return bounds[rank], bounds[rank + 1]


def make_batch(documents: Sequence[Document], rank: int, ranks: int, decoder: PageDecoder) -> RankBatch:
    """Put documents one behind the other, and cut out one rank's part.

    Args:
        documents: At least one.
        rank, ranks: Place in, and size of, the group that shares the pack.
        decoder: Knows the model's patches; decodes the pages of this rank where documents bring image files.

    Raises:
        FormatError: a page is damaged.
    """
    merge_size = decoder.merge_size
    lengths = [len(document.encoded) for document in documents]
    tokens = sum(lengths)
    padding = -tokens % ranks
    ids = np.concatenate([d.encoded.ids for d in documents] + [np.zeros(padding, np.int64)])
    targets = np.concatenate([d.encoded.targets for d in documents] + [np.full(padding, IGNORED)])
    is_image = np.concatenate([d.encoded.is_image for d in documents] + [np.zeros(padding, np.bool_)])
    groups = np.repeat([d.group for d in documents] + [0], [*lengths, padding])
    places = [np.arange(length) for length in [*lengths, padding]]
    rope = np.concatenate([d.encoded.positions for d in documents] + [np.stack([places[-1]] * 3)], axis=1)
    positions = np.concatenate([np.concatenate(places)[None], rope])
    bounds = np.cumsum([0, *lengths, *([padding] if padding else [])])

    part = len(ids) // ranks
    mine = slice(rank * part, (rank + 1) * part)
    grid = np.concatenate([d.grid_thw.reshape(-1, 3) for d in documents])
    first, last = page_share(documents, rank, ranks)
    patches = np.concatenate([[0], grid.prod(axis=1).cumsum()]).astype(np.int64)
    has_pages = last > first
    if has_pages:
        pixels = _own_pixels(documents, first, last, decoder)
        own_grid = grid[first:last]
    else:
        pixels = np.zeros((merge_size * merge_size, decoder.patch_values), np.uint8)
        own_grid = np.array([[1, merge_size, merge_size]])
    return RankBatch(
        input_ids=torch.from_numpy(ids[mine]),
        targets=torch.from_numpy(targets[mine]),
        groups=torch.from_numpy(groups[mine]),
        position_ids=torch.from_numpy(np.ascontiguousarray(positions[:, None, mine])),
        cu_seqlens=torch.from_numpy(bounds.astype(np.int32)),
        longest=int(max(*lengths, padding)),
        pixels=torch.from_numpy(pixels),
        grid_thw=torch.from_numpy(own_grid.astype(np.int64)),
        slots=torch.from_numpy(np.flatnonzero(is_image[mine])),
        owned=_owned(is_image, grid, split_pages([int(n) for n in np.diff(patches)], ranks), ranks, merge_size),
        has_pages=has_pages,
        tokens=sum(length for length, document in zip(lengths, documents, strict=True) if document.key),
        labelled=int((targets != IGNORED).sum()),
        pages=len(grid),
        squares=sum(length * length for length in lengths),
        max_position=int(rope[:, :tokens].max()),
        keys=[document.key for document in documents if document.key],
    )


def _own_pixels(documents: Sequence[Document], first: int, last: int, decoder: PageDecoder) -> npt.NDArray[np.uint8]:
    """Patches of pages ``first`` to ``last``, counted over all documents."""
    pieces, done = [], 0
    for document in documents:
        low, high = max(first - done, 0), min(last - done, len(document.grid_thw))
        done += len(document.grid_thw)
        if low >= high:
            continue
        if document.pixels is None:
            where = f"sample {document.key}"
            pieces.append(decoder.decode(document.pages[low:high], document.grid_thw[low:high], where))
        else:
            bounds = np.concatenate([[0], document.grid_thw.prod(axis=1).cumsum()])
            pieces.append(document.pixels[bounds[low] : bounds[high]])
    return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]


def _owned(
    is_image: npt.NDArray[np.bool_], grid: Ints, page_bounds: Sequence[int], ranks: int, merge_size: int
) -> list[list[int]]:
    """How many feature rows each rank makes for each rank."""
    rows = grid.prod(axis=1) // merge_size**2
    made = np.concatenate([[0], rows.cumsum()])[page_bounds]
    needed = np.concatenate([[0], is_image.reshape(ranks, -1).sum(axis=1).cumsum()])
    return [
        [int(max(0, min(made[i + 1], needed[j + 1]) - max(made[i], needed[j]))) for j in range(ranks)]
        for i in range(ranks)
    ]
