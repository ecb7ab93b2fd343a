"""A trajectory while it is decoded: who is told of it, and its joined path as early as it is known.

::

    path    segment | header 1, thread 1 | header 2, thread 2 | newline, segment …
                      ▲ told at once       ▲ kept until thread 1 is closed, then told, and from there at once
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

__all__ = ["Emit", "InOrder", "Place", "Watch"]


class Place(NamedTuple):
    """A part of the joined path.

    Attributes:
        block: forks made before it, its own included.
        thread: 1-based number; None for sequential text.
    """

    block: int
    thread: int | None = None


class Watch(Protocol):
    """Is told what each part of the joined path gains.

    The parts are begun in the order of the path: all threads of a block before the first of them samples.
    """

    def injected(self, place: Place, ids: Sequence[int]) -> None:
        """A header, a closing, a newline: no model sampled it."""
        ...

    def sampled(self, place: Place, ids: Sequence[int], logprobs: Sequence[float] | None) -> None:
        """(T,) ids and the log-prob of each, where the engine says it."""
        ...

    def closed(self, place: Place) -> None:
        """The part is whole."""
        ...


Emit = Callable[[Sequence[int], Sequence[float | None]], None]


class InOrder:
    """A watch that hands the ids of the joined path on in their order, each as early as can be.

    Args:
        emit: gets (T,) ids and (T,) log-probs; None is the log-prob of an id that was injected, or whose
            engine says none. All that it gets, one after the other, is `Rollout.response_ids`.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._kept: dict[Place, list[tuple[int, float | None]]] = {}  # in the order of the path
        self._closed: set[Place] = set()

    def injected(self, place: Place, ids: Sequence[int]) -> None:
        """See :class:`Watch`."""
        self._add(place, ids, [None] * len(ids))

    def sampled(self, place: Place, ids: Sequence[int], logprobs: Sequence[float] | None) -> None:
        """See :class:`Watch`."""
        self._add(place, ids, [None] * len(ids) if logprobs is None else logprobs)

    def closed(self, place: Place) -> None:
        """See :class:`Watch`."""
        if place not in self._kept:  # nothing was sampled there
            return
        self._closed.add(place)
        while self._kept and (first := next(iter(self._kept))) in self._closed:
            del self._kept[first]
            self._closed.remove(first)
            self._flush()

    def _add(self, place: Place, ids: Sequence[int], logprobs: Sequence[float | None]) -> None:
        kept = self._kept.setdefault(place, [])
        if place == next(iter(self._kept)):
            self._emit(ids, logprobs)
        else:
            kept += zip(ids, logprobs, strict=True)

    def _flush(self) -> None:
        """What has waited for its turn."""
        if kept := next(iter(self._kept.values()), None):
            ids, logprobs = zip(*kept, strict=True)
            kept.clear()
            self._emit(ids, logprobs)
