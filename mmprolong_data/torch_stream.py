"""A PageStream as a dataset of PyTorch, for torchdata's StatefulDataLoader. The only module here that imports torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .errors import missing_extra
from .loader import Pack, PageStream

try:
    from torch.utils.data import IterableDataset
except ImportError:
    raise missing_extra("torch", "torch") from None

if TYPE_CHECKING:
    Base = IterableDataset[Pack]
else:
    Base = IterableDataset


class TorchPageStream(Base):
    """The packs of a stream, shared among the workers of a loader.

    Pass it to ``torchdata.stateful_dataloader.StatefulDataLoader(..., batch_size=None)``: its ``state_dict`` then
    resumes exactly with the same number of workers. A stream decodes with threads of its own, so that no worker, or
    one, is enough.
    """

    def __init__(self, stream: PageStream) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[Pack]:
        """See ``PageStream.__iter__``."""
        return iter(self.stream)

    def state_dict(self) -> dict[str, Any]:
        """See ``PageStream.state_dict``."""
        return self.stream.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``PageStream.load_state_dict``."""
        self.stream.load_state_dict(state)
