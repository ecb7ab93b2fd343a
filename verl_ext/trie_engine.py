"""verl's FSDP engine, taught what a trie row is: restarted positions and the ancestor mask, nothing else.

Seam: `FSDPEngineWithLMHead.prepare_model_inputs` (`verl/workers/engine/fsdp/transformer_impl.py`) and
`EngineRegistry`. The engine is registered for verl's default devices with their vendor named, which verl
looks up first; with SDPA and with attention that takes no mask a batch without branches goes verl's own way
untouched, so runs without ThreadWeaver are not affected.

Ulysses sequence parallelism (`ulysses_sequence_parallel_size`): verl cuts packed rows and their positions
into slices, and exchanges heads inside flash-attention only (`_ulysses_flash_attention_forward` in
`verl/models/transformers/monkey_patch.py`, verl 0.9.1); with other attention a token sees its own slice
alone, without an error. `tw_plugins.attention.sequence_parallel` exchanges heads around those that take a
mask, so there every batch has a mask of ours, made of whole rows.
"""

from __future__ import annotations

from contextlib import nullcontext
from types import ModuleType
from typing import Any

import torch
from torch.nn.functional import pad
from verl.utils import tensordict_utils as tu
from verl.utils.device import get_device_name
from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from tw_plugins.adapter.vocabulary import check_embedding
from tw_plugins.attention import has_branches, mask_for, masks_every_row, trie_attention, usable_attention
from tw_plugins.attention.self_check import check_attention
from tw_plugins.attention.sequence_parallel import attention_of, split_over
from tw_plugins.errors import UserError
from tw_plugins.trajectory import TAGS
from verl_ext.own_head import in_the_roots_unit
from verl_ext.row_positions import with_branch_positions


class UnsupportedEngine(UserError, ValueError):
    """A training setting with which a trie row would be attended wrongly."""


class TrieEngine(FSDPEngineWithLMHead):
    """FSDP engine that gives micro-batches their ancestor mask.

    Works padded and with `use_remove_padding`, with several rows per micro-batch, with dynamic batch sizes,
    gradient checkpointing, fused kernels and Ulysses sequence parallelism, with SDPA (dense mask),
    FlexAttention (`BlockMask`) and "trie" (a plan).
    """

    masks_branches = True  # which `verl_ext.engine_guard` looks for

    def initialize(self) -> None:
        """Build the model, once its embedding is known to hold the control tokens, and try its attention.

        Raises:
            VocabularyError: the model has fewer embedding rows than the tokenizer has ids.
            UnsupportedAttention: its attention computes rows with branches wrongly on this device, or its
                rows cannot be split over ranks.
        """
        model, tokenizer = self.model_config, self.model_config.tokenizer
        forks = tokenizer is not None and TAGS[0] in tokenizer.get_vocab()
        if forks:
            check_embedding(model.path, model.hf_config.get_text_config().vocab_size, len(tokenizer))
        super().initialize()
        if forks:
            check_attention(self.module.config, self._autocast_dtype, get_device_name())
        self._splits = self.use_ulysses_sp and attention_of(self.module.config) in self._usable
        if self._splits:
            split_over(self.module, self.ulysses_parallel_group)

    def _build_fsdp_module(self, module: Any) -> Any:
        fused = self.model_config.use_fused_kernels
        with in_the_roots_unit() if fused else nullcontext():
            return super()._build_fsdp_module(module)

    def prepare_model_inputs(self, micro_batch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """verl's inputs, with positions and mask of the rows' tries.

        Raises:
            UnsupportedEngine: the model's attention takes no mask.
            UnsupportedAttention: a layer of the model does not see all of a trajectory.
        """
        micro_batch = with_branch_positions(micro_batch)
        inputs, output_args = super().prepare_model_inputs(micro_batch)
        if self._needs_mask(micro_batch):
            positions = inputs["position_ids"]
            if self.use_ulysses_sp:  # this rank's slice of them
                whole = pad(micro_batch["position_ids"].values(), (0, output_args["pad_size"]))
                positions = whole.unsqueeze(0)
            inputs["attention_mask"] = self._ancestor_mask(positions)
        return inputs, output_args

    @property
    def _usable(self) -> tuple[str, ...]:
        return usable_attention(get_device_name())

    def _needs_mask(self, micro_batch: Any) -> bool:
        """Whether verl's own mask is wrong, as for branches and for padded packs of several rows, or slow."""
        positions = micro_batch["position_ids"]  # jagged: (B, j); multi-modal, without branches: (B, 4, j)
        if positions.dim() != 2:
            return False
        if has_branches(positions.values()):
            return True
        if self._splits or masks_every_row(self.module.config):
            return True
        padded = not tu.get_non_tensor_data(micro_batch, "use_remove_padding", default=True)  # verl's default
        return padded and int((positions.values() == 0).sum()) > len(positions)

    def _ancestor_mask(self, position_ids: torch.Tensor) -> Any:
        """Mask of (B, N) padded rows or (1, ΣN) packed ones; padding has position 0 and sees itself."""
        attention = attention_of(self.module.config)
        if attention not in self._usable:
            raise UnsupportedEngine(
                f"rows with branches need attn_implementation={' or '.join(self._usable)}; here it is "
                f"{attention!r}. Set layout=rows, or "
                "+actor_rollout_ref.model.override_config.attn_implementation=sdpa (SFT: +model.override…)"
            )
        return mask_for(self.module.config, position_ids)


def register(transformer_impl: ModuleType) -> None:
    """Called by `verl_ext.plugin` once verl's FSDP engine is imported."""
    trie_attention.register()
    EngineRegistry.register("language_model", ["fsdp", "fsdp2"], device="cuda", vendor=["nvidia", "amd"])(
        TrieEngine
    )
