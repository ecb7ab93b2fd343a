"""Plays one case through everything that stands between an engine and the optimiser, and checks it all."""

from __future__ import annotations

import asyncio
from collections import Counter

import numpy as np
import torch

from tests.fuzz.cases import Case
from tests.fuzz.engine import TURNS_AT_MOST, CaseEngine
from tests.fuzz.oracle import Oracle
from tests.fuzz.rewards import check_reward
from tw_plugins.attention import ancestor_block_mask, ancestor_mask, has_branches
from tw_plugins.rollout import Rollout, fork_join
from tw_plugins.trie import TrieRow, row_from_rollout, row_from_units, rows_from_rollout

REQUEST = "request"
TURNS_TO_CANCEL = 4  # of the event loop, from an error in one task to the cancellation of another


class Broken(AssertionError):
    """An invariant does not hold, or something raised; the message says which and the case shows it."""


def play(case: Case, runner: asyncio.Runner) -> tuple[Counter[str], dict[str, float] | None]:
    """Runs and checks one case.

    Returns:
        What it was an example of, for the coverage that the summary shows; and what `compute_score` says of
        it, None when a fault ended it.

    Raises:
        Broken: with the reason; any exception of the code under test is one too.
    """
    try:
        return _play(case, runner)
    except (Exception, asyncio.CancelledError) as error:
        raise Broken(f"{type(error).__name__}: {error}") from error


def _play(case: Case, runner: asyncio.Runner) -> tuple[Counter[str], dict[str, float] | None]:
    engine = CaseEngine(case)
    try:
        rollout = runner.run(_rollout(case, engine))
    except (Exception, asyncio.CancelledError) as error:
        return _check_fault(engine, error), None
    assert not engine.failed and not engine.running, "an engine's error was swallowed"
    oracle = Oracle(engine.log, case.tags, case.limits, list(case.prompt))
    oracle.run(case.mode)
    _check_rollout(case, rollout, oracle)
    _check_requests(case, engine, rollout)
    row = row_from_rollout(rollout)
    assert row.input_ids[: len(oracle.path)] == oracle.path, "the main path is not the joined path"
    assert len(row.branches) == 0 or row.branches[0].start == len(oracle.path), "the main path goes on"
    _check_row(row, rollout, oracle)
    if case.block_mask and row.branches:
        _check_block_mask(torch.tensor(row.position_ids))
        of_units = row_from_units(rollout.calls)  # of any depth: threads share what their headers begin with
        assert len(of_units) <= len(row), "a row of requests repeats more than the joined path's"
        _check_row(of_units, rollout, oracle)
        _check_block_mask(torch.tensor(of_units.position_ids))
    _check_rows(rows_from_rollout(rollout), oracle, with_logprobs=row.logprobs is not None)
    scores = check_reward(case, rollout, oracle, engine.clock)
    return _coverage(rollout, row, scores), scores


async def _rollout(case: Case, engine: CaseEngine) -> Rollout:
    task = asyncio.ensure_future(
        fork_join(
            engine, case.prompt, case.tags, case.limits,
            mode=case.mode, request_id=REQUEST, request_id_per_thread=case.request_id_per_thread,
        )
    )  # fmt: skip
    engine.caller = task
    for _ in range(2 * TURNS_AT_MOST):
        if task.done():
            return await task
        await asyncio.sleep(0)
    task.cancel()
    raise Broken("it waits for ever")


def _check_fault(engine: CaseEngine, error: BaseException) -> Counter[str]:
    """An engine's error comes out as it is, a cancellation as one, and no sibling goes on."""
    if not engine.raised and not isinstance(error, asyncio.CancelledError):
        raise error
    if not isinstance(error, asyncio.CancelledError):
        assert error is engine.raised[0], "another error came out than the engine's first"
    assert engine.running == 0, "siblings of a failed request are still running"
    assert engine.overtime <= TURNS_TO_CANCEL, "siblings of a failed request went on"
    return Counter({"fault " + type(error).__name__: 1, "rollouts": 1})


def _check_rollout(case: Case, rollout: Rollout, oracle: Oracle) -> None:
    limits, calls = case.limits, rollout.calls
    assert rollout.prompt_ids == list(case.prompt) and rollout.mode == case.mode
    assert rollout.prompt_ids + rollout.response_ids == oracle.path, "the joined path is another"
    assert [
        (call.context_ids, list(call.completion.token_ids), call.block, call.thread) for call in calls
    ] == oracle.calls, "the calls are others"
    assert [call.completion for call in calls] == oracle.completions, "completions are changed or exchanged"
    assert rollout.limits_hit == dict(oracle.hits), (
        f"limits hit {rollout.limits_hit}, not {dict(oracle.hits)}"
    )
    assert rollout.malformed_forks == oracle.malformed, "forks are counted wrongly"
    lengths = [len(call.completion.token_ids) for call in calls]
    assert max(sum(lengths), len(rollout.response_ids)) <= limits.max_tokens, "max_tokens is not kept"
    threads = [length for length, call in zip(lengths, calls, strict=True) if call.thread]
    assert max(threads, default=0) <= limits.max_thread_tokens, "max_thread_tokens is not kept"
    assert max((call.thread or 0 for call in calls), default=0) <= limits.max_threads
    assert max((call.block or 0 for call in calls), default=0) <= limits.max_blocks
    assert len(calls) - len(threads) <= 2 * limits.max_blocks + 1, "too many requests"
    for call, after in zip(calls, [*calls[1:], None], strict=True):
        if call.thread and (after is None or not after.thread):
            joined = len(rollout.response_ids) if after is None else len(after.context_ids) - len(case.prompt)
            assert joined <= limits.max_tokens - limits.answer_reserve, "the answer's reserve is not kept"


def _check_requests(case: Case, engine: CaseEngine, rollout: Rollout) -> None:
    """Names and times of the requests."""
    per_thread = case.request_id_per_thread
    assert [request.request_id for request in engine.log] == [
        f"{REQUEST}-{call.block}-{call.thread}" if call.thread and per_thread else REQUEST
        for call in rollout.calls
    ], "a request has another id"
    answered = latest = 0.0
    for number, call in enumerate(rollout.calls):
        assert call.seconds is not None, "a call has no times"
        if not call.thread or call.thread == 1:  # after all that came before; the other threads beside it
            answered = latest
        assert answered <= call.seconds[0] <= call.seconds[1], f"times of call {number} are out of order"
        latest = max(latest, call.seconds[1])


def _check_row(row: TrieRow, rollout: Rollout, oracle: Oracle) -> None:
    """Every sampled token is trained once, after its true context, and sees nothing else."""
    ids, loss, count = np.array(row.input_ids), np.array(row.loss_mask), np.arange(len(row))
    position_ids = torch.tensor(row.position_ids)
    positions, mask = position_ids.numpy(), ancestor_mask(position_ids).numpy()
    main = row.branches[0].start if row.branches else len(row)
    assert (mask == _reference_mask(row, main)).all(), "the mask does not follow the branches"
    assert has_branches(position_ids) == bool(row.branches)
    wanted: Counter[tuple[bytes, float]] = Counter()  # (context and token, log-prob): one each
    for (context, body, _, _), completion in zip(oracle.calls, oracle.completions, strict=True):
        logprobs = completion.logprobs if row.logprobs else None
        unit = np.array([*context, *body]).tobytes()
        for place, logprob in enumerate(logprobs or [0.0] * len(body)):
            wanted[unit[: ids.itemsize * (len(context) + place + 1)], logprob] += 1
    for index in loss.nonzero()[0]:
        seen = mask[index - 1].nonzero()[0]
        assert index > 0 and (positions[seen] == count[: len(seen)]).all(), "positions do not count up"
        assert positions[index] == len(seen), "a trained token has not the position after its context"
        logprob = row.logprobs[index] if row.logprobs else 0.0
        wanted[ids[seen].tobytes() + ids[index].tobytes(), logprob] -= 1
    rarely, often = (+wanted).total(), (-wanted).total()
    assert not rarely and not often, f"{rarely} tokens are not trained as sampled, {often} where none was"
    filled = [call.completion for call in rollout.calls if len(call.completion.token_ids)]
    assert (row.logprobs is None) == any(completion.logprobs is None for completion in filled)
    if row.logprobs:
        assert not any(np.array(row.logprobs)[loss == 0]), "an injected token has a log-prob"


def _reference_mask(row: TrieRow, main: int) -> np.ndarray:
    """The mask from the branches: a segment's own tokens causally, and the path that it was written after."""
    mask = np.zeros((len(row), len(row)), bool)
    path = np.arange(0)  # offsets of the tokens of the request that is being written, by position
    for start, fork, length in [(0, 0, main), *row.branches]:
        path = np.append(path[:fork], np.arange(start, start + length))
        mask[start : start + length, start : start + length] = np.tri(length, dtype=bool)
        mask[start : start + length, path[:fork]] = True
    return mask


def _check_block_mask(position_ids: torch.Tensor, size: int = 16) -> None:
    """FlexAttention's mask is the dense one: pair by pair, and its table of blocks."""
    dense, block_mask = ancestor_mask(position_ids), ancestor_block_mask(position_ids, size)
    places = torch.arange(len(position_ids))
    asked = block_mask.mask_mod(places[:0], places[:0], places.unsqueeze(1), places.unsqueeze(0))
    assert bool((asked == dense).all()), "the block mask's function is another mask"
    blocks = -(-len(places) // size)
    padded = torch.zeros(blocks * size, blocks * size, dtype=torch.bool)
    padded[: len(places), : len(places)] = dense
    tiles = padded.view(blocks, size, blocks, size)
    table = block_mask.to_dense()[0, 0].bool()
    assert bool((table == tiles.any(3).any(1)).all()), "the block mask's table is another"
    full = torch.zeros_like(table)
    for line, (count, columns) in enumerate(
        zip(block_mask.full_kv_num_blocks[0, 0], block_mask.full_kv_indices[0, 0], strict=True)
    ):
        full[line, columns[:count].long()] = True
    assert bool((~full | tiles.all(3).all(1)).all()), "a block that is seen in part is taken for a full one"


def _check_rows(rows: list[TrieRow], oracle: Oracle, with_logprobs: bool) -> None:
    """Layout "rows": one row per request that sampled something."""
    units = [
        (context, list(completion.token_ids), completion.logprobs)
        for (context, _, _, _), completion in zip(oracle.calls, oracle.completions, strict=True)
        if completion.token_ids
    ]
    assert [(row.input_ids, row.loss_mask, row.logprobs) for row in rows] == [
        (
            context + body,
            [0] * len(context) + [1] * len(body),
            [0.0] * len(context) + list(logprobs or ()) if with_logprobs else None,
        )
        for context, body, logprobs in units
    ], "a row of one request is not its context and completion"
    assert all(row.position_ids == list(range(len(row))) for row in rows)


def _coverage(rollout: Rollout, row: TrieRow, scores: dict[str, float]) -> Counter[str]:
    forked = bool(scores["blocks"])
    return Counter(
        {
            "rollouts": 1,
            "sampled tokens": int(scores["total"]),
            "forked": forked,
            "threads": sum(call.thread is not None for call in rollout.calls),
            "branches": len(row.branches),
            "well-formed with threads": forked and scores["format"] == 1.0,
            "correct": int(scores["acc"]),
            "paid for threads": scores["reward_acceleration"] > 0,
            "malformed forks": rollout.malformed_forks,
            "without log-probs": row.logprobs is None,
            **{f"limit {name}": count for name, count in rollout.limits_hit.items()},
        }
    )
