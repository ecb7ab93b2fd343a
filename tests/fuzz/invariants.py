"""Plays one case through everything that stands between an engine and the optimiser, and checks it all."""

from __future__ import annotations

import asyncio
import math
from collections import Counter

import numpy as np
import torch

from tests.fuzz.cases import Case
from tests.fuzz.engine import CaseEngine, made_up
from tests.fuzz.oracle import Oracle, is_well_formed
from tw_plugins.attention import ancestor_mask, has_branches
from tw_plugins.reward import RewardSettings, compute_score
from tw_plugins.rollout import Rollout, fork_join
from tw_plugins.summary import EXTRA_FIELD, summarise
from tw_plugins.trie import TrieRow, row_from_rollout, rows_from_rollout

TURNS_TO_CANCEL = 4  # of the event loop, from an error in one task to the cancellation of another


class Broken(AssertionError):
    """An invariant does not hold, or something raised; the message says which and the case shows it."""


def play(case: Case, runner: asyncio.Runner) -> Counter[str]:
    """Runs and checks one case.

    Returns:
        What it was an example of, for the coverage that the summary shows.

    Raises:
        Broken: with the reason; any exception of the code under test is one too.
    """
    try:
        return _play(case, runner)
    except (Exception, asyncio.CancelledError) as error:
        raise Broken(f"{type(error).__name__}: {error}") from error


def _play(case: Case, runner: asyncio.Runner) -> Counter[str]:
    engine = CaseEngine(case)
    try:
        rollout = runner.run(_rollout(case, engine))
    except (Exception, asyncio.CancelledError) as error:
        return _check_fault(engine, error)
    assert not engine.raised and not engine.running, "an engine's error was swallowed"
    oracle = Oracle(engine.log, case.tags, case.limits, list(case.prompt))
    oracle.run(case.mode)
    _check_rollout(case, rollout, oracle)
    row = row_from_rollout(rollout)
    _check_row(row, rollout, oracle)
    _check_rows(rows_from_rollout(rollout), oracle)
    scores = _check_reward(case, rollout, oracle, engine.clock)
    return _coverage(rollout, row, scores)


async def _rollout(case: Case, engine: CaseEngine) -> Rollout:
    task = asyncio.ensure_future(fork_join(engine, case.prompt, case.tags, case.limits, mode=case.mode))
    engine.caller = task
    return await task


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


def _check_row(row: TrieRow, rollout: Rollout, oracle: Oracle) -> None:
    """Every sampled token is trained once, after its true context, and sees nothing else."""
    ids, loss, count = np.array(row.input_ids), np.array(row.loss_mask), np.arange(len(row))
    position_ids = torch.tensor(row.position_ids)
    positions, mask = position_ids.numpy(), ancestor_mask(position_ids).numpy()
    main = row.branches[0].start if row.branches else len(row)
    assert row.input_ids[:main] == oracle.path, "the main path is not the joined path"
    assert (mask == _reference_mask(row, main)).all(), "the mask does not follow the branches"
    assert has_branches(position_ids) == bool(row.branches)
    wanted: Counter[tuple[bytes, float]] = Counter()  # (context and token, log-prob): one each
    for number, (context, body, _, _) in enumerate(oracle.calls):
        given = rollout.calls[number].completion.logprobs is not None
        unit = np.array([*context, *body]).tobytes()
        for place in range(len(body)):
            logprob = _logprob(rollout, number, place) if given and row.logprobs else 0.0
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


def _logprob(rollout: Rollout, number: int, place: int) -> float:
    logprobs = rollout.calls[number].completion.logprobs
    assert logprobs is not None
    request = -int(logprobs[0])
    assert logprobs[place] == made_up(request, place), "log-probs are out of order"
    return logprobs[place]


def _reference_mask(row: TrieRow, main: int) -> np.ndarray:
    """The mask from the branches: own segment causally, and the main path below the fork."""
    mask = np.zeros((len(row), len(row)), bool)
    for start, fork, length in [(0, 0, main), *row.branches]:
        mask[start : start + length, start : start + length] = np.tri(length, dtype=bool)
        mask[start : start + length, :fork] = True
    return mask


def _check_rows(rows: list[TrieRow], oracle: Oracle) -> None:
    """Layout "rows": one row per request that sampled something."""
    units = [(context, body) for context, body, _, _ in oracle.calls if body]
    assert [(row.input_ids, row.loss_mask) for row in rows] == [
        (context + body, [0] * len(context) + [1] * len(body)) for context, body in units
    ], "a row of one request is not its context and completion"
    assert all(row.position_ids == list(range(len(row))) for row in rows)


def _check_reward(case: Case, rollout: Rollout, oracle: Oracle, critical_path: int) -> dict[str, float]:
    summary = summarise(rollout, case.tags)
    total = sum(len(body) for _, body, _, _ in oracle.calls)
    assert summary["total"] == total, "the total is not what was sampled"
    assert critical_path <= summary["longest"] <= total, "latency lies outside critical path and total"
    assert critical_path == summary["longest"], "latency is not the critical path"
    well_formed = is_well_formed(rollout.response_ids, case.tags)
    assert summary["well_formed"] == well_formed, f"well_formed is not {well_formed}"
    scores = compute_score("", "", case.truth, {EXTRA_FIELD: summary}, **case.reward)
    assert all(type(value) is float and math.isfinite(value) for value in scores.values())
    settings = RewardSettings(**case.reward)
    correct = _is_correct(case.tags.decode(rollout.response_ids), case.truth, scores["acc"] == 1.0)
    bonus = settings.acceleration == "eta" and case.mode == "parallel" and total
    paid = min(settings.rho * (total - critical_path) / total, settings.rho_clip) if bonus else 0.0
    score = (1 + paid if correct else settings.wrong) + settings.format_weight * well_formed
    assert scores["acc"] == correct and math.isclose(scores["score"], score, abs_tol=1e-9), (
        f"the score is {scores['score']}, not {score}"
    )
    assert min(settings.wrong, 0) <= scores["score"] <= 1 + settings.rho_clip + settings.format_weight
    forks = {block for _, _, block, _ in oracle.calls if block}
    threads = sum(thread is not None for _, _, _, thread in oracle.calls)
    in_threads = sum(len(body) for _, body, _, thread in oracle.calls if thread)
    assert scores["blocks"] == len(forks) and scores["activation"] == bool(forks)
    assert scores["threads_per_block"] * len(forks) == threads
    assert math.isclose(scores["parallel_ratio"], in_threads / max(total, 1))
    assert math.isclose(scores["acceleration"], 1 - critical_path / total if total else 0.0)
    assert scores["malformed_forks"] == oracle.malformed and scores["limits_hit"] == oracle.hits.total()
    return scores


def _is_correct(text: str, truth: str, graded: bool) -> bool:
    """Slowly, where answer and truth are integers; else what the grader says (it has tests of its own)."""
    scope = text.split("</think>", 1)[1] if "</think>" in text else text
    pieces = scope.split("\\boxed{")
    for number in range(len(pieces) - 1, 0, -1):
        answer = _group("\\boxed{".join(pieces[number:]))
        if answer is not None:
            answer = answer.strip()
            if answer == truth or not answer:
                return bool(answer)
            plain = [side.removeprefix("+").isdecimal() and side.isascii() for side in (answer, truth)]
            return int(answer) == int(truth) if all(plain) else graded
    return False


def _group(text: str) -> str | None:
    """What stands before the brace that closes the group; None when nothing closes it."""
    depth, escaped = 1, False
    for place, letter in enumerate(text):
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        else:
            depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return text[:place]
    return None


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
