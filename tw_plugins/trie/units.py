"""RL: requests as rows. Each sampled token is trained exactly once, in the context it was sampled in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tw_plugins.trie.tree import Segment, lay_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tw_plugins.rollout import Call, Rollout
    from tw_plugins.trie.row import TrieRow

__all__ = ["row_from_rollout", "row_from_units", "rows_from_rollout"]


def row_from_units(units: Sequence[Call]) -> TrieRow:
    """The requests of one rollout, of any agent, as one row.

    What several contexts begin with stands once. A request that continues what another one ended with is more
    of the same segment, any other a branch. Sampled tokens are trained, each once: two requests that sampled
    the same ids are two branches. All else is context. An empty completion adds nothing.

    Args:
        units: any requests, in any order; those of equally long contexts keep theirs.

    Raises:
        ValueError: nothing was sampled, a context is empty, a request shares no token with the others, or two
            were asked after the same single token.
    """
    root = Segment(0, [])
    # What was sampled is there before it is part of a context, so no token is sampled that stands already.
    for number in sorted(range(len(units)), key=lambda number: len(units[number].context_ids)):
        context, body, logprobs = _unit(units[number])
        if not context:
            raise ValueError(f"unit {number} has an empty context: nothing to predict its first token from")
        if not body:
            continue
        segment, depth = _deepest(root, context)
        if root.ids and not depth:
            raise ValueError(
                f"unit {number} shares no token with the others: a row has one rollout's requests"
            )
        if depth == segment.end:
            segment.extend(context[depth:], body, logprobs)
        else:
            segment.branch(depth, context[depth:], body, logprobs)
    if not root.ids:
        raise ValueError("no unit has sampled anything: there is nothing to train")
    return lay_out(root, _has_logprobs(units))


def _deepest(root: Segment, context: list[int]) -> tuple[Segment, int]:
    """The segment with most of what a context begins with, and how many tokens those are.

    Among equals one that ends there, which the context can go on with.
    """
    best = root, _common(root.ids, context)
    waiting = [best]
    while waiting:
        segment, depth = waiting.pop()
        if depth > best[1] or (best[0].end != depth == best[1] == segment.end):
            best = segment, depth
        waiting += [
            (branch, branch.fork + _common(branch.ids, context[branch.fork : branch.end]))
            for branch in segment.branches
            if branch.fork <= depth and branch.ids[:1] == context[branch.fork : branch.fork + 1]
        ]
    return best


def _common(ids: list[int], others: list[int]) -> int:
    """How many ids both begin with."""
    low, high = 0, min(len(ids), len(others))
    while low < high:  # lists are compared a hundred times faster than their items one by one
        middle = (low + high + 1) // 2
        low, high = (middle, high) if ids[low:middle] == others[low:middle] else (low, middle - 1)
    return low


def row_from_rollout(rollout: Rollout) -> TrieRow:
    """The requests of a fork-join rollout as one row that begins with the joined path.

    A completion is trained on this main path where context + completion is a prefix of it, else in a branch
    of its own: threads 2..n, and a thread 1 that lost its end-of-sequence token in the join. A thread's
    branch begins with all of its header, as it was sent. An empty completion adds nothing.

    Raises:
        ValueError: the prompt is empty, or a context does not begin with the main path below its fork.
    """
    root = Segment(0, [*rollout.prompt_ids, *rollout.response_ids])
    fork = trained = _prompt_length(rollout)  # where sequential, and trained, tokens of the main path end
    for index, call in enumerate(rollout.calls):
        context, body, logprobs = _unit(call)
        stop = len(context) + len(body)
        if not body:
            continue
        # Sequential segments and thread 1, unless the join took its EOS; a sibling has another header.
        # Nothing below `trained` again: no token of the main path may stand for two requests.
        if trained <= len(context) and root.ids[len(context) : stop] == body and _agree(context, root):
            root.train(len(context), stop, logprobs)
            trained = stop
            # Threads fork where the last segment ended. An </Outlines> that was put in there was not sampled:
            # it becomes part of each header.
            fork = stop if call.thread is None else fork
        elif len(context) < fork or not _agree(context[:fork], root):
            raise ValueError(f"call {index}: its context differs from the joined path below {fork}")
        elif fork == root.end:  # a thread that was never joined
            root.extend(context[fork:], body, logprobs)
        else:
            root.branch(fork, context[fork:], body, logprobs)
    return lay_out(root, _has_logprobs(rollout.calls))


def rows_from_rollout(rollout: Rollout) -> list[TrieRow]:
    """Layout "rows": one row without branches per request, context + completion, the completion trained.

    For engines that cannot take a mask. Same gradient as ``row_from_rollout``; every prefix is computed once
    per request.

    Raises:
        ValueError: the prompt is empty.
    """
    _prompt_length(rollout)
    with_logprobs, rows = _has_logprobs(rollout.calls), []
    for context, body, logprobs in map(_unit, rollout.calls):
        # An empty completion would be a row that trains nothing.
        if body:
            root = Segment(0, [])
            root.extend(context, body, logprobs)
            rows.append(lay_out(root, with_logprobs))
    return rows


def _prompt_length(rollout: Rollout) -> int:
    if not rollout.prompt_ids:
        raise ValueError("the prompt is empty: nothing to predict the first sampled token from")
    return len(rollout.prompt_ids)


def _unit(call: Call) -> tuple[list[int], list[int], Sequence[float] | None]:
    """Context, completion and log-probs of a request."""
    context = call.context_ids[:]  # a list already, mostly
    ids = context if isinstance(context, list) else list(context)
    return ids, list(call.completion.token_ids), call.completion.logprobs


def _agree(context: list[int], root: Segment) -> bool:
    """Whether the root begins with these ids."""
    return root.ids[: len(context)] == context


def _has_logprobs(calls: Sequence[Call]) -> bool:
    # All or none: 0.0 in place of a missing log-prob would say that the token was certain.
    completions = [call.completion for call in calls]
    return all(completion.logprobs is not None for completion in completions if len(completion.token_ids))
