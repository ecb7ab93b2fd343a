"""The branch structure of verl's rows: carried by `extra_fields`, turned into position ids for the engine.

verl's V1 trainer recomputes `position_ids` as 0 … n−1 for every row (`trainer/ppo/v1/agent_loop_tq.py`) and
has no field for anything else; `extra_fields` reaches the engine's micro-batch row by row, also with dynamic
batches.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from verl.trainer.ppo.padding_utils import SYNTHETIC_PADDING_SEQ_LEN

from tw_plugins.errors import UserError
from tw_plugins.trie import Branch, position_ids_from_branches

ROW_FIELD = "threadweaver_row"


class CutRow(UserError, ValueError):
    """A row that is not as long as its structure says."""


def with_branch_positions(micro_batch: Any) -> Any:
    """The micro-batch with restarted position ids wherever a row has branches.

    Args:
        micro_batch: TensorDict with jagged `input_ids`, `position_ids` (B, j) and, in RL, `extra_fields` of
            length B. SFT rows carry their restarted positions already and pass unchanged.

    Raises:
        CutRow: a row has another length than the agent loop gave it.
    """
    if "extra_fields" not in micro_batch:
        return micro_batch
    lengths = micro_batch["input_ids"].offsets().diff().tolist()
    rows = zip(per_row(micro_batch["extra_fields"]), micro_batch["input_ids"].unbind(), strict=True)
    branches = [_branches(extra_fields, ids) for extra_fields, ids in rows]
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


def _branches(extra_fields: dict[str, Any], ids: torch.Tensor) -> list[Branch]:
    """Branches of the row of these ids."""
    row = extra_fields.get(ROW_FIELD)
    if row is None or _is_filling(row["length"], ids):
        return []
    if row["length"] != len(ids):
        raise CutRow(
            f"a row that the agent loop gave {row['length']} tokens comes to the engine with {len(ids)}: it "
            "would be trained as another tree, or as plain text. Nothing may shorten or fill up rows"
        )
    return [Branch(*branch) for branch in row["branches"]]


def _is_filling(length: int, ids: torch.Tensor) -> bool:
    """Whether verl filled its batch up with this row: one token many times, with the first row's structure.

    See `construct_minimal_padding_template` in `trainer/ppo/padding_utils.py`.
    """
    return len(ids) == SYNTHETIC_PADDING_SEQ_LEN != length and bool((ids == ids[0]).all())
