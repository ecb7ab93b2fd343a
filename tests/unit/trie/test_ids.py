"""SFT: a joined trajectory's ids give the row that the requests of its rollout give."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.fakes import EOS, control_tokens
from tests.support.stories import story
from tw_plugins.trie import TrieRow, row_from_ids, row_from_rollout
from tw_plugins.trie.ids import MalformedRow

TAGS = control_tokens()


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
