"""The row viewer: one record as the row that training makes of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tw_plugins.datasets.holes import BadRow
from tw_plugins.datasets.messages import messages_of
from tw_plugins.datasets.responses import response_after
from tw_plugins.datasets.template import ChatTemplate, Prompt
from tw_plugins.pages.page import write_page
from tw_plugins.pages.reading.trajectory import Viewed, ViewError
from tw_plugins.sft import RowMaker, SFTSettings
from tw_plugins.sft.examples import SFTExample
from tw_plugins.trajectory import ControlTokens
from tw_plugins.trajectory.encoding import sampled_texts
from tw_plugins.trie import TrieRow

__all__ = ["ShownRow", "row_data", "row_of", "write_row"]

SFT_LOSS = (
    "The loss is that of SFT: the whole response on the main path, as sequential decoding has it, and "
    "threads 2 and on once more in branches, each as its own request has it. RL's counts each sampled token "
    "once."
)
UNITS_LOSS = (
    "The loss is that of SFT without the autoregressive unit: each token that parallel decoding samples, "
    "once, where its own request has it."
)
_DECODED = ("verl rollout", "samples", "OpenRLHF sample")


@dataclass(frozen=True)
class ShownRow:
    """A row with what its page says of it.

    Attributes:
        prompt_length: tokens of the prompt.
        threads: block and thread of each branch.
        texts: token id → its text, for every id of the row.
        title: file and line.
        note: what a reader has to know about how the row was made.
        loss: whose loss it shows.
    """

    row: TrieRow
    prompt_length: int
    threads: list[tuple[int, int]]
    texts: dict[int, str]
    title: str
    note: str
    loss: str


def row_of(viewed: Viewed, tokenizer: Any, autoregressive_unit: bool = True) -> ShownRow:
    """Makes the row as SFT does.

    Raises:
        ControlTokenError: the tokenizer lacks a control token.
        ViewError: the record is malformed, or its prompt is empty: training leaves it out.
    """
    tags = ControlTokens.from_tokenizer(tokenizer)
    where = f"{viewed.source}, line {viewed.line}"
    maker = RowMaker(tags, sys.maxsize, "the length", where, SFTSettings(autoregressive_unit))
    try:
        prompt, note = _prompt(viewed, tokenizer)
        ends = [tags.decode([token_id]) for token_id in tags.eos_ids]
        response = response_after(prompt.opening, viewed.text, ends)
        row = maker.encode(SFTExample(prompt.ids, response, where))
    except BadRow as bad:
        raise ViewError(f"{where} makes no row, training leaves it out: {bad}") from bad
    branches = [
        (block, thread) for block, thread, _ in sampled_texts(response) if block and thread and thread > 1
    ]
    branches.sort(key=lambda where: -where[0])  # as in the row: a later block forks further on
    texts = {token: tags.decode([token]) for token in sorted(set(row.input_ids))}
    loss = SFT_LOSS if autoregressive_unit else UNITS_LOSS
    return ShownRow(row, len(prompt.ids), branches, texts, where, note, loss)


def write_row(shown: ShownRow, target: Path) -> None:
    """Writes the page."""
    write_page(
        "row/row.html.j2",
        target,
        styles=("look.css", "app.css", "row/row.css"),
        scripts=("common.js", "row/rule.js", "row/row.js"),
        title=shown.title,
        note=shown.note,
        loss=shown.loss,
        data=row_data(shown),
    )


def row_data(shown: ShownRow) -> dict[str, Any]:
    """Everything that the page's script is given, as JSON takes it."""
    row = shown.row
    return {
        "ids": row.input_ids,
        "positions": row.position_ids,
        "loss": row.loss_mask,
        "prompt": shown.prompt_length,
        "branches": [
            [branch.start, branch.length, *thread]
            for branch, thread in zip(row.branches, shown.threads, strict=True)
        ],
        "texts": {str(token): text for token, text in shown.texts.items()},
    }


def _prompt(viewed: Viewed, tokenizer: Any) -> tuple[Prompt, str]:
    """The prompt, and what to say about it."""
    if viewed.form in _DECODED:
        note = (
            "The file has decoded text, not ids: the prompt is encoded as it stands, without a chat template."
        )
        ids = list(tokenizer.encode(viewed.prompt, add_special_tokens=False))
        return Prompt(viewed.prompt, ids, ""), f"{note} {viewed.note}".strip()
    prompt = ChatTemplate(tokenizer).prompt(messages_of(viewed.messages or viewed.prompt))
    if viewed.messages or viewed.form == "example":
        return prompt, ""
    return prompt, "The record has the user's text alone; a system prompt would be missing here."
