"""ThreadWeaver trajectories for verl's SFT trainer.

    data.custom_cls.path=pkg://tw_plugins.sft  data.custom_cls.name=TrieSFTDataset

Seam: `create_sft_dataset` (`verl/trainer/sft_trainer.py`). verl's collator makes every per-token tensor
jagged and the engine sees it, so a row's restarted `position_ids` are all that the mask needs
(`verl_ext.trie_engine`).
"""

from __future__ import annotations

import os
from itertools import islice
from typing import Any

import torch
from torch.utils.data import Dataset

from tw_plugins.datasets.columns import Columns
from tw_plugins.datasets.examples import read_examples
from tw_plugins.datasets.template import ChatTemplate
from tw_plugins.errors import in_one_line
from tw_plugins.settings import section
from tw_plugins.sft.examples import sft_examples
from tw_plugins.sft.order import unshuffled
from tw_plugins.sft.rows import RowMaker
from tw_plugins.sft.settings import TableSettings
from tw_plugins.storage.parquet import as_paths
from tw_plugins.trajectory import ControlTokens
from tw_plugins.trie.promise import demand_mask


class TrieSFTDataset(Dataset[dict[str, torch.Tensor]]):
    """One example = one trie row, or a pack: `input_ids`, `position_ids`, `loss_mask`, each (N,) int64."""

    def __init__(
        self, parquet_files: Any, tokenizer: Any, config: Any, processor: Any = None, max_samples: int = -1
    ) -> None:
        """Read, check and encode every example.

        Args:
            parquet_files: one source or several, of any form that `tw_plugins.datasets.rows` reads.
            config: verl's `data` section; `max_length` bounds a row in tokens, `threadweaver` holds
                `sft.settings.TableSettings`.
            max_samples: take only the first so many examples; −1 takes all.

        Raises:
            SystemExit: a setting, file, row or tokenizer that cannot be used, or nobody who would mask the
                rows; verl makes this object inside its command, under Hydra's frames and its own.
        """
        with in_one_line():
            demand_mask()
            self._read(as_paths(parquet_files), tokenizer, config, max_samples)

    def _read(self, paths: list[str], tokenizer: Any, config: Any, max_samples: int) -> None:
        """
        Raises:
            SettingsError: an unknown setting, a value that is not allowed, packs too small.
            DataFileError, ChatTemplateError, ControlTokenError: files or a tokenizer that cannot be used.
            NoExamples, BadRowError: no example is left; one is bad, and `strict`.
        """
        given = section(config.get("threadweaver"), "data.threadweaver", "strict=true")
        self.settings = TableSettings.read(given)
        maker = RowMaker(
            tags=ControlTokens.from_tokenizer(tokenizer),
            max_length=config.get("max_length", 1024),
            length_setting="data.max_length",
            source=", ".join(paths),
            settings=self.settings,
        )
        columns = Columns(prompt=self.settings.prompt_key, response=self.settings.response_key)
        examples = islice(
            read_examples(paths, "response", columns), max_samples if max_samples >= 0 else None
        )
        template = ChatTemplate(tokenizer, config.get("apply_chat_template_kwargs"))
        rows = maker.rows(sft_examples(examples, template, maker.tags))
        if os.environ.get("RANK", "0") == "0":
            print(maker.summary)  # as verl's own data sets do
        self.left_out = maker.left_out
        self.rows = rows.in_order(unshuffled(len(rows))) if self.settings.keep_order else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = self.rows[index]
        fields = {"input_ids": row.input_ids, "position_ids": row.position_ids, "loss_mask": row.loss_mask}
        return {name: torch.tensor(values, dtype=torch.long) for name, values in fields.items()}
