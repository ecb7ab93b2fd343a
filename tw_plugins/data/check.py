"""What a file comes to: the rows that will be trained or asked, as a model sees them, and what is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from tw_plugins.datasets.columns import USUAL, Columns
from tw_plugins.datasets.examples import read_examples, wanted_by
from tw_plugins.datasets.holes import Holes
from tw_plugins.datasets.questions import questions
from tw_plugins.datasets.settings import INSTRUCTION
from tw_plugins.datasets.template import ChatTemplate, Template
from tw_plugins.sft.examples import sft_examples
from tw_plugins.sft.rows import RowMaker
from tw_plugins.trajectory import ControlTokens
from tw_plugins.trajectory.ends import Ends
from tw_plugins.verifiers.names import MATH

__all__ = ["Checked", "Shown", "check_prompts", "check_sft"]


@dataclass(frozen=True)
class Shown:
    """One row for people.

    Attributes:
        where: file and row.
        parts: texts in their order, and whether their tokens are trained.
        target: the reference answer of a prompt.
    """

    where: str
    parts: list[tuple[str, bool]]
    target: Any = None


@dataclass
class Checked:
    """What a check has found.

    Attributes:
        usable: rows that are trained or asked.
        holes: those that are not.
        longest: tokens of the longest usable row or prompt, and its place.
        shown: the first usable ones.
        notes: a line each on what the model itself does to every row.
    """

    usable: int = 0
    holes: Holes = field(default_factory=Holes)
    longest: tuple[int, str] = (0, "")
    shown: list[Shown] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, tokens: int, where: str) -> None:
        """One more usable row."""
        self.usable += 1
        self.longest = max(self.longest, (tokens, where), key=lambda found: found[0])


def check_sft(
    sources: Iterable[str | Path],
    tokenizer: Any,
    max_length: int,
    rows: int,
    columns: Columns = USUAL,
    split: str = "train",
) -> Checked:
    """SFT's examples as trie rows.

    Args:
        max_length: tokens that a row may have.
        rows: how many are shown.

    Raises:
        DataFileError, ChatTemplateError, ControlTokenError: the sources or the tokenizer cannot be used.
    """
    tags = ControlTokens.from_tokenizer(tokenizer)
    maker = RowMaker(tags, max_length, "--max-length", ", ".join(map(str, sources)))
    template = ChatTemplate(tokenizer)
    checked = Checked(holes=maker.holes, notes=_notes(template))
    read = read_examples(sources, "response", columns, split)
    for example in maker.holes.out_of(sft_examples(read, template, tags)):
        for row in maker.holes.out_of([maker.row(example)]):
            checked.count(len(row), example.where)
            if len(checked.shown) < rows:
                parts = _parts(row.input_ids, row.loss_mask, tags)
                checked.shown.append(Shown(example.where, parts))
    return checked


def check_prompts(
    sources: Iterable[str | Path],
    tokenizer: Any,
    rows: int,
    columns: Columns = USUAL,
    split: str = "train",
    instruction: str = INSTRUCTION,
    verifier: str = MATH,
) -> Checked:
    """Prompts of RL and evaluation with their reference answers; raises as `check_sft`."""
    template = ChatTemplate(tokenizer)
    checked = Checked(notes=_notes(template))
    read = read_examples(sources, wanted_by(verifier), columns, split)
    for asked in checked.holes.out_of(questions(read, template, instruction)):
        where = asked.example.where
        checked.count(len(asked.prompt.ids), where)
        if len(checked.shown) < rows:
            checked.shown.append(Shown(where, [(asked.prompt.text, False)], asked.example.target))
    return checked


def _notes(template: Template) -> list[str]:
    notes, ends = [], Ends.of(template.tokenizer)
    added = template.tokenizer.decode(template.preamble)
    if not all(map(ends.is_special, template.preamble)):
        tokens = len(template.preamble)
        notes.append(
            f"the chat template adds {tokens} tokens to each prompt without a system message: {added!r}"
        )
    if not ends.agree:
        mend = "they disagree: `threadweaver data add-tokens` writes a model in which they do not"
        notes.append(f"{ends.described()}; {mend}")
    return notes


def _parts(ids: Sequence[int], trained: Sequence[int], tags: ControlTokens) -> list[tuple[str, bool]]:
    """Runs of tokens that are trained, and of those that are not."""
    runs = groupby(zip(ids, trained, strict=True), key=lambda pair: bool(pair[1]))
    return [(tags.decode([token_id for token_id, _ in run]), loss) for loss, run in runs]
