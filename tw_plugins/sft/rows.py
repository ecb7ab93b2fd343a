"""SFT examples → trie rows; what cannot be a row is counted and left out, or an error."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tw_plugins.datasets.holes import BadRow, Hole, Holes
from tw_plugins.errors import UserError
from tw_plugins.settings import SettingsError
from tw_plugins.sft.examples import SFTExample
from tw_plugins.sft.settings import SFTSettings
from tw_plugins.trajectory import ControlTokens, encode_trajectory, validate
from tw_plugins.trie import TrieRow, row_from_ids
from tw_plugins.trie.compact import CompactRows
from tw_plugins.trie.packing import PackedRows, plan

logger = logging.getLogger(__name__)


class NoExamples(UserError, ValueError):
    """A data set of which nothing can be trained on; the message counts why."""


@dataclass
class RowMaker:
    """Makes rows of prompts and their responses.

    Attributes:
        max_length: tokens that a row may have, branches included.
        length_setting: the framework's name of ``max_length``, for messages.
        source: the data's name, for messages.
        holes, summary: what is left out, and one line of what is not, after ``rows``.

    Raises:
        SettingsError: packs that could not hold a row of ``max_length``.
    """

    tags: ControlTokens
    max_length: int
    length_setting: str
    source: str
    settings: SFTSettings = field(default_factory=SFTSettings)

    def __post_init__(self) -> None:
        self.holes, self.summary = Holes(self.settings.strict), ""
        pack_tokens = self.settings.pack_tokens
        if pack_tokens is not None and pack_tokens < self.max_length:
            raise SettingsError(
                f"pack_tokens is {pack_tokens}, less than the {self.max_length} tokens that "
                f"{self.length_setting} allows a row: raise it to that"
            )

    @property
    def left_out(self) -> Counter[str]:
        """Reason → number of examples left out, after ``rows``."""
        return self.holes.counted

    def rows(self, examples: Iterable[SFTExample | Hole]) -> CompactRows | PackedRows:
        """The rows of all examples that can be used, in order, or the packs made of them.

        Raises:
            BadRowError: an example that cannot be used, when ``strict``; its row and the reason are named.
            NoExamples: none is left.
        """
        rows = CompactRows(self.holes.out_of(map(self.row, examples)))
        if not rows:
            why = "; ".join(self.holes.lines())
            raise NoExamples(f"{self.source}: no example is left; {why}. Mend the data")
        self.holes.warn(logger, len(rows), "examples")
        self.summary = self.holes.summary(self.source, len(rows), "rows to train", max(rows.lengths))
        if self.settings.pack_tokens is None:
            return rows
        packs = plan(rows.lengths, self.settings.pack_tokens, by_length=not self.settings.keep_order)
        return PackedRows(rows, packs)

    def row(self, example: SFTExample | Hole) -> TrieRow | Hole:
        """One row, or why there is none; nothing is counted."""
        if isinstance(example, Hole):
            return example
        try:
            return self.encode(example)
        except BadRow as bad:
            return Hole(example.where, bad.reason, bad.detail)

    def encode(self, example: SFTExample) -> TrieRow:
        """One row.

        Raises:
            BadRow: it is malformed, empty or too long.
        """
        if errors := validate(example.response):
            raise BadRow(errors[0].code, errors[0].message)
        if not example.prompt_ids:
            raise BadRow("empty prompt", "there is nothing to predict the first token from")
        response = encode_trajectory(example.response, self.tags)
        if ends := set(self.tags.eos_ids) & set(response):
            raise BadRow("a turn ends inside the response", self.tags.decode([*ends][:1]))
        ids = [*example.prompt_ids, *response, self.tags.eos_ids[0]]
        row = row_from_ids(ids, self.tags, len(example.prompt_ids), self.settings.autoregressive_unit)
        if len(row) > self.max_length:
            raise BadRow("too long", f"{len(row)} tokens, {self.length_setting} is {self.max_length}")
        return row
