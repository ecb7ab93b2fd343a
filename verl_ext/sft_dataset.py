"""ThreadWeaver trajectories for verl's SFT trainer.

    data.custom_cls.path=pkg://verl_ext.sft_dataset  data.custom_cls.name=TrieSFTDataset

Seam: `create_sft_dataset` (`verl/trainer/sft_trainer.py`). verl's collator makes every per-token tensor
jagged and the engine sees it, so a row's restarted `position_ids` are all that the mask needs
(`verl_ext.engine`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset

from tw_plugins.encoding import encode_trajectory
from tw_plugins.rollout import ControlTokens
from tw_plugins.trajectory import validate
from tw_plugins.trie import TrieRow, row_from_ids
from verl_ext.file_order import unshuffled
from verl_ext.files import DataFileError, as_paths, check_columns

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """Settings under `data.threadweaver`.

    Attributes:
        prompt_key, response_key: columns; a prompt is a list of chat messages, a response a trajectory.
        autoregressive_unit: train the whole joined trajectory too, so that the model also decodes
            sequentially (P26).
        strict: raise at the first malformed trajectory instead of counting and leaving it out.
        keep_order: give the first epoch in file order (a curriculum) instead of verl's shuffle.
    """

    prompt_key: str = "prompt"
    response_key: str = "response"
    autoregressive_unit: bool = True
    strict: bool = False
    keep_order: bool = False


class TrieSFTDataset(Dataset[dict[str, torch.Tensor]]):
    """One example = one trie row: `input_ids`, `position_ids`, `loss_mask`, each (N,) int64."""

    def __init__(
        self, parquet_files: Any, tokenizer: Any, config: Any, processor: Any = None, max_samples: int = -1
    ) -> None:
        """Read, check and encode every example.

        Args:
            parquet_files: one path or several.
            config: verl's `data` section; `max_length` bounds a row in tokens, `threadweaver`: `Options`.
            max_samples: take only the first so many examples; −1 takes all.

        Raises:
            DataFileError: a file that cannot be used, or no example left.
            ValueError: a malformed or overlong example with `strict`.
        """
        self.options = Options(**(config.get("threadweaver") or {}))
        self.tags = ControlTokens.from_tokenizer(tokenizer)
        self.tokenizer = tokenizer
        self.max_length = config.get("max_length", 1024)
        self.left_out: Counter[str] = Counter()
        rows = list(self._rows(as_paths(parquet_files), max_samples))
        self.rows = [rows[i] for i in unshuffled(len(rows))] if self.options.keep_order else rows
        self._report(as_paths(parquet_files))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = self.rows[index]
        fields = {"input_ids": row.input_ids, "position_ids": row.position_ids, "loss_mask": row.loss_mask}
        return {name: torch.tensor(values, dtype=torch.long) for name, values in fields.items()}

    def _rows(self, paths: list[str], max_samples: int) -> Iterator[TrieRow]:
        for index, (prompt, response) in enumerate(self._examples(paths)):
            if 0 <= max_samples <= index:
                return
            reason, row = self._encode(prompt, response)
            if row is not None:
                yield row
            elif self.options.strict:
                raise ValueError(f"example {index} of {', '.join(paths)}: {reason}")
            else:
                self.left_out[reason.split(":")[0]] += 1
                logger.warning("example %d is left out: %s", index, reason)

    def _examples(self, paths: list[str]) -> Iterator[tuple[Any, str]]:
        import pyarrow.parquet as pq

        keys = [self.options.prompt_key, self.options.response_key]
        check_columns(paths, keys)
        for path in paths:
            table = pq.read_table(path, columns=keys).to_pydict()
            yield from zip(table[keys[0]], table[keys[1]], strict=True)

    def _encode(self, prompt: Any, response: str) -> tuple[str, TrieRow | None]:
        """A row, or the reason why there is none."""
        if errors := validate(response):
            return f"{errors[0].code}: {errors[0].message}", None
        prompt_ids = self.tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False)
        ids = [*prompt_ids, *encode_trajectory(response, self.tags), self.tags.eos_ids[0]]
        row = row_from_ids(ids, self.tags, len(prompt_ids), self.options.autoregressive_unit)
        if len(row.input_ids) > self.max_length:
            return f"too long: {len(row.input_ids)} tokens, data.max_length is {self.max_length}", None
        return "", row

    def _report(self, paths: list[str]) -> None:
        if not self.rows:
            raise DataFileError(f"{', '.join(paths)}: no example is left; left out: {dict(self.left_out)}")
        if lost := self.left_out.total():
            total = len(self.rows) + lost
            logger.warning("%d of %d examples are left out: %s", lost, total, dict(self.left_out))
