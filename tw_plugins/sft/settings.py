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
        False, "stop at the first row that cannot be used instead of counting and leaving it out"
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
    """Of `sft.dataset.TrieSFTDataset`, which reads its files itself."""

    PREFIX = "data.threadweaver."

    prompt_key: str | None = setting(
        None, "column of the prompts, texts or chat messages; `null` takes the first usual name"
    )
    response_key: str | None = setting(
        None, "column of the responses, trajectories; `null` takes the first usual name, or the last turn"
    )
