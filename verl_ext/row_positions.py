"""The branch structure of verl's rows: carried by `extra_fields`, turned into position ids for the engine.

verl's V1 trainer recomputes `position_ids` as 0 … n−1 for every row (`trainer/ppo/v1/agent_loop_tq.py`) and
has no field for anything else; `extra_fields` reaches the engine's micro-batch row by row, also with dynamic
batches.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch

from tw_plugins.trie import Branch, position_ids_from_branches

ROW_FIELD = "threadweaver_row"


def with_branch_positions(micro_batch: Any) -> Any:
    """The micro-batch with restarted position ids wherever a row has branches.

    Args:
        micro_batch: TensorDict with jagged `input_ids`, `position_ids` (B, j) and, in RL, `extra_fields` of
            length B. SFT rows carry their restarted positions already and pass unchanged.
    """
    if "extra_fields" not in micro_batch:
        return micro_batch
    lengths = micro_batch["input_ids"].offsets().diff().tolist()
    rows = zip(per_row(micro_batch["extra_fields"]), lengths, strict=True)
    branches = [_branches(extra_fields, length) for extra_fields, length in rows]
    if not any(branches):
        return micro_batch
    positions = [position_ids_from_branches(n, row) for n, row in zip(lengths, branches, strict=True)]
    offsets = micro_batch["input_ids"].offsets()
    flat = torch.tensor(list(chain.from_iterable(positions)), device=offsets.device)
    changed = micro_batch.copy()  # shallow: the caller's position_ids stay as they are
    changed["position_ids"] = torch.nested.nested_tensor_from_jagged(flat, offsets)
    return changed


def per_row(field: Any) -> list[dict[str, Any]]:
    """`extra_fields` comes as a NonTensorStack or as a list, depending on how the batch was cut."""
    rows = field.tolist() if hasattr(field, "tolist") else list(field)
    return [getattr(row, "data", row) for row in rows]


def _branches(extra_fields: dict[str, Any], length: int) -> list[Branch]:
    """Branches of a row of `length` tokens.

    verl fills a batch up with synthetic rows that copy the first row's `extra_fields`
    (`trainer/ppo/padding_utils.py`, `upsample_batch_to_divisible_size`); their length gives them away.
    """
    row = extra_fields.get(ROW_FIELD) or {}
    return [Branch(*branch) for branch in row.get("branches", ())] if row.get("length") == length else []
