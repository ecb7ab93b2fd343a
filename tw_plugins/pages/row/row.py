"""The row viewer: one record as the row that training makes of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tw_plugins.datasets.holes import BadRow, Hole
from tw_plugins.pages.page import write_page
from tw_plugins.pages.reading.trajectory import Viewed, ViewError
from tw_plugins.sft import RowMaker, SFTSettings
from tw_plugins.sft.examples import SFTExample
from tw_plugins.trajectory import ControlTokens
from tw_plugins.trajectory.encoding import sampled_texts
from tw_plugins.trie import TrieRow

__all__ = ["ShownRow", "row_data", "row_of", "write_row"]

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
    """

    row: TrieRow
    prompt_length: int
    threads: list[tuple[int, int]]
    texts: dict[int, str]
    title: str
    note: str


def row_of(viewed: Viewed, tokenizer: Any, autoregressive_unit: bool = True) -> ShownRow:
    """Makes the row as SFT does.

    Raises:
        ControlTokenError: the tokenizer lacks a control token.
        ViewError: the record is malformed, or its prompt is empty: training leaves it out.
    """
    tags = ControlTokens.from_tokenizer(tokenizer)
    where = f"{viewed.source}, line {viewed.line}"
    prompt_ids, note = _prompt(viewed, tokenizer)
    response = viewed.text.removesuffix(tags.decode(tags.eos_ids[:1]))
    maker = RowMaker(tags, sys.maxsize, "the length", where, SFTSettings(autoregressive_unit))
    row = maker.row(SFTExample(prompt_ids, response, where))
    if isinstance(row, Hole):
        reason = BadRow(row.reason, row.detail)
        raise ViewError(f"{where} makes no row, training leaves it out: {reason}")
    branches = [
        (block, thread) for block, thread, _ in sampled_texts(response) if block and thread and thread > 1
    ]
    texts = {token: tags.decode([token]) for token in sorted(set(row.input_ids))}
    return ShownRow(row, len(prompt_ids), branches, texts, where, note)


def write_row(shown: ShownRow, target: Path) -> None:
    """Writes the page."""
    write_page(
        "row/row.html.j2",
        target,
        styles=("look.css", "app.css", "row/row.css"),
        scripts=("common.js", "row/rule.js", "row/row.js"),
        title=shown.title,
        note=shown.note,
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


def _prompt(viewed: Viewed, tokenizer: Any) -> tuple[list[int], str]:
    """Ids of the prompt, and what to say about them."""
    if viewed.form in _DECODED:
        note = (
            "The file has decoded text, not ids: the prompt is encoded as it stands, without a chat template."
        )
        return list(
            tokenizer.encode(viewed.prompt, add_special_tokens=False)
        ), f"{note} {viewed.note}".strip()
    if viewed.form == "example" and not viewed.messages:
        return list(tokenizer.encode(viewed.prompt, add_special_tokens=False)), ""
    messages = viewed.messages or [{"role": "user", "content": viewed.prompt}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    note = (
        ""
        if viewed.messages
        else "The record has the user's text alone; a system prompt would be missing here."
    )
    return list(ids), note
