"""A trajectory as one row: the joined path, then one branch per thread that was sampled without its siblings.

    row       = main path                                  | branch 2  | branch 3  | next block's …
    tokens    = prompt seq </Outlines> h1 T1 h2 T2 h3 T3 … | h2' T2    | h3' T3    |
    positions = 0 1 2 …        f-1     f  …              L | f f+1 …   | f f+1 …   |
    loss      =    0    1              0  1  0  0  0  0  1 |  0   1    |  0   1    |

This is the paper's token trie (P6-7) cut into segments: a token attends to its own segment and to the main
path below the segment's first position, its fork. Thread 1's context is a prefix of the main path, so thread
1 is trained there; threads 2..n are trained in branches and are only context on the main path. Against one
row per request, whose prefixes are computed again for every request, a row has about six times fewer tokens
on the paper's data (Table 8, P27).

Two properties hold for every row, so that standard causal-LM code works on it unchanged:

- each branch begins with at least one untrained token, so the logits at ``i`` predict token ``i + 1``
  wherever that is trained;
- no branch begins at the position after the segment before it, so ``position_ids`` alone tell where the
  branches begin.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tw_plugins.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tw_plugins.rollout import Call, Rollout
    from tw_plugins.trajectory import ControlTokens

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


class Branch(NamedTuple):
    """``length`` tokens from row offset ``start`` that continue the main path below position ``fork``."""

    start: int
    fork: int
    length: int


@dataclass(frozen=True)
class TrieRow:
    """One trajectory, prompt included. All lists have the same length N.

    Attributes:
        input_ids: main path, then branches.
        position_ids: depth of each token in the trie, which is its position in the request it belongs to.
        loss_mask: 1 iff the token itself is trained; it is predicted from the token before it in the row.
        branches: in row order; they fill the row from the end of the main path on.
        logprobs: of the rollout, 0.0 where untrained; ``None`` if the engine gave none.

    Raises:
        ValueError: the lists differ in length.
    """

    input_ids: list[int]
    position_ids: list[int]
    loss_mask: list[int]
    branches: list[Branch] = field(default_factory=list)
    logprobs: list[float] | None = None

    def __post_init__(self) -> None:
        lengths = [len(self.position_ids), len(self.loss_mask)]
        lengths += [] if self.logprobs is None else [len(self.logprobs)]
        if set(lengths) != {len(self)}:
            raise ValueError(f"a row of {len(self)} tokens has lists of lengths {lengths}")

    def __len__(self) -> int:
        return len(self.input_ids)


def trained_ranges(loss_mask: Sequence[int]) -> list[tuple[int, int]]:
    """Half-open ranges of the ones in a mask."""
    edges = [i for i, (a, b) in enumerate(zip([0, *loss_mask], [*loss_mask, 0], strict=True)) if a != b]
    return list(zip(edges[::2], edges[1::2], strict=True))


def position_ids_from_branches(length: int, branches: Sequence[Branch]) -> list[int]:
    """Position of each of ``length`` tokens: 0, 1, … on the main path, fork, fork + 1, … in each branch.

    Raises:
        ValueError: the branches do not fill the end of the row, or one forks where the main path is not.
    """
    main = branches[0].start if branches else length
    positions = list(range(main))
    for branch in branches:
        # A branch at position 0 would be taken for the next trajectory of a pack.
        if branch.start != len(positions) or not 0 < branch.fork <= main:
            raise ValueError(f"{branch} does not fit: expected start {len(positions)}, fork in 1..{main}")
        positions.extend(range(branch.fork, branch.fork + branch.length))
    if len(positions) != length:
        raise ValueError(f"main path and branches have {len(positions)} tokens, the row {length}")
    return positions


class _Builder:
    """A row in the making; the main path is given, branches are appended."""

    def __init__(self, main: list[int]) -> None:
        self.ids = list(main)
        self.loss = [0] * len(main)
        self.logprobs = [0.0] * len(main)
        self.branches: list[Branch] = []
        self.next_position = len(main)

    def train(self, start: int, stop: int, logprobs: Sequence[float] | None = None) -> None:
        self.loss[start:stop] = [1] * (stop - start)
        if logprobs is not None:
            self.logprobs[start:stop] = logprobs

    def branch(
        self, fork: int, header: list[int], body: list[int], logprobs: Sequence[float] | None = None
    ) -> None:
        """Append untrained ``header`` and trained ``body``; they continue the main path below ``fork``."""
        # Without a header the logits before the first trained token belong to another segment; without a jump
        # nobody sees from position_ids that a branch begins.
        while not header or fork == self.next_position:
            # Repeat a token of the main path: same token, position and context, so nothing else changes.
            fork, header = fork - 1, [self.ids[fork - 1], *header]
        start, length = len(self.ids), len(header) + len(body)
        self.ids += header + body
        self.loss += [0] * length
        self.logprobs += [0.0] * length
        self.train(start + len(header), start + length, logprobs)
        self.branches.append(Branch(start, fork, length))
        self.next_position = fork + length

    def row(self, with_logprobs: bool) -> TrieRow:
        positions = position_ids_from_branches(len(self.ids), self.branches)
        logprobs = self.logprobs if with_logprobs else None
        return TrieRow(self.ids, positions, self.loss, self.branches, logprobs)


def row_from_rollout(rollout: Rollout) -> TrieRow:
    """RL: each sampled token is trained exactly once, in the context it was sampled in, injected ones never.

    A completion is trained on the main path where context + completion is a prefix of it, else in a branch of
    its own: threads 2..n, and a thread 1 that lost its end-of-sequence token in the join. An empty completion
    adds nothing.

    Raises:
        ValueError: the prompt is empty, or a context does not begin with the main path below its fork.
    """
    main = [*rollout.prompt_ids, *rollout.response_ids]
    builder = _Builder(main)
    fork = trained = _prompt_length(rollout)  # where sequential, and trained, tokens of the main path end
    for index, call in enumerate(rollout.calls):
        context, body, logprobs = _unit(call)
        stop = len(context) + len(body)
        if not body:
            continue
        # Sequential segments and thread 1, unless the join took its EOS; a sibling has another header.
        # Nothing below `trained` again: no token of the main path may stand for two requests.
        if (
            trained <= len(context)
            and main[len(context) : stop] == body
            and _agree(context, main, len(context))
        ):
            builder.train(len(context), stop, logprobs)
            trained = stop
            # Threads fork where the last segment ended. An </Outlines> that was put in there was not sampled:
            # it becomes part of each header.
            fork = stop if call.thread is None else fork
        elif len(context) >= fork and _agree(context, main, fork):
            builder.branch(fork, list(context[fork:]), body, logprobs)
        else:
            raise ValueError(f"call {index}: its context differs from the joined path below {fork}")
    return builder.row(_has_logprobs(rollout))


def rows_from_rollout(rollout: Rollout) -> list[TrieRow]:
    """RL, layout "rows": one row without branches per request, context + completion, the completion trained.

    For engines that cannot take a mask. Same gradient as ``row_from_rollout``; every prefix is computed once
    per request.

    Raises:
        ValueError: the prompt is empty.
    """
    _prompt_length(rollout)
    rows = []
    for context, body, logprobs in map(_unit, rollout.calls):
        # An empty completion would be a row that trains nothing.
        if body:
            builder = _Builder([*context, *body])
            builder.train(len(context), len(context) + len(body), logprobs)
            rows.append(builder.row(_has_logprobs(rollout)))
    return rows


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
    builder = _Builder(ids)
    builder.train(prompt_length, len(ids))
    for block in _tag_positions(ids, tags, prompt_length):
        fork = block["outlines_end"][0] + 1
        bodies = _thread_bodies(ids, tags, block)
        # </Parallel> and a conclusion come after it: inference samples them on the main path.
        joined = bodies[-1][1] + len(tags.join_newline)
        if not autoregressive_unit:
            builder.loss[fork:joined] = [0] * (joined - fork)
            builder.train(*bodies[0])
        for number, (start, stop) in enumerate(bodies[1:], 2):
            # The header as it is sent, with the newline that siblings do not have in the joined text.
            builder.branch(fork, list(tags.header(number, True)), ids[start:stop])
    return builder.row(with_logprobs=False)


def _prompt_length(rollout: Rollout) -> int:
    if not rollout.prompt_ids:
        raise ValueError("the prompt is empty: nothing to predict the first sampled token from")
    return len(rollout.prompt_ids)


def _unit(call: Call) -> tuple[Sequence[int], list[int], Sequence[float] | None]:
    """Context, completion and log-probs of a request."""
    return call.context_ids, list(call.completion.token_ids), call.completion.logprobs


def _agree(context: Sequence[int], main: list[int], length: int) -> bool:
    """Whether the first `length` ids of both are the same."""
    return list(context[:length]) == main[:length]


def _has_logprobs(rollout: Rollout) -> bool:
    # All or none: 0.0 in place of a missing log-prob would say that the token was certain.
    completions = [call.completion for call in rollout.calls]
    return all(completion.logprobs is not None for completion in completions if len(completion.token_ids))


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
