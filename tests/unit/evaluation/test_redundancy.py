"""Redundancy between sibling threads: worked examples, and a slow reference on random trajectories."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from tests.support.texts import TEN, block, text_of
from tw_plugins.evaluation.redundancy import BlockRedundancy, measure_redundancy
from tw_plugins.trajectory import Block, TrajectoryError


def test_what_a_later_thread_has_from_an_earlier_one() -> None:
    found = measure_redundancy(text_of(block(TEN, f"{TEN} eleven twelve", "so " + TEN)))
    # 10 words have 3 8-grams, 12 have 5, and "so" is in one more
    assert found.blocks[0].ngram_share == pytest.approx(fmean([3 / 5, 3 / 4]))


def test_the_first_thread_does_not_count_and_short_ones_neither() -> None:
    assert measure_redundancy(text_of(block(TEN, "one two"))).ngram_share is None
    assert measure_redundancy(text_of(block("one two", TEN))).ngram_share == 0
    assert measure_redundancy(text_of(block(TEN, "one two", TEN))).ngram_share == 1


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        (TEN, (block(TEN, TEN),)),
        ("", (f"First {TEN}", block(TEN, TEN))),
        ("", (block(TEN, TEN, outlines=(TEN, "b")),)),
        ("", (block(TEN), "then", block(TEN, TEN))),
    ],
)
def test_what_the_threads_saw_before_the_fork_is_a_quote(prompt: str, parts: tuple[str | Block, ...]) -> None:
    assert measure_redundancy(text_of(*parts), prompt).blocks[-1].ngram_share == 0


def test_what_comes_after_the_join_is_no_context() -> None:
    assert measure_redundancy(text_of(block(TEN, TEN), f"So {TEN}")).ngram_share == 1


def test_a_fork_without_siblings_has_nothing_to_share() -> None:
    assert measure_redundancy(text_of(block(TEN))).ngram_share is None


def test_text_without_spaces_is_read_by_characters() -> None:
    first, second = "0a2-0=2b1-2=1c0-1=1d3-1=2e5-2=3U3", "0a2-0=2b1-9"
    found = measure_redundancy(text_of(block(first, second)))
    assert found.ngram_share == pytest.approx(3 / 4)  # 11 characters have 4 8-grams, the last differs
    spaced = measure_redundancy(text_of(block(first, " ".join(second))))
    assert spaced.ngram_share == 0, "few characters a word: words again, and the first thread is one of them"


def test_results_worked_out_twice() -> None:
    found = measure_redundancy(
        text_of(
            "We know x = 3.",
            block("x = 3 so 3 * 4 = 12 and 1+1 = 2", "3*4 = 12, x = 3, 5 + 5 = 10", "3 * 4 = 12"),
            "and",
            block("3 * 4 = 12", "3 * 4 = 12; 7 + 7 = 14"),
        )
    )
    first, second = found.blocks
    assert (first.equations, first.repeated, first.equation_share) == (3, 1, 1 / 3)
    assert (second.equations, second.repeated) == (1, 0), "the second block sees the first"
    assert found.repeated == 1 and found.equation_share == pytest.approx(1 / 6)


def test_the_same_result_by_another_way_or_twice_in_one_thread_is_not_repeated() -> None:
    found = measure_redundancy(text_of(block("3 + 4 = 7 and 3 + 4 = 7", "4 + 3 = 7 and 3 + 4 = 8")))
    assert found.blocks == (BlockRedundancy(0.0, 3, 0),)


def test_means_are_over_blocks_that_have_a_figure() -> None:
    found = measure_redundancy(text_of(block(TEN, TEN), block("a", "b")))
    assert found.blocks[1].ngram_share is None and found.ngram_share == 1
    assert measure_redundancy("no fork at all").ngram_share is None
    assert measure_redundancy("no fork at all").equation_share is None


def test_a_malformed_trajectory_is_refused() -> None:
    with pytest.raises(TrajectoryError):
        measure_redundancy("<Parallel>\n<Thread>\n1: a\n</Thread>")


def slow_share(context: list[str], threads: list[str], n: int) -> float | None:
    """The definition, word for word, on lists."""

    def grams(text: str) -> list[list[str]]:
        words = text.split()
        return [words[i : i + n] for i in range(len(words)) if len(words[i : i + n]) == n]

    seen = [gram for piece in context for gram in grams(piece)]
    shares = []
    for place, thread in enumerate(threads[1:], 1):
        earlier = [gram for sibling in threads[:place] for gram in grams(sibling)]
        own = grams(thread)
        if own:
            shares.append(sum(gram in earlier and gram not in seen for gram in own) / len(own))
    return sum(shares) / len(shares) if shares else None


@pytest.mark.parametrize("seed", range(30))
def test_against_a_slow_reference(seed: int) -> None:
    dice = random.Random(seed)

    def words(most: int) -> str:
        return " ".join(dice.choice("ab") for _ in range(dice.randint(1, most)))

    n, prompt, lead = dice.randint(2, 4), words(8), words(8)
    first, second = ([words(12) for _ in range(dice.randint(1, 4))] for _ in range(2))
    plans = [[words(5) for _ in threads] for threads in (first, second)]
    between = words(6)
    text = text_of(
        lead, block(*first, outlines=tuple(plans[0])), between, block(*second, outlines=tuple(plans[1]))
    )
    found = measure_redundancy(text, prompt, n)
    known = [prompt, lead, *plans[0]]
    assert found.blocks[0].ngram_share == pytest.approx(slow_share(known, first, n))
    known += [*first, between, *plans[1]]
    assert found.blocks[1].ngram_share == pytest.approx(slow_share(known, second, n))
