"""The KV cache of one engine, by trajectories: what runs, and what is kept of earlier requests.

The longest part of a trajectory's path that is here serves its next requests. What nobody uses goes as soon
as its room is needed, the oldest first and each from its end, as vLLM's blocks do.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

__all__ = ["PrefixCache"]


@dataclass
class _Path:
    tokens: int
    users: int = 0


class PrefixCache:
    """
    Attributes:
        tokens: that it holds.
    """

    def __init__(self, tokens: int, block_size: int) -> None:
        self.tokens, self._block = tokens, block_size
        self._used: dict[Hashable, _Path] = {}
        self._idle: OrderedDict[Hashable, _Path] = OrderedDict()
        self._used_tokens = self._idle_tokens = 0
        self._sampled = 0.0  # what running requests have sampled, on average of their lives: half

    def take(self, trajectory: Hashable, prompt: int, sampled: int) -> int | None:
        """Begin a request.

        Args:
            prompt: its tokens, all of the trajectory's path so far.
            sampled: tokens that it will sample.

        Returns:
            Tokens of the prompt that need not be computed; None where it must wait for room.
        """
        path = self._used.get(trajectory) or self._idle.get(trajectory) or _Path(0)
        known, new = path.tokens, max(prompt - path.tokens, 0)
        more = new + (0 if path.users else known)
        # One that runs alone always may: `Replica` refuses what is too long for an empty cache.
        if self._used and self._used_tokens + more + self._sampled + sampled / 2 > self.tokens:
            return None
        if self._idle.pop(trajectory, None):
            self._idle_tokens -= known
        path.tokens, path.users = known + new, path.users + 1
        self._used[trajectory] = path
        self._used_tokens += more
        self._sampled += sampled / 2
        self._evict()
        return min(known, prompt - 1) // self._block * self._block  # a prompt's last token is computed

    def give_back(self, trajectory: Hashable, sampled: int, path_tokens: int) -> None:
        """End a request.

        Args:
            path_tokens: of the trajectory's path that it had computed in the end, what it sampled included
                where that stands there.
        """
        path = self._used[trajectory]
        self._sampled -= sampled / 2
        self._used_tokens += max(path_tokens - path.tokens, 0)
        path.tokens, path.users = max(path.tokens, path_tokens), path.users - 1
        if not path.users:
            self._idle[trajectory] = self._used.pop(trajectory)
            self._used_tokens -= path.tokens
            self._idle_tokens += path.tokens
        self._evict()

    def _evict(self) -> None:
        while self._idle and (excess := self._excess()) > 0:
            trajectory, oldest = next(iter(self._idle.items()))
            gone = min(oldest.tokens, -int(-excess // 1))
            oldest.tokens -= gone
            self._idle_tokens -= gone
            if not oldest.tokens:
                del self._idle[trajectory]

    def _excess(self) -> float:
        return self._used_tokens + self._idle_tokens + self._sampled - self.tokens
