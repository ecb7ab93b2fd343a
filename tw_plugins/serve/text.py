"""Ids that come in pieces → text that comes in pieces: whole characters, up to a stop, thinking apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

__all__ = ["Kind", "StopSearch", "TextStream", "ThinkSplit"]

Kind = Literal["reasoning", "content"]
_HALF = "\ufffd"  # what a decoder makes of bytes that are no character, or not yet
_LONGEST = 64  # ids of one character; more are no text
_OPEN, _CLOSE = "<think>", "</think>"


class TextStream:
    """Decodes ids as they come; all texts together are the text of all ids.

    A character may be several ids, and an id's text may depend on the one before it: what is new is read off
    the difference of two texts, with and without the new ids, that both begin some ids before (as in TGI and
    vLLM).
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []  # those that are told, for context, and behind them those that are not
        self._told = 0

    def push(self, ids: Sequence[int]) -> str:
        """The text that is whole with them; may be empty."""
        self._ids += ids
        return self._new(whole=len(self._ids) - len(ids) - self._told > _LONGEST)

    def end(self) -> str:
        """What is left, though it is no whole character."""
        return self._new(whole=True)

    def _new(self, whole: bool) -> str:
        if self._told == len(self._ids):
            return ""
        before, now = self._decode(self._ids[: self._told]), self._decode(self._ids)
        if now.endswith(_HALF) and not whole:
            return ""
        self._ids = self._ids[self._told :]
        self._told = len(self._ids)
        return now[len(before) :]


class StopSearch:
    """Cuts a text before the first of some strings.

    Attributes:
        found: one was there; nothing comes after.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = list(stops)
        self._kept = ""
        self.found = False

    def push(self, text: str) -> str:
        """What no stop can begin in."""
        if self.found:
            return ""
        text = self._kept + text
        # Of several the one that ends first: it does not depend on the pieces in which the text comes.
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.found, self._kept = True, ""
            return text[: min(found)[1]]
        kept = max((_begun(text, stop) for stop in self._stops), default=0)
        self._kept = text[len(text) - kept :]
        return text[: len(text) - kept]

    def end(self) -> str:
        """What was kept: it was the beginning of no stop."""
        kept, self._kept = self._kept, ""
        return kept


class ThinkSplit:
    """Tells what stands between ``<think>`` and ``</think>`` from the rest; the tags are left out.

    Thinking is what a text begins with; a later ``<think>`` is text like any other.

    Args:
        opened: the prompt ends inside.
    """

    def __init__(self, opened: bool) -> None:
        self._state: Literal["before", "inside", "behind"] = "inside" if opened else "before"
        self._kept = ""

    def push(self, text: str) -> list[tuple[Kind, str]]:
        """Parts that are not empty, in their order."""
        text, self._kept = self._kept + text, ""
        found: list[tuple[Kind, str]] = []
        if self._state == "before":
            begun = text.lstrip()
            if len(begun) < len(_OPEN) and _OPEN.startswith(begun):
                self._kept = text
                return []
            self._state = "inside" if begun.startswith(_OPEN) else "behind"
            text = begun.removeprefix(_OPEN) if self._state == "inside" else text
        if self._state == "inside":
            inside, closed, behind = text.partition(_CLOSE)
            if closed:
                self._state, text = "behind", behind
            else:
                kept = _begun(inside, _CLOSE)
                self._kept, inside, text = inside[len(inside) - kept :], inside[: len(inside) - kept], ""
            found.append(("reasoning", inside))
        found.append(("content", text))
        return [(kind, part) for kind, part in found if part]

    def end(self) -> list[tuple[Kind, str]]:
        """What was kept: it was the beginning of no tag."""
        kept, self._kept = self._kept, ""
        kind: Kind = "reasoning" if self._state == "inside" else "content"
        return [(kind, kept)] if kept else []


def _begun(text: str, mark: str) -> int:
    """Characters at the end of a text that the mark may begin with."""
    for length in range(min(len(mark) - 1, len(text)), 0, -1):
        if text.endswith(mark[:length]):
            return length
    return 0
