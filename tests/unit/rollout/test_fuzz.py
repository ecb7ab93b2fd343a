"""6,000 generated trajectories through the whole path, and the harness itself; `make fuzz` runs more."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.fuzz import invariants, rewards
from tests.fuzz.__main__ import Found, chunks, fuzz, reason_of
from tests.fuzz.cases import Reply, draw
from tests.fuzz.engine import CaseEngine
from tests.fuzz.oracle import fork_of, is_well_formed
from tests.fuzz.shrink import shortest
from tests.fuzz.tokens import VOCABULARIES
from tw_plugins import latency
from tw_plugins.attention import mask as attention_mask
from tw_plugins.reward import critical_path, facts
from tw_plugins.rollout import state_machine
from tw_plugins.trie import TrieRow

TAGS = VOCABULARIES[0]
PART = 2000


@pytest.mark.parametrize("part", range(3))
def test_no_invariant_breaks(part: int) -> None:
    seen = fuzz(seed=0, numbers=range(part * PART, (part + 1) * PART))
    assert seen["rollouts"] == PART
    faults = [f"fault {name}" for name in ("EngineError", "TimeoutError", "ValueError", "CancelledError")]
    limits = ("max_tokens", "max_thread_tokens", "max_threads", "max_blocks", "answer_reserve", "abort")
    good = (
        "branches",
        "well-formed with threads",
        "paid for threads",
        "without log-probs",
        "groups with a bonus",
    )
    rare = [name for name in (*faults, *(f"limit {name}" for name in limits), *good) if seen[name] < 5]
    assert not rare, f"the cases are no longer wild enough: {rare}"


def test_a_case_depends_on_its_number_alone() -> None:
    assert draw(3, 5) == draw(3, 5) != draw(3, 6)
    assert [*map(len, chunks(10, 1200))] == [500, 500, 200] and chunks(10, 1200)[-1].stop == 1210


def breaks_within(patch: pytest.MonkeyPatch, target: Any, name: str, value: Any, cases: int = 400) -> str:
    patch.setattr(target, name, value)
    with pytest.raises(Found) as found:
        fuzz(1, range(cases))
    return str(found.value)


def test_a_bug_is_found_and_its_shortest_case_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that are cut off and left open."""

    def left_open(self: Any, ids: list[int]) -> list[int]:
        return list(ids)

    message = breaks_within(monkeypatch, state_machine._Trajectory, "_closed", left_open)
    first, repeat, short, *case = message.splitlines()
    assert first.startswith("case ") and "of seed 1 breaks: AssertionError: " in first
    assert repeat.startswith("repeat it: python -m tests.fuzz --seed 1 --first ")
    assert short.startswith("shortest form (") and sum("thread " in line for line in case) == 1


def test_a_row_that_trains_a_header_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(given: Any) -> TrieRow:
        row = invariants_row(given)
        return replace(row, loss_mask=[0, *([1] * (len(row) - 1))])

    invariants_row = invariants.row_from_rollout
    message = breaks_within(monkeypatch, invariants, "row_from_rollout", greedy)
    assert "are not trained as sampled" in message


def test_an_error_that_is_swallowed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forgiving(coroutines: Any) -> list[Any]:
        done = await asyncio.gather(*coroutines, return_exceptions=True)
        return [call for call in done if not isinstance(call, Exception)]

    message = breaks_within(monkeypatch, state_machine, "all_or_raise", forgiving, cases=1000)
    assert "the joined path" in message or "swallowed" in message


def test_threads_one_after_the_other_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is right but the time it takes."""

    async def in_turn(coroutines: Any) -> list[Any]:
        return [await coroutine for coroutine in coroutines]

    message = breaks_within(monkeypatch, state_machine, "all_or_raise", in_turn)
    assert "latency" in message


def test_a_wrong_latency_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def optimist(given: Any) -> latency.Latency:
        return replace(latency.measure(given), longest=0)

    assert "latency" in breaks_within(monkeypatch, facts, "measure", optimist)


@pytest.mark.parametrize(
    ("target", "name", "change", "message"),
    [
        (rewards, "compute_score", lambda scores: {**scores, "longest": 0.0}, "longest is 0.0"),
        (rewards, "compute_score", lambda scores: {**scores, "reward_format": 9.0}, "reward_format is 9.0"),
        (critical_path, "critical_path_bonuses", lambda paid: [5 * bonus for bonus in paid], "score is"),
        (rewards, "p_grpo", torch.neg, "an advantage is"),
        (rewards, "measure", lambda given: replace(given, self_parallelism=1.0), "self-parallelism"),
        (
            invariants,
            "rows_from_rollout",
            lambda rows: [replace(row, logprobs=None) for row in rows],
            "a row of one request",
        ),
        (
            state_machine,
            "_at_most",
            lambda completion: replace(completion, weight_version=None),
            "completions are changed",
        ),
        (state_machine, "Call", lambda call: replace(call, seconds=call.seconds[::-1]), "times of call"),
        (
            attention_mask,
            "ends_of",
            lambda ends: ends + 1,
            "the mask does not follow",
        ),
        (
            attention_mask,
            "block_table",
            lambda tables: (tables[0], torch.ones_like(tables[1])),
            "block mask's table|taken for a full one",
        ),
    ],
)
def test_a_wrong_figure_is_found(
    monkeypatch: pytest.MonkeyPatch, target: Any, name: str, change: Callable[[Any], Any], message: str
) -> None:
    right = getattr(target, name)
    message_of = breaks_within(
        monkeypatch, target, name, lambda *args, **given: change(right(*args, **given))
    )
    assert re.search(message, message_of)


def test_a_wrong_block_mask_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(position_ids: torch.Tensor, size: int) -> Any:
        mask = attention_mask.ancestor_block_mask(position_ids, size)
        right = mask.mask_mod
        mask.mask_mod = lambda b, h, q, k: right(b, h, q, k) | (k == q + 1)
        return mask

    message = breaks_within(monkeypatch, invariants, "ancestor_block_mask", shifted)
    assert "the block mask's function" in message


def test_a_wrong_request_id_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def renamed(self: Any, context: Any, stops: Any, budget: int, request_id: str, place: Any) -> Any:
        return await ask(self, context, stops, budget, request_id + "x", place)

    ask = state_machine._Trajectory._ask
    assert "another id" in breaks_within(monkeypatch, state_machine._Trajectory, "_ask", renamed)


def test_what_waits_for_ever_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stuck(coroutines: Any) -> list[Any]:
        await asyncio.gather(*coroutines)
        return await asyncio.Future()

    assert "it waits for ever" in breaks_within(monkeypatch, state_machine, "all_or_raise", stuck)


def test_shortest_removes_all_that_is_not_needed() -> None:
    case = replace(draw(0, 0), segments=(Reply((5, 6, 7, 8), "length"), Reply((9,))), threads=(Reply((7,)),))
    small = shortest(case, lambda smaller: any(7 in reply.ids for reply in smaller.segments))
    assert small.segments == (Reply((7,)),) and small.threads == (Reply(()),)


def test_an_exception_is_a_broken_invariant(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Any, *_: Any, **__: Any) -> Any:
        raise KeyError("lost")

    monkeypatch.setattr(CaseEngine, "generate", broken)
    with asyncio.Runner() as runner:
        assert reason_of(draw(0, 0), runner) == "KeyError: 'lost'"


@pytest.mark.parametrize(
    ("text", "threads"),
    [
        ("<Parallel><Outlines><Outline>1:a</Outline></Outlines>", 1),
        ("<Parallel>\n<Outlines>\n<Outline> 1: a</Outline>\n<Outline>2:</Outline>\n</Outlines>", 2),
        ("<Parallel><Outlines><Outline>2:a</Outline></Outlines>", 0),
        ("<Parallel><Outlines></Outlines>", 0),
        ("<Parallel><Outlines><Outline>1:<think></Outline></Outlines>", 0),
        ("</Outlines>", 0),
    ],
)
def test_the_oracle_reads_forks(text: str, threads: int) -> None:
    assert fork_of(TAGS.encode(text), TAGS) == threads


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "", True),
        ("<think>", "</think>", True),
        ("</think>", "", False),
        ("", "<think>", False),
        ("<", "Thread>", False),
        ("</Parallel>", "", False),
    ],
)
def test_the_oracle_knows_the_grammar(before: str, after: str, expected: bool) -> None:
    block = "<Parallel><Outlines><Outline>1:a</Outline></Outlines><Thread>1:b</Thread></Parallel>"
    ids = TAGS.encode(before) + TAGS.encode(block) + TAGS.encode(after)
    if before == "<":  # a tag spelled in ordinary tokens, which stand side by side
        ids = [TAGS.encode(piece)[0] for piece in ("<", "Thread", ">")] + ids
    assert is_well_formed(ids, TAGS) == expected
