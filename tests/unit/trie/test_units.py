"""Rows of requests: each sampled token is trained once, in its own context; no prefix stands twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fakes import logprobs_of
from tests.support.stories import TAGS, story
from tests.support.units import sampled_units, trained_units
from tw_plugins.rollout import Call, Completion, Limits, Rollout
from tw_plugins.trie import Branch, TrieRow, row_from_rollout, row_from_units, rows_from_rollout


def slow_rollout(rng: random.Random, vocabulary: int = 4) -> Rollout:
    """Forks and joins without the state machine, over so few ids that chance repeats are frequent."""

    def ids(low: int) -> list[int]:
        return [rng.randrange(vocabulary) for _ in range(rng.randint(low, 4))]

    def ask(context: list[int], **where: int) -> list[int]:
        sampled = ids(0)
        calls.append(Call(list(context), Completion(sampled, logprobs_of(sampled), "stop"), **where))
        return sampled

    calls: list[Call] = []
    path = prompt = [*ids(1), 0]
    for block in range(1, rng.randint(1, 4)):
        path = path + ask(path)
        context = path
        for thread in range(1, rng.randint(2, 5)):
            header = [8, 9, 10 + thread]
            body = ask(context + header, block=block, thread=thread)
            dropped = rng.random() < 0.3  # as if the last id were EOS
            path = (
                path + header[thread > 1 :] + (body[:-1] if dropped else body) + [7] * (dropped or not body)
            )
        path = [*path, 8]
    path = path + ask(path)
    return Rollout(prompt, path[len(prompt) :], calls)


def check_row(rollout: Rollout) -> None:
    row = row_from_rollout(rollout)
    main = rollout.prompt_ids + rollout.response_ids
    assert row.input_ids[: len(main)] == main
    assert trained_units(row) == sampled_units(rollout.calls)
    check_order(row)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_each_sampled_token_is_trained_once_in_its_context(seed: int) -> None:
    check_row(slow_rollout(random.Random(seed)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.4]), st.sampled_from([0, 40, 150, 400]))
def test_rows_of_the_state_machine(seed: int, eos_rate: float, max_tokens: int) -> None:
    limits = Limits(max_tokens=max_tokens, answer_reserve=8, max_thread_tokens=10) if max_tokens else Limits()
    check_row(story(seed, eos_rate, limits, blocks=3))


def test_a_branch_begins_with_the_header_as_sent_just_after_the_outlines() -> None:
    rollout = story(3, blocks=2)
    row = row_from_rollout(rollout)
    threads = [call for call in rollout.calls if call.thread and call.thread > 1]
    assert len(threads) == len(row.branches) > 2
    threads.sort(key=lambda call: -call.block)  # depth first, the last fork first
    for call, branch in zip(threads, row.branches, strict=True):
        header = TAGS.header(call.thread, True)
        assert row.input_ids[branch.fork - 1] == TAGS.outlines_end
        assert tuple(row.input_ids[branch.start : branch.start + len(header)]) == header
        assert branch.length == len(header) + len(call.completion.token_ids)


def test_a_thread_one_that_lost_its_eos_gets_a_branch() -> None:
    rollout = story(1, eos_rate=1.0, blocks=1)
    threads = sum(call.thread is not None for call in rollout.calls)
    assert len(row_from_rollout(rollout).branches) == threads > 0


def test_a_request_off_the_main_path_without_a_header_repeats_a_token_of_its_context() -> None:
    calls = [
        Call([5, 6], Completion([1, 2], [-1.0, -2.0], "stop")),
        Call([5, 6, 1, 2], Completion([3], [-3.0], "stop"), 1, 1),
        Call([5, 6, 1, 2], Completion([3], [-4.0], "stop"), 1, 2),
    ]
    rollout = Rollout([5, 6], [1, 2, 3], calls)
    check_row(rollout)
    assert row_from_rollout(rollout).branches == [Branch(5, 3, 2)]


def test_threads_that_were_never_joined_continue_the_main_path() -> None:
    calls = [Call([5, 6], Completion([1], [-1.0], "stop"))]
    calls += [Call([5, 6, 1, 9, i], Completion([i], [-2.0], "stop"), 1, i) for i in (1, 2)]
    check_row(Rollout([5, 6], [1], calls))
    assert row_from_rollout(Rollout([5, 6], [1], calls)).branches == [Branch(6, 3, 3)]


def test_logprobs_are_none_when_the_engine_gave_none() -> None:
    rollout = story(0)
    calls = [replace(call, completion=replace(call.completion, logprobs=None)) for call in rollout.calls]
    assert row_from_rollout(replace(rollout, calls=calls)).logprobs is None


def test_one_row_per_request() -> None:
    rollout = story(5, eos_rate=0.3)
    rows = rows_from_rollout(rollout)
    assert [row.input_ids for row in rows] == [
        [*call.context_ids, *call.completion.token_ids] for call in rollout.calls
    ]
    assert all(not row.branches and row.position_ids == list(range(len(row))) for row in rows)
    assert sum((trained_units(row) for row in rows), Counter()) == sampled_units(rollout.calls)


@pytest.mark.parametrize("build", [row_from_rollout, rows_from_rollout])
def test_an_empty_prompt_is_refused(build: Any) -> None:
    with pytest.raises(ValueError, match="prompt is empty"):
        build(Rollout([], [1], [Call([], Completion([1], [-1.0], "stop"))]))


def test_a_context_that_is_not_of_this_trajectory_is_refused() -> None:
    with pytest.raises(ValueError, match="call 0"):
        row_from_rollout(Rollout([5, 6], [1], [Call([5, 7, 9], Completion([1], [-1.0], "stop"))]))


# Any agent


def check_order(row: TrieRow) -> None:
    """Every branch forks before the end of what stands before it, and begins with an untrained token."""
    ends = [row.branches[0].start if row.branches else len(row)]
    ends += [branch.fork + branch.length for branch in row.branches]
    assert all(0 < branch.fork < end for branch, end in zip(row.branches, ends, strict=False))
    assert not any(row.loss_mask[branch.start] for branch in row.branches)


def random_agent(rng: random.Random, vocabulary: int) -> list[Call]:
    """Requests that continue anything seen so far, or a part of it, with or without something injected."""

    def ids(low: int, high: int) -> list[int]:
        return [rng.randrange(vocabulary) for _ in range(rng.randint(low, high))]

    prompt, calls = [0, *ids(1, 4)], []
    paths = [prompt]
    for _ in range(rng.randint(1, 12)):
        path = rng.choice(paths)
        context = path[: rng.randint(2, len(path))] if rng.random() < 0.3 else path
        context = context + (ids(1, 3) if rng.random() < 0.5 else [])
        sampled = ids(0, 4)
        calls.append(Call(context, Completion(sampled, logprobs_of(sampled), "stop")))
        paths.append(context + sampled)
    rng.shuffle(calls)
    return calls


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([2, 4, 1 << 30]))
def test_any_requests_are_one_row(seed: int, vocabulary: int) -> None:
    calls = random_agent(random.Random(seed), vocabulary)
    if not any(call.completion.token_ids for call in calls):
        return
    row = row_from_units(calls)
    check_order(row)
    assert trained_units(row) == sampled_units(calls)
    if vocabulary > 4:  # no request samples what another one did
        units = [
            [*call.context_ids, *call.completion.token_ids] for call in calls if call.completion.token_ids
        ]
        distinct = {tuple(unit[: end + 1]) for unit in units for end in range(len(unit))}
        headless = sum(row.loss_mask[branch.start + 1] for branch in row.branches)
        assert len(distinct) <= len(row) <= len(distinct) + headless


def units(*pairs: tuple[Sequence[int], Sequence[int]]) -> list[Call]:
    return [Call(context, Completion(body, logprobs_of(list(body)), "stop")) for context, body in pairs]


def test_a_tool_call_is_more_of_the_same_segment_and_another_sample_a_branch() -> None:
    row = row_from_units(
        units(((5, 6), (1, 2)), ((5, 6, 1, 2, 9), (3,)), ((5, 6), (4,)), ((5, 6, 4, 8), (7,)))
    )
    assert row.input_ids == [5, 6, 1, 2, 9, 3, 6, 4, 8, 7]
    assert row.position_ids == [0, 1, 2, 3, 4, 5, 1, 2, 3, 4]
    assert row.loss_mask == [0, 0, 1, 1, 0, 1, 0, 1, 0, 1]


def test_branches_have_branches_the_largest_fork_first() -> None:
    row = row_from_units(
        units(((5, 6), (1, 2, 3)), ((5, 6, 7), (1, 2)), ((5, 6, 7, 1, 8), (1,)), ((5, 6, 1, 2, 9), (4,)))
    )
    assert row.branches == [Branch(5, 4, 2), Branch(7, 2, 3), Branch(10, 4, 2)]
    assert row.input_ids == [5, 6, 1, 2, 3, 9, 4, 7, 1, 2, 8, 1]


def test_two_requests_that_sampled_the_same_are_two_branches_and_each_is_gone_on_with() -> None:
    calls = units(((5, 6), (1,)), ((5, 6), (1,)), ((5, 6, 1, 8), (2,)), ((5, 6, 1, 9), (3,)))
    row = row_from_units(calls)
    assert trained_units(row) == sampled_units(calls)
    assert row.input_ids == [5, 6, 1, 8, 2, 6, 1, 9, 3]


def test_injected_tokens_alone_make_no_row() -> None:
    with pytest.raises(ValueError, match="nothing to train"):
        row_from_units(units(((5, 6), ())))
    assert row_from_units(units(((5, 6), ()), ((5, 6, 7), (1,)))).loss_mask == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        (units(((), (1,))), "unit 0 has an empty context"),
        (units(((5, 6), (1,)), ((7, 6), (1,))), "unit 1 shares no token with the others"),
        (units(((5,), (1,)), ((5,), (2,))), "a single token as their context.*would begin at position 0"),
    ],
)
def test_requests_that_make_no_row_are_refused(calls: list[Call], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        row_from_units(calls)


def test_a_row_of_units_and_of_their_rollout_train_the_same() -> None:
    rollout = story(3, eos_rate=0.3)
    assert trained_units(row_from_units(rollout.calls)) == trained_units(row_from_rollout(rollout))
    assert len(row_from_units(rollout.calls)) <= len(row_from_rollout(rollout))
