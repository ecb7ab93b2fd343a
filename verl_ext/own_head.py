"""An output head of its own (untied, as Qwen3-8B's) under FSDP2 and fused kernels.

Works around `verl/utils/fsdp_utils.py:559` (verl 0.9.1): FSDP2 makes lm_head a unit of its own, which is
gathered when its forward is called; fused kernels never call that but take the bare weight
(`verl/models/transformers/dense_common.py:125`), still in shards: "mixed torch.Tensor and DTensor". As part
of the root's unit it is whole while the model runs, which costs its size on each GPU (Qwen3-8B in bf16:
1.2 GB). `test_without_ours_verl_fails_on_a_head_of_its_own` says when this can go.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from verl.utils import fsdp_utils


@contextmanager
def in_the_roots_unit() -> Iterator[None]:
    """While a model is wrapped, its head is not a unit of its own."""
    select = fsdp_utils._select_fsdp2_wrap_targets

    def without_head(model: Any, layers: Any) -> list[Any]:
        head = model.get_output_embeddings()
        return [module for module in select(model, layers) if module is not head]

    fsdp_utils._select_fsdp2_wrap_targets = without_head
    try:
        yield
    finally:
        fsdp_utils._select_fsdp2_wrap_targets = select
