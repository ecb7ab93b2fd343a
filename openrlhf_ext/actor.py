"""OpenRLHF's Actor, taught what a trie row is: restarted positions and the ancestor mask, nothing else.

Seam: `Actor.__init__` (`openrlhf/models/actor.py`); policy, reference and EMA models are all made there, in
RL and SFT. A hook before the model's forward reads the codes of `openrlhf_ext.row_codes`; a batch without
them takes upstream's path untouched. With `--ds.packing_samples` the rows of a batch become one, positions
restarting at 0, which the ancestor mask understands (`unpad_and_slice_tensor` in the same module). With
`--ds.ring_attn_size` each rank has a slice of that one (:mod:`openrlhf_ext.split_rows`), and the mask is made
of the whole.
Works around `models/actor.py:262` (OpenRLHF 0.11.2), which makes positions of the padding mask alone; can
go once upstream takes `position_ids` and a mask per batch.
"""

from __future__ import annotations

from functools import partial, wraps
from typing import Any

from torch import Tensor

from openrlhf_ext.device import chosen_device
from openrlhf_ext.row_codes import decode, has_segments, is_coded
from openrlhf_ext.split_rows import slices_of, whole_rows
from tw_plugins.attention import has_branches, mask_for, masks_every_row, trie_attention
from tw_plugins.attention.segments import check_order
from tw_plugins.attention.self_check import check_attention
from tw_plugins.attention.sequence_parallel import split_over


def give_rows_their_mask(group: Any, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Forward pre-hook of a Hugging Face model: (B, N) codes, or packed position ids with branches → mask.

    Args:
        group: whose ranks have slices of the packed rows; None where each has whole ones.

    Raises:
        UnsupportedAttention: the model's attention takes no mask, or a layer sees only part of a trajectory.
        NotDepthFirst: a row has lost its beginning, or its branches are in another order.
    """
    mask, positions = kwargs.get("attention_mask"), kwargs.get("position_ids")
    always = masks_every_row(model.config)
    changed: Any
    if isinstance(mask, Tensor) and mask.dim() == 2 and is_coded(mask):
        positions = decode(mask)
        check_order(positions)  # rows without branches may have lost their beginning too
        changed = mask_for(model.config, positions) if always or has_segments(mask) else (mask > 0).long()
    elif mask is None and isinstance(positions, Tensor) and group is not None:
        changed = mask_for(model.config, whole_rows(positions, group))
    elif mask is None and isinstance(positions, Tensor) and (always or has_branches(positions)):
        changed = mask_for(model.config, positions)
    else:
        return None
    return args, {**kwargs, "attention_mask": changed, "position_ids": positions}


def unpad_rows(unpad: Any) -> Any:
    """`unpad_and_slice_tensor` that keeps the positions of coded rows, and cuts slices without a ring."""

    @wraps(unpad)
    def unpad_and_slice_tensor(sequences: Tensor, attention_mask: Tensor, ring_attn_group: Any) -> Any:
        coded = is_coded(attention_mask)
        real = (attention_mask > 0).to(attention_mask.dtype) if coded else attention_mask
        sequences, positions, rolled, added, indices = unpad(sequences, real, None)
        if coded:
            positions = decode(attention_mask).flatten()[indices].unsqueeze(0)
        if ring_attn_group is not None:
            (sequences, positions, rolled), added = slices_of([sequences, positions, rolled], ring_attn_group)
        return sequences, positions, rolled, added, indices

    return unpad_and_slice_tensor


def register(actor: Any) -> None:
    """Called once `openrlhf.models.actor` is imported."""
    from openrlhf.models.ring_attn_utils import get_ring_attn_group

    trie_attention.register()
    init = actor.Actor.__init__

    @wraps(init)
    def with_hook(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        check_attention(self.model.config, self.model.dtype, chosen_device().name)
        group = get_ring_attn_group()  # set before any model is made
        if group is not None:
            split_over(self.model, group)
        self.model.register_forward_pre_hook(partial(give_rows_their_mask, group), with_kwargs=True)

    actor.Actor.__init__ = with_hook
    actor.unpad_and_slice_tensor = unpad_rows(actor.unpad_and_slice_tensor)
