"""The shortest case that still breaks: remove what is not needed, piece by piece, until nothing can go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.fuzz.cases import Case, Reply


def shortest(case: Case, breaks: Callable[[Case], bool]) -> Case:
    """The smallest case found by removing replies and runs of ids, and by making replies plain."""
    going = True
    while going:
        smaller = next((candidate for candidate in _smaller(case) if breaks(candidate)), None)
        going = smaller is not None
        case = smaller or case
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Cases with one thing less, larger cuts first."""
    for name in ("segments", "threads"):
        replies: tuple[Reply, ...] = getattr(case, name)
        if len(replies) > 1:
            for place in range(len(replies)):
                yield replace(case, **{name: replies[:place] + replies[place + 1 :]})
        for place, reply in enumerate(replies):
            for simpler in _simpler(reply):
                yield replace(case, **{name: (*replies[:place], simpler, *replies[place + 1 :])})


def _simpler(reply: Reply) -> Iterator[Reply]:
    size = len(reply.ids)
    while size:
        for start in range(0, len(reply.ids), size):
            yield replace(reply, ids=reply.ids[:start] + reply.ids[start + size :])
        size //= 2
    plain = Reply(reply.ids)
    for name in ("reason", "logprobs", "delay", "fault"):
        if getattr(reply, name) != getattr(plain, name):
            yield replace(reply, **{name: getattr(plain, name)})
