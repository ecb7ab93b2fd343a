"""A vocabulary of 50 byte strings: tags, ways to misspell them, halves of a character, digits, an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tw_plugins.trajectory import TAGS, ControlTokens

EOS = ("<|im_end|>", "<|endoftext|>")
_TEXT = (
    *("<think>", "</think>", "\\boxed{", "}", "{", "\\", ":", "\n", " ", "<", ">", "/", "Thread", "Outlines"),
    *"0123456789abcd",
)
_HALVES = (b"\xc3", b"\xa9")  # é together, nothing readable apart


class ByteTokenizer:
    """What :class:`ControlTokens` needs of a tokenizer; an id without a token decodes to nothing."""

    unk_token_id, eos_token_id = 1, 2

    def __init__(self, tags: Sequence[str]) -> None:
        names = ["<pad>", "<unk>", *EOS, *tags, *_TEXT]
        self.vocab = {name: number for number, name in enumerate(names)}
        self.bytes = [*(name.encode() for name in names), *_HALVES]
        longest_first = sorted(names, key=len, reverse=True)
        self._pieces = re.compile("|".join(map(re.escape, longest_first)))

    def get_vocab(self) -> dict[str, int]:
        return self.vocab

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        return [self.vocab[piece] for piece in self._pieces.findall(text)]

    def decode(
        self, ids: Sequence[int], skip_special_tokens: bool, clean_up_tokenization_spaces: bool
    ) -> str:
        known = (self.bytes[token] for token in ids if token < len(self.bytes))
        return b"".join(known).decode("utf-8", "replace")


def _vocabulary(tags: Sequence[str], eos: int) -> ControlTokens:
    return ControlTokens.from_tokenizer(ByteTokenizer(tags), eos_ids=range(2, 2 + eos))


VOCABULARIES = (_vocabulary(TAGS, 1), _vocabulary(TAGS, 2), _vocabulary(TAGS[:-2], 1))
"""With and without the Conclusion pair, with one and two ids that end a trajectory."""
HIGHEST_ID = 4 + len(TAGS) + len(_TEXT) + len(_HALVES) + 3
"""A few more than there are tokens: a model's embedding is padded."""
