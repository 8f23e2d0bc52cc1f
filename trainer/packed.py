"""One pack through the model: pages to features, features to their places, language model, loss."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .batch import RankBatch
from .loss import cross_entropy_sums
from .pixels import PixelNormalizer
from .ulysses import repartition


class PackedModel(nn.Module):
    """A Qwen-VL model as a function of packs: the forward pass ends in sums of losses, never in logits."""

    def __init__(
        self, model: nn.Module, loss_chunk: int, num_groups: int = 1, sequence_group: dist.ProcessGroup | None = None
    ) -> None:
        """Wrap a model.

        Args:
            model: ``Qwen2_5_VLForConditionalGeneration`` or ``Qwen3VLForConditionalGeneration``, with the attention of
                ``attention.attach``.
            loss_chunk: Positions whose logits exist at a time.
            num_groups: Losses that are logged apart.
            sequence_group: Ranks that share each pack.
        """
        super().__init__()
        self.model = model
        self._chunk, self._groups, self._sequence_group = loss_chunk, num_groups, sequence_group
        config: Any = model.config
        self.normalize = PixelNormalizer(config.vision_config)

    def forward(self, batch: RankBatch) -> tuple[Tensor, Tensor]:
        """The summed cross-entropy of this rank's part of the pack, and the sums of each group (without gradient)."""
        hidden = self.hidden_states(batch)
        head: nn.Module = self.model.lm_head  # type: ignore[assignment]
        return cross_entropy_sums(hidden, batch.targets, batch.groups, self._groups, head, self._chunk)

    def hidden_states(self, batch: RankBatch) -> Tensor:
        """The last hidden states of this rank's part: [S / P, H]."""
        core: Any = self.model.model
        embeds, extra = self.inputs(batch)
        output = core.language_model(
            inputs_embeds=embeds[None],
            position_ids=batch.position_ids,
            attention_mask=None,
            use_cache=False,
            cu_seq_lens_q=batch.cu_seqlens,
            max_length_q=batch.longest,
            sequence_group=self._sequence_group,
            **extra,
        )
        hidden: Tensor = output.last_hidden_state[0]
        return hidden

    def inputs(self, batch: RankBatch) -> tuple[Tensor, dict[str, Any]]:
        """Word embeddings with the pages' features in their places, [S / P, H], and what deep layers take of them."""
        core: Any = self.model.model
        embeds: Tensor = core.language_model.embed_tokens(batch.input_ids)
        features = self._page_features(batch, embeds.dtype)
        extra: dict[str, Any] = {}
        if len(features) > 1:
            mask = torch.zeros(len(embeds), dtype=torch.bool, device=embeds.device)
            mask[batch.slots] = True
            extra = {"visual_pos_masks": mask[None], "deepstack_visual_embeds": features[1:]}
        embeds = embeds.index_copy(0, batch.slots, features[0])
        return embeds, extra

    def _page_features(self, batch: RankBatch, dtype: torch.dtype) -> list[Tensor]:
        """Feature rows for the slots of this rank: the pages' own, then those of the deep layers (Qwen3-VL).

        A rank without pages encodes a blank one and keeps none of its rows: with sharded parameters all ranks must
        take part in every layer's communication, forward and backward.
        """
        visual: Any = self.model.model.visual  # type: ignore[union-attr]
        trained = any(parameter.requires_grad for parameter in visual.parameters())
        with torch.set_grad_enabled(trained and torch.is_grad_enabled()):
            output = visual(self.normalize(batch.pixels, dtype), grid_thw=batch.grid_thw)
        features = [output.pooler_output, *(getattr(output, "deepstack_features", None) or [])]
        results = []
        for rows in features:
            kept = rows if batch.has_pages else rows[:0]
            if self._sequence_group is not None:
                kept = repartition(kept, batch.owned, self._sequence_group)
            results.append(kept.to(dtype))
        return results
