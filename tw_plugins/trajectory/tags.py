"""The ten control tags of ThreadWeaver as token ids of one tokenizer, and the few strings that are injected.

Everything the state machine decides, it decides on ids: a tag counts only as its own single token. The
tokenizer is kept for two things only: to encode injected strings (thread headers, closings) and to decode ids
for reading (outline numbers, validation). Sampled ids are never decoded and encoded again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tw_plugins.errors import UserError
from tw_plugins.trajectory.ends import ends_of
from tw_plugins.trajectory.grammar import TAGS

__all__ = ["TAGS", "ControlTokenError", "ControlTokens"]

_OPTIONAL = ("<Conclusion>", "</Conclusion>")


class ControlTokenError(UserError, ValueError):
    """The tokenizer cannot be used for ThreadWeaver; the message names the tag and says what to do."""


@dataclass(frozen=True)
class ControlTokens:
    """Ids of the control tags (spec §1), the end-of-sequence ids and the injected pieces.

    Make it with :meth:`from_tokenizer`, which checks every tag.
    """

    parallel: int
    parallel_end: int
    outlines: int
    outlines_end: int
    outline: int
    outline_end: int
    thread: int
    thread_end: int
    conclusion: int | None
    conclusion_end: int | None
    eos_ids: tuple[int, ...]
    _tokenizer: Any = field(repr=False, compare=False)
    _headers: dict[tuple[int, bool], tuple[int, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def from_tokenizer(cls, tokenizer: Any, eos_ids: int | Iterable[int] | None = None) -> ControlTokens:
        """Looks the tags up in a Hugging Face tokenizer.

        Args:
            tokenizer: has ``get_vocab``, ``encode``, ``decode``, ``unk_token_id`` and ``eos_token_id``.
            eos_ids: the ids that end a trajectory; all that the model ends turns with when None, see
                `trajectory.ends`.

        Raises:
            ControlTokenError: a required tag is missing, is unknown or is several ids; only one tag of the
                Conclusion pair is there; two tags share an id; there is no EOS id; pieces that are encoded
                apart are not the text that they were.
        """
        vocab = tokenizer.get_vocab()
        has_conclusion = any(tag in vocab for tag in _OPTIONAL)
        wanted = [tag for tag in TAGS if has_conclusion or tag not in _OPTIONAL]
        ids = {tag: _single_id(tokenizer, vocab, tag) for tag in wanted}
        if len(set(ids.values())) != len(ids):
            raise ControlTokenError(f"control tags share token ids: {ids}. Give each tag a token of its own.")
        tokens = cls(
            **{_field_name(tag): ids.get(tag) for tag in TAGS},  # type: ignore[arg-type]
            eos_ids=_eos_ids(tokenizer, eos_ids),
            _tokenizer=tokenizer,
        )
        if overlap := sorted(set(ids.values()) & set(tokens.eos_ids)):
            raise ControlTokenError(f"token ids {overlap} are both control tag and EOS. Give other eos_ids.")
        _check_pieces(tokens)
        return tokens

    @cached_property
    def tag_of(self) -> dict[int, str]:
        """Token id → tag, e.g. ``{151669: "<Parallel>", …}``; holds no entry for tags the tokenizer lacks."""
        ids = {tag: getattr(self, _field_name(tag)) for tag in TAGS}
        return {token_id: tag for tag, token_id in ids.items() if token_id is not None}

    def header(self, number: int, first: bool) -> tuple[int, ...]:
        r"""Injected ids that open thread ``number``: ``[\n] <Thread> \n{number}:`` (spec §1, P5).

        Args:
            number: 1-based thread number.
            first: with the leading newline. A request always has it; in the joined path only thread 1 has it,
                for siblings are adjacent (``</Thread><Thread>``).
        """
        key = (number, first)
        if key not in self._headers:
            lead = self.encode("\n") if first else []
            self._headers[key] = (*lead, self.thread, *self.encode(f"\n{number}:"))
        return self._headers[key]

    @cached_property
    def thread_close(self) -> tuple[int, ...]:
        r"""Injected ids of ``\n</Thread>``, for a thread that did not close itself."""
        return (*self.encode("\n"), self.thread_end)

    @cached_property
    def join_newline(self) -> tuple[int, ...]:
        r"""Injected ids of ``\n``, put after the last thread of a block."""
        return tuple(self.encode("\n"))

    def encode(self, text: str) -> list[int]:
        """Ids of an injected string, alone: no BOS, no neighbours to merge with."""
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids for reading: special tokens kept, no clean-up of spaces."""
        if not len(ids):
            return ""
        return _decode(self._tokenizer, ids)


def _field_name(tag: str) -> str:
    """``<Outlines>`` → ``outlines``; ``</Outlines>`` → ``outlines_end``."""
    name = tag.strip("</>").lower()
    return f"{name}_end" if tag.startswith("</") else name


def _single_id(tokenizer: Any, vocab: dict[str, int], tag: str) -> int:
    """The one id of a tag, also when it stands in the middle of text."""
    if tag not in vocab or vocab[tag] == tokenizer.unk_token_id:
        raise ControlTokenError(
            f"the tokenizer has no token {tag!r}. `threadweaver data add-tokens` writes a model and a "
            "tokenizer that have all control tags."
        )
    ids = tokenizer.encode(f"a{tag}a", add_special_tokens=False)
    alone = tokenizer.encode(tag, add_special_tokens=False)
    if list(alone) != [vocab[tag]] or vocab[tag] not in ids:
        raise ControlTokenError(
            f"the tokenizer splits {tag!r} into ids {list(alone)} instead of the one id {vocab[tag]}. "
            f"Add it as a special token (AddedToken, special=True) so that it is never split."
        )
    around = f"a \n{tag}\n a"
    decoded = _decode(tokenizer, tokenizer.encode(around, add_special_tokens=False))
    if len(decoded) < len(around):
        raise ControlTokenError(
            f"the tokenizer makes {decoded!r} of {around!r}: white space beside {tag} is lost. Add the tag "
            "again without lstrip and rstrip (AddedToken(…, lstrip=False, rstrip=False, special=True))"
        )
    return vocab[tag]


def _check_pieces(tokens: ControlTokens) -> None:
    """What is injected and what is sampled are encoded apart; together they must be the text."""
    pieces = ("a", "\n", "<Thread>", "\n1:", " a", "</Thread>", "\n", "a")
    decoded = tokens.decode([token_id for piece in pieces for token_id in tokens.encode(piece)])
    if decoded != "".join(pieces):
        raise ControlTokenError(
            f"the tokenizer makes {decoded!r} of the pieces of {''.join(pieces)!r}: it puts something before "
            "or behind each piece. Load it without (add_prefix_space=False, legacy=False), or save it so"
        )


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text


def _eos_ids(tokenizer: Any, eos_ids: int | Iterable[int] | None) -> tuple[int, ...]:
    """EOS ids as a tuple, in the given order, each once."""
    given = ends_of(tokenizer) if eos_ids is None else eos_ids
    if eos_ids is None and not given:
        raise ControlTokenError("the tokenizer has no EOS token. Set tokenizer.eos_token or give eos_ids.")
    found = tuple(dict.fromkeys([given] if isinstance(given, int) else given))
    if not found:
        raise ControlTokenError("eos_ids is empty: give at least one id that ends a trajectory.")
    return found
