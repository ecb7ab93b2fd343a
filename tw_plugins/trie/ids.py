"""SFT: a joined trajectory's ids as the row that parallel inference of it would give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tw_plugins.errors import UserError
from tw_plugins.trie.tree import Segment, lay_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tw_plugins.trajectory import ControlTokens
    from tw_plugins.trie.row import TrieRow

__all__ = ["MalformedRow", "row_from_ids"]

# Which tags may follow a tag (field names of ControlTokens). Outside of blocks the state is "parallel_end".
_NEXT: dict[str, tuple[str, ...]] = {
    "parallel_end": ("parallel",),
    "parallel": ("outlines",),
    "outlines": ("outline",),
    "outline": ("outline_end",),
    "outline_end": ("outline", "outlines_end"),
    "outlines_end": ("thread",),
    "thread": ("thread_end",),
    "thread_end": ("thread", "conclusion", "parallel_end"),
    "conclusion": ("conclusion_end",),
    "conclusion_end": ("parallel_end",),
}


class MalformedRow(UserError, ValueError):
    """Ids that cannot be laid out as a row: ``reason`` says why, ``position`` indexes the ids given."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"malformed trajectory at token {position}: {reason}")
        self.reason = reason
        self.position = position


def row_from_ids(
    ids: Sequence[int], tags: ControlTokens, prompt_length: int, autoregressive_unit: bool = True
) -> TrieRow:
    """SFT: a joined trajectory as the row that parallel inference of it would give.

    ``ids`` are prompt + response as ``encode_trajectory`` makes them. Threads 2..n become branches that begin
    with the header as it is sent. With ``autoregressive_unit`` the joined trajectory is one more unit (P26)
    and all of the response is trained on the main path, so that the model also decodes sequentially; without
    it only what parallel inference samples there: no headers, threads 2..n or newline of the join.

    Checks what the layout rests on: order of tags, as many threads as outlines, injected strings id by id.
    The whole grammar is checked by ``trajectory.validate_ids``.

    Raises:
        MalformedRow: with the position in ``ids`` and the reason.
        ValueError: ``prompt_length`` is not in 1..len(ids).
    """
    ids = list(ids)
    if not 0 < prompt_length <= len(ids):
        raise ValueError(f"prompt_length is {prompt_length}, expected 1..{len(ids)}")
    root = Segment(0, ids)
    root.train(prompt_length, len(ids))
    for block in _tag_positions(ids, tags, prompt_length):
        fork = block["outlines_end"][0] + 1
        bodies = _thread_bodies(ids, tags, block)
        # </Parallel> and a conclusion come after it: inference samples them on the main path.
        joined = bodies[-1][1] + len(tags.join_newline)
        if not autoregressive_unit:
            root.loss[fork:joined] = [0] * (joined - fork)
            root.train(*bodies[0])
        for number, (start, stop) in enumerate(bodies[1:], 2):
            # The header as it is sent, with the newline that siblings do not have in the joined text.
            root.branch(fork, tags.header(number, True), ids[start:stop])
    return lay_out(root)


def _tag_positions(ids: list[int], tags: ControlTokens, start: int) -> list[dict[str, list[int]]]:
    """Per block, the positions of each tag, checked to come in the order of the grammar."""
    # A tokenizer without Conclusion adds None here, which is no id.
    names = {getattr(tags, name): name for name in _NEXT}
    blocks: list[dict[str, list[int]]] = []
    previous = "parallel_end"
    # From the response on: tags in a prompt are an example, and context.
    for position in [i for i in range(start, len(ids)) if ids[i] in names]:
        name = names[ids[position]]
        if name not in _NEXT[previous]:
            raise MalformedRow(f"got tag {name}, expected {' or '.join(_NEXT[previous])}", position)
        if name == "parallel":
            blocks.append({tag: [] for tag in _NEXT})
        blocks[-1][name].append(position)
        previous = name
    if previous != "parallel_end":
        raise MalformedRow(f"the ids end, expected {' or '.join(_NEXT[previous])}", len(ids))
    return blocks


def _thread_bodies(ids: list[int], tags: ControlTokens, block: dict[str, list[int]]) -> list[tuple[int, int]]:
    """[start, stop) of what each thread samples, closing tag included; injected strings must match by id."""
    outlines, threads = len(block["outline"]), len(block["thread"])
    if outlines != threads:
        raise MalformedRow(f"{outlines} outlines but {threads} threads", block["parallel"][0])
    # Each begins where the one before it ended: what stands between is neither injected nor sampled.
    bodies, at = [], block["outlines_end"][0] + 1
    for number, close in enumerate(block["thread_end"], 1):
        start = _expect(ids, at, tags.header(number, number == 1), f"header of thread {number}")
        bodies.append((start, close + 1))
        at = close + 1
    _expect(ids, at, tags.join_newline, "newline after the last thread")
    return bodies


def _expect(ids: list[int], at: int, injected: Sequence[int], what: str) -> int:
    """Position after the ``injected`` ids, which must be at ``at``."""
    stop = at + len(injected)
    if ids[at:stop] != list(injected):
        got, sent = ids[at:stop], list(injected)
        raise MalformedRow(f"{what}: got ids {got}, inference injects {sent}; use encode_trajectory", at)
    return stop
