"""How many answers a model gives exactly: greedy decoding, judged in one forward pass a pack."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from .attention import attach, select_kernel
from .batch import Document, make_batch
from .config import TrainConfig
from .images import PageDecoder
from .model import build_model, load_weights, materialize
from .packed import PackedModel
from .parallel import start_world
from .prepare import load_config
from .sources import StreamSource, open_source


def exact_answers(model: PackedModel, documents: Iterable[Document], decoder: PageDecoder) -> tuple[int, int]:
    """(exact, all): a document counts as exact if greedy decoding would write its answer to the last token.

    Greedy decoding follows the reference as long as every token of it is the likeliest one given those before: so one
    forward pass with the reference answer decides, without generating.
    """
    exact = number = 0
    for document in documents:
        batch = make_batch([document], 0, 1, decoder)
        with torch.no_grad():
            hidden = model.hidden_states(batch)
            places = torch.nonzero(batch.targets >= 0).flatten()
            likeliest = model.model.lm_head(hidden[places]).argmax(dim=-1)  # type: ignore[operator]
        exact += bool((likeliest == batch.targets[places]).all())
        number += 1
    return exact, number


def train_accuracy(config: TrainConfig, folder: Path) -> tuple[int, int]:
    """(exact, all) of the model in ``folder`` on one epoch of the data of a run, on this process alone (float32)."""
    world = start_world(1)
    model_config = load_config(folder)
    select_kernel("auto", world.device, torch.float32)
    inner = build_model(model_config)
    attach(inner)
    materialize(inner, world.device)
    load_weights(inner, folder)
    model = PackedModel(inner, config.loss.chunk).eval()
    vision = model_config.vision_config
    decoder = PageDecoder(int(vision.patch_size), int(vision.spatial_merge_size), config.data.threads)
    source = open_source(config, folder, model_config, decoder, world)
    assert isinstance(source, StreamSource)
    documents = (document for _ in range(source.packs_left()) for document in source.next_documents())
    return exact_answers(model, documents, decoder)
