"""SFT examples → trie rows; what cannot be a row is counted and left out, or an error."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tw_plugins.errors import UserError
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
    """Makes rows of (prompt ids, response text) pairs.

    Attributes:
        max_length: tokens that a row may have, branches included.
        length_setting: the framework's name of ``max_length``, for messages.
        source: the data's name, for messages.
        left_out: reason → number of examples left out, after ``rows``.

    Raises:
        ValueError: packs that could not hold a row of ``max_length``.
    """

    tags: ControlTokens
    max_length: int
    length_setting: str
    source: str
    settings: SFTSettings = field(default_factory=SFTSettings)
    left_out: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        pack_tokens = self.settings.pack_tokens
        if pack_tokens is not None and pack_tokens < self.max_length:
            raise ValueError(
                f"pack_tokens is {pack_tokens}, less than the {self.max_length} tokens that "
                f"{self.length_setting} allows a row: raise it to that"
            )

    def rows(self, examples: Iterable[tuple[Sequence[int], str]]) -> CompactRows | PackedRows:
        """The rows of all examples that can be used, in order, or the packs made of them.

        Raises:
            ValueError: an example that cannot be used, when ``strict``; its index and the reason are named.
            NoExamples: none is left.
        """
        rows = CompactRows(self._usable(examples))
        if not rows:
            raise NoExamples(
                f"{self.source}: no example is left; left out: {dict(self.left_out)}. "
                "Mend the data, or raise the length."
            )
        if lost := self.left_out.total():
            total = len(rows) + lost
            logger.warning("%d of %d examples are left out: %s", lost, total, dict(self.left_out))
        if self.settings.pack_tokens is None:
            return rows
        packs = plan(rows.lengths, self.settings.pack_tokens, by_length=not self.settings.keep_order)
        return PackedRows(rows, packs)

    def _usable(self, examples: Iterable[tuple[Sequence[int], str]]) -> Iterator[TrieRow]:
        for index, (prompt_ids, response) in enumerate(examples):
            reason, row = self._encode(prompt_ids, response)
            if row is not None:
                yield row
            elif self.settings.strict:
                raise ValueError(f"example {index} of {self.source}: {reason}")
            else:
                self.left_out[reason.split(":")[0]] += 1
                logger.warning("example %d is left out: %s", index, reason)

    def _encode(self, prompt_ids: Sequence[int], response: str) -> tuple[str, TrieRow | None]:
        """A row, or the reason why there is none."""
        if errors := validate(response):
            return f"{errors[0].code}: {errors[0].message}", None
        if not prompt_ids:
            return "empty prompt: there is nothing to predict the first token from", None
        ids = [*prompt_ids, *encode_trajectory(response, self.tags), self.tags.eos_ids[0]]
        row = row_from_ids(ids, self.tags, len(prompt_ids), self.settings.autoregressive_unit)
        if len(row) > self.max_length:
            return f"too long: {len(row)} tokens, {self.length_setting} is {self.max_length}", None
        return "", row
