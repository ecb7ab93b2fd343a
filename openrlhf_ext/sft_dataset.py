"""ThreadWeaver trajectories for OpenRLHF's SFT trainer, one trie row per example.

Seam: `openrlhf.datasets.SFTDataset`, the name that `cli/train_sft.py` imports. Upstream's collator pads what
`__getitem__` returns; the row's positions travel as codes in the attention mask (`openrlhf_ext.row_codes`).
"""

from __future__ import annotations

from typing import Any

import torch
from openrlhf.datasets.sft_dataset import SFTDataset

from openrlhf_ext.blending import rows_in
from openrlhf_ext.data_check import columns_of, template_of
from openrlhf_ext.row_codes import encode
from openrlhf_ext.settings import SFTSettings
from tw_plugins.datasets.examples import examples_of
from tw_plugins.sft import RowMaker
from tw_plugins.sft.examples import sft_examples
from tw_plugins.sft.order import unshuffled
from tw_plugins.trajectory import ControlTokens
from tw_plugins.trie.promise import demand_mask


class TrieSFTDataset(SFTDataset):  # type: ignore[misc]
    """Upstream's signature; prompts are made as in RL, responses are trajectories."""

    def __init__(
        self,
        dataset: Any,
        tokenizer: Any,
        max_length: int,
        strategy: Any,
        input_template: str | None = None,
        pretrain_mode: bool = False,
        num_processors: int = 8,
        multiturn: bool = False,
    ) -> None:
        """Encode every example.

        Raises:
            UnmaskedRows: a process without the hooks, one of another command than our launcher's.
            ValueError: no example is left, one is bad and `--tw.strict`, packs too small.
        """
        demand_mask()
        settings = SFTSettings.from_environment()
        self.tokenizer, data = tokenizer, strategy.args.data
        maker = RowMaker(
            tags=ControlTokens.from_tokenizer(tokenizer),
            max_length=max_length,
            length_setting="--data.max_len",
            source=str(getattr(data, "dataset", "the data set")),
            settings=settings,
        )
        columns = columns_of(data, response=data.output_key)
        examples = examples_of(rows_in(dataset, maker.source), "response", columns)
        template = template_of(tokenizer, data, input_template)
        rows = maker.rows(sft_examples(examples, template, maker.tags))
        strategy.print(maker.summary)
        self.left_out = maker.left_out
        self.rows = rows.in_order(unshuffled(len(rows), strategy.seed)) if settings.keep_order else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ids, codes and loss mask, each (1, N); upstream's mask is 1 where the next token is trained."""
        row = self.rows[index]
        shifted = torch.tensor([*row.loss_mask[1:], 0], dtype=torch.float32)
        return torch.tensor([row.input_ids]), encode(row.position_ids).unsqueeze(0), shifted.unsqueeze(0)


def register(datasets: Any) -> None:
    """Called once `openrlhf.datasets` is imported."""
    datasets.SFTDataset = TrieSFTDataset
