"""The settings of supervised fine-tuning on trie rows."""

from __future__ import annotations

from dataclasses import dataclass

from tw_plugins.settings import Settings, setting


@dataclass(frozen=True)
class SFTSettings(Settings):
    """How trajectories become training examples."""

    autoregressive_unit: bool = setting(
        True, "train the whole joined trajectory too, so that the model also decodes sequentially (P26)"
    )
    strict: bool = setting(
        False, "stop at the first malformed trajectory instead of counting and leaving it out"
    )
    keep_order: bool = setting(False, "first epoch in the order of the file (a curriculum)")
    pack_tokens: int | None = setting(
        None,
        "join rows, which do not see each other, to examples of at most so many tokens, best fit unless "
        "keep_order; batch sizes count those then",
        least=1,
    )


@dataclass(frozen=True)
class TableSettings(SFTSettings):
    """Of `sft.dataset.TrieSFTDataset`, which reads its Parquet files itself."""

    PREFIX = "data.threadweaver."

    prompt_key: str = setting("prompt", "column of the prompts, lists of chat messages")
    response_key: str = setting("response", "column of the responses, trajectories")
