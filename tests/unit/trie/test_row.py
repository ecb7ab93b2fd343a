"""Rows: each sampled token is trained once, in its own context; position ids alone give the structure."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fakes import EOS, StoryEngine, control_tokens, logprobs_of
from tw_plugins.attention import ancestor_mask
from tw_plugins.rollout import Call, Completion, Limits, Rollout, fork_join
from tw_plugins.trie import (
    Branch,
    TrieRow,
    position_ids_from_branches,
    row_from_ids,
    row_from_rollout,
    rows_from_rollout,
    trained_ranges,
)
from tw_plugins.trie.row import MalformedRow

TAGS = control_tokens()
PROMPT = "<think>hi"


def story(seed: int, eos_rate: float = 0.0, limits: Limits | None = None, blocks: int = 2) -> Rollout:
    engine = StoryEngine(seed, TAGS, eos_rate=eos_rate, blocks=blocks)
    return asyncio.run(fork_join(engine, TAGS.encode(PROMPT), TAGS, limits or Limits()))


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


def trained_units(row: TrieRow) -> Counter[tuple[tuple[int, ...], int, float]]:
    """(visible ids by position, token, log-prob) of each trained token, read off the mask."""
    assert row.logprobs is not None
    mask = ancestor_mask(torch.tensor(row.position_ids)).tolist()
    found: Counter[tuple[tuple[int, ...], int, float]] = Counter()
    for i in range(len(row)):
        if not row.loss_mask[i]:
            assert row.logprobs[i] == 0.0
            continue
        visible = sorted((row.position_ids[k], row.input_ids[k]) for k in range(len(row)) if mask[i - 1][k])
        assert [position for position, _ in visible] == list(range(row.position_ids[i]))
        found[tuple(token for _, token in visible), row.input_ids[i], row.logprobs[i]] += 1
    return found


def sampled_units(rollout: Rollout) -> Counter[tuple[tuple[int, ...], int, float]]:
    """The same, read off the requests."""
    found: Counter[tuple[tuple[int, ...], int, float]] = Counter()
    for call in rollout.calls:
        body = list(call.completion.token_ids)
        for j, token in enumerate(body):
            found[tuple(call.context_ids) + tuple(body[:j]), token, call.completion.logprobs[j]] += 1
    return found


def check_row(rollout: Rollout) -> None:
    row = row_from_rollout(rollout)
    main = rollout.prompt_ids + rollout.response_ids
    assert row.input_ids[: len(main)] == main
    assert trained_units(row) == sampled_units(rollout)
    ends = [len(main), *[branch.fork + branch.length for branch in row.branches]]
    assert all(branch.fork != end for branch, end in zip(row.branches, ends, strict=False))
    assert all(row.loss_mask[branch.start] == 0 for branch in row.branches)


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


def test_branches_that_would_go_on_where_a_segment_ended_are_told_apart() -> None:
    """Threads that were never joined: their fork is the end of the main path."""
    calls = [Call([5, 6], Completion([1], [-1.0], "stop"))]
    calls += [Call([5, 6, 1, 9, i], Completion([i], [-2.0], "stop"), 1, i) for i in (1, 2)]
    check_row(Rollout([5, 6], [1], calls))


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
    assert sum((trained_units(row) for row in rows), Counter()) == sampled_units(rollout)


@pytest.mark.parametrize("build", [row_from_rollout, rows_from_rollout])
def test_an_empty_prompt_is_refused(build: Any) -> None:
    with pytest.raises(ValueError, match="prompt is empty"):
        build(Rollout([], [1], [Call([], Completion([1], [-1.0], "stop"))]))


def test_a_context_that_is_not_of_this_trajectory_is_refused() -> None:
    with pytest.raises(ValueError, match="call 0"):
        row_from_rollout(Rollout([5, 6], [1], [Call([5, 7, 9], Completion([1], [-1.0], "stop"))]))


@pytest.mark.parametrize(
    ("length", "branches"),
    [
        (6, [Branch(3, 2, 2)]),
        (6, [Branch(3, 0, 3)]),
        (6, [Branch(3, 4, 3)]),
        (7, [Branch(3, 1, 2), Branch(6, 1, 1)]),
    ],
)
def test_branches_that_do_not_fit_are_refused(length: int, branches: list[Branch]) -> None:
    with pytest.raises(ValueError, match=r"does not fit|main path and branches"):
        position_ids_from_branches(length, branches)


def test_a_row_with_lists_of_different_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match="lengths"):
        TrieRow([1, 2], [0, 1], [0])


# SFT


def test_ids_and_rollout_give_the_same_row() -> None:
    for seed in range(10):
        rollout = story(seed)
        want = row_from_rollout(rollout)
        ids, prompt = rollout.prompt_ids + rollout.response_ids, len(rollout.prompt_ids)
        only_parallel = row_from_ids(ids, TAGS, prompt, autoregressive_unit=False)
        assert only_parallel == replace(want, logprobs=None)
        both = row_from_ids(ids, TAGS, prompt)
        assert both.loss_mask == [0] * prompt + [1] * len(rollout.response_ids) + want.loss_mask[len(ids) :]
        assert replace(both, loss_mask=want.loss_mask) == replace(want, logprobs=None)


def test_ids_without_a_block_are_a_plain_row() -> None:
    row = row_from_ids([5, 6, 7, 8], TAGS, 2, autoregressive_unit=False)
    assert row == TrieRow([5, 6, 7, 8], [0, 1, 2, 3], [0, 0, 1, 1])


OPEN = "a<Parallel>\n<Outlines>\n<Outline>1: x</Outline>\n<Outline>2: y</Outline>\n</Outlines>"
ONE, TWO, CLOSE = "\n<Thread>\n1: b\n</Thread>", "<Thread>\n2: c\n</Thread>", f"\n</Parallel>d{EOS}"


def test_a_conclusion_and_tags_in_the_prompt_are_taken() -> None:
    prompt, response = TAGS.encode("<Thread>q"), OPEN + ONE + TWO + "\n<Conclusion>e</Conclusion>" + CLOSE
    assert len(row_from_ids(prompt + TAGS.encode(response), TAGS, len(prompt)).branches) == 1


@pytest.mark.parametrize(
    ("text", "before", "reason"),
    [
        (OPEN + ONE + CLOSE, "a", "2 outlines but 1 threads"),
        (OPEN + TWO + ONE + CLOSE, OPEN, "header of thread 1"),
        (OPEN + ONE + "\n" + TWO + CLOSE, OPEN + ONE, "header of thread 2"),
        (OPEN + ONE + TWO.replace("<Thread>\n", "<Thread>") + CLOSE, OPEN + ONE, "header of thread 2"),
        (OPEN + ONE + TWO + "</Parallel>", OPEN + ONE + TWO, "newline after the last thread"),
        (OPEN + ONE + TWO, OPEN + ONE + TWO, "the ids end"),
        (OPEN + ONE + OPEN, OPEN + ONE + "a", "got tag parallel, expected thread or"),
        (OPEN + CLOSE, OPEN + "\n", "got tag parallel_end, expected thread"),
        ("a</Outlines>", "a", "got tag outlines_end, expected parallel"),
    ],
)
def test_malformed_ids_name_the_place_and_the_reason(text: str, before: str, reason: str) -> None:
    with pytest.raises(MalformedRow, match=reason) as caught:
        row_from_ids(TAGS.encode("q" + text), TAGS, 1)
    assert caught.value.position == len(TAGS.encode("q" + before))
    assert str(caught.value.position) in str(caught.value)


@pytest.mark.parametrize("prompt_length", [0, 5])
def test_a_prompt_length_outside_the_ids_is_refused(prompt_length: int) -> None:
    with pytest.raises(ValueError, match="prompt_length"):
        row_from_ids([1, 2, 3, 4], TAGS, prompt_length)


def test_ranges_of_a_mask() -> None:
    assert trained_ranges([0, 1, 1, 0, 1]) == [(1, 3), (4, 5)]
    assert trained_ranges([0, 0]) == []
