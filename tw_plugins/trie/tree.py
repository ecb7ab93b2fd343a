"""A row in the making: segments that hang from one another, and the order in which they are written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tw_plugins.trie.row import Branch, TrieRow, position_ids_from_branches

__all__ = ["Segment", "lay_out"]


@dataclass(eq=False)
class Segment:
    """Tokens one after the other.

    Attributes:
        fork: position of the first of them; 0 for the root.
        ids: theirs.
        loss: 1 where a token is trained.
        logprobs: of the rollout, 0.0 where untrained.
        branches: segments that continue this one below their fork, in the order in which they were added.
    """

    fork: int
    ids: list[int]
    loss: list[int] = field(init=False)
    logprobs: list[float] = field(init=False)
    branches: list[Segment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loss, self.logprobs = [0] * len(self.ids), [0.0] * len(self.ids)

    @property
    def end(self) -> int:
        """Position after its last token."""
        return self.fork + len(self.ids)

    def train(self, start: int, stop: int, logprobs: Sequence[float] | None = None) -> None:
        """Train the tokens of these positions."""
        place = slice(start - self.fork, stop - self.fork)
        self.loss[place] = [1] * (stop - start)
        if logprobs is not None:
            self.logprobs[place] = logprobs

    def extend(
        self, header: Sequence[int], body: Sequence[int], logprobs: Sequence[float] | None = None
    ) -> None:
        """Append ``header``, untrained, and ``body``, trained."""
        new = [*header, *body]
        self.ids += new
        self.loss += [0] * len(new)
        self.logprobs += [0.0] * len(new)
        self.train(self.end - len(body), self.end, logprobs)

    def branch(
        self, fork: int, header: Sequence[int], body: Sequence[int], logprobs: Sequence[float] | None = None
    ) -> None:
        """Let ``header``, untrained, and ``body``, trained, continue this segment below position ``fork``.

        Raises:
            ValueError: it would begin at position 0, as a new trajectory does.
        """
        # Without a header the logits before the first trained token would belong to another segment. The same
        # token once more has the same context, so nothing else changes.
        if not header:
            fork, header = fork - 1, [self.ids[fork - 1 - self.fork]]
        if fork < 1:
            raise ValueError(
                "two completions have a single token as their context: the second would begin at position 0, "
                "as another trajectory does; let every context begin with one more token"
            )
        made = Segment(fork, [])
        made.extend(header, body, logprobs)
        self.branches.append(made)


def lay_out(root: Segment, with_logprobs: bool = False) -> TrieRow:
    """The tree as a row: each segment, then its branches with all of theirs, the largest fork first.

    Every branch must fork before its parent's end; branches of one fork keep their order.
    """
    ids: list[int] = []
    loss: list[int] = []
    logprobs: list[float] = []
    branches: list[Branch] = []
    waiting = [root]  # a stack, since trees may be deeper than calls may
    while waiting:
        segment = waiting.pop()
        if segment is not root:
            branches.append(Branch(len(ids), segment.fork, len(segment.ids)))
        ids += segment.ids
        loss += segment.loss
        logprobs += segment.logprobs
        # The last one is written next: small forks first, and of one fork the later added.
        waiting += sorted(reversed(segment.branches), key=lambda branch: branch.fork)
    positions = position_ids_from_branches(len(ids), branches)
    return TrieRow(ids, positions, loss, branches, logprobs if with_logprobs else None)
