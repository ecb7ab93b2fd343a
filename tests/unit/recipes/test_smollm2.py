"""The hand-over task of SmolLM2: its texts say what is true, and the grader takes its answers for right."""

from __future__ import annotations

import random
import re
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recipes.smollm2.dataset import SMOKE, make_dataset, write_data
from recipes.smollm2.handovers import KINDS, NAMES, THINGS, Kind, Problem, Thing, draw, split_of
from recipes.smollm2.wording import NUMBERS, ORDINALS, question, solution
from tw_plugins.grading import extract_answer, is_equivalent
from tw_plugins.trajectory import parse, validate

RING = ("Adam", "Ben", "Carl", "Ella", "Mia")
EXAMPLE = (Thing("key", "Ben"), Thing("book", "Mia"))
NAME, THING = "|".join(NAMES), "|".join(THINGS)
HANDS = re.compile(r"\b(\w+) (?:(?:always )?(?:hands|gives|passes) (?:everything |things ))?to (\w+)[,.]")
START = re.compile(
    rf"the ({THING}) (?:starts |is )?with (?:({NAME})|whoever (?:ends up with|has) the ({THING})[ \w]*)[,.]",
    re.I,
)
TIMES = re.compile(r"(\w+) times\b")
STEP = re.compile(rf"({'|'.join(ORDINALS)}) ({NAME}) to ({NAME})[,:]")
SAID = re.compile(rf"({THING}) with ({NAME}): first ({NAME}) .* to ({NAME}): ({THING}) ({NAME})[.]")


def problems(kind: Kind, count: int = 100) -> list[Problem]:
    rng = random.Random(kind)
    return [draw(rng, kind) for _ in range(count)]


def worked_out(asked: str) -> dict[str, str]:
    """Thing → who has it in the end, by reading the question alone."""
    takers = dict(HANDS.findall(asked))
    (times,) = TIMES.findall(asked)
    ends: dict[str, str] = {}
    for thing, holder, before in START.findall(asked):
        at = holder or ends[before]
        for _ in range(NUMBERS.index(times)):
            at = takers[at]
        ends[thing] = at
    return ends


def test_example_by_hand() -> None:
    problem = Problem("decomposable", RING, EXAMPLE, 2, 0)
    lines = [
        "1: key with Ben: first Ben to Carl, second Carl to Ella: key Ella.",
        "2: book with Mia: first Mia to Adam, second Adam to Ben: book Ben.",
    ]
    end = "</think>\n\\boxed{key Ella, book Ben}"
    assert solution(problem, parallel=False) == f"<think>\nAt the same time.\n{lines[0]}\n{lines[1]}\n{end}"
    assert solution(problem, parallel=True) == (
        "<think>\nAt the same time.\n<Parallel>\n<Outlines>\n"
        "<Outline>1: key</Outline>\n<Outline>2: book</Outline>\n</Outlines>\n"
        f"<Thread>\n{lines[0]}\n</Thread><Thread>\n{lines[1]}\n</Thread>\n</Parallel>\n{end}"
    )


def test_chain_example_by_hand() -> None:
    problem = Problem("chain", RING, (EXAMPLE[0], Thing("book", None)), 1, 0)
    assert solution(problem, parallel=False) == (
        "<think>\nOne after the other.\n1: key with Ben: first Ben to Carl: key Carl.\n"
        "2: book with Carl: first Carl to Ella: book Ella.\n</think>\n\\boxed{key Carl, book Ella}"
    )


def test_a_chain_has_no_parallel_solution() -> None:
    with pytest.raises(ValueError, match="a chain has no parallel solution"):
        solution(Problem("chain", RING, EXAMPLE, 1, 0), parallel=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_question_says_all_that_the_answer_needs(kind: Kind) -> None:
    for problem in problems(kind):
        asked = question(problem)
        assert len(HANDS.findall(asked)) == len(problem.ring)
        ends = ", ".join(f"{thing} {holder}" for thing, holder in worked_out(asked).items())
        assert ends == problem.answer, asked


@pytest.mark.parametrize(
    ("kind", "parallel"), [("decomposable", True), ("decomposable", False), ("chain", False)]
)
def test_every_hand_over_of_a_solution_is_by_the_rules_and_leads_to_the_answer(
    kind: Kind, parallel: bool
) -> None:
    for problem in problems(kind):
        text = solution(problem, parallel)
        assert validate(text) == []
        blocks = parse(text).blocks
        assert [len(block.threads) for block in blocks] == ([len(problem.things)] if parallel else [])
        takers = dict(HANDS.findall(question(problem)))
        steps = STEP.findall(text)
        assert [ordinal for ordinal, _, _ in steps] == [*ORDINALS[: problem.times]] * len(problem.things)
        assert all(takers[giver] == taker for _, giver, taker in steps)
        said = SAID.findall(text)
        assert [thing for thing, *_ in said] == [thing.name for thing in problem.things]
        assert all(line[0] == line[4] and line[1] == line[2] and line[3] == line[5] for line in said)
        answer = extract_answer(text)
        assert answer is not None and is_equivalent(answer, problem.answer)


def test_a_wrong_end_is_a_wrong_answer() -> None:
    for problem in problems("decomposable", 20):
        ends = [holders[-1] for holders in problem.holders]
        swapped = [ends[1], ends[0], *ends[2:]]
        stranger = [*ends[:-1], next(name for name in problem.ring if name not in ends)]
        for wrong in (swapped, stranger):
            said = ", ".join(f"{t.name} {end}" for t, end in zip(problem.things, wrong, strict=True))
            assert not is_equivalent(said, problem.answer), said


def test_an_end_is_anybody_but_who_has_the_thing_first() -> None:
    """Nothing is gained by guessing: over many problems each of the other eight is an end about as often."""
    for problem in problems("decomposable"):
        for holders in problem.holders:
            assert len(set(holders)) == problem.times + 1
    assert len({holders[-1] for problem in problems("chain") for holders in problem.holders}) == len(NAMES)


def test_the_order_of_the_rules_tells_nothing() -> None:
    """As often as by chance, one in eight, the rule after a giver's is its taker's."""
    follows = told = 0
    for problem in problems("decomposable", 300):
        hands = HANDS.findall(question(problem))
        follows += sum(taker == giver for (_, taker), (giver, _) in pairwise(hands))
        told += len(hands) - 1
    assert abs(follows / told - 1 / 8) < 0.04


def test_who_hands_to_whom_decides_the_split() -> None:
    problem = Problem("decomposable", RING, EXAMPLE, 2, 0)
    turned = Problem("chain", RING[2:] + RING[:2], EXAMPLE[:1], 4, 1)
    assert split_of(problem) == split_of(turned)
    held_out = [split_of(problem) for problem in problems("decomposable", 1000)].count("test")
    assert 60 < held_out < 140


def test_data_sets(tmp_path: Path) -> None:
    paths = write_data(tmp_path, 0, SMOKE)
    rows = {name: pq.read_table(path).to_pylist() for name, path in paths.items()}
    assert {name: len(found) for name, found in rows.items()} == {
        "sft": 4,
        "sft_sequential": 4,
        "rl": 2,
        "eval": 4,
    }
    assert [row["prompt"] for row in rows["sft"]] == [row["prompt"] for row in rows["sft_sequential"]]
    assert not any("<Parallel>" in row["response"] for row in rows["sft_sequential"])


def test_shares_are_exact_and_the_sequential_twin_has_the_same_problems() -> None:
    rows, twin = make_dataset(50, 0, "train", 0.6, 1.0), make_dataset(50, 0, "train", 0.6)
    forked = ["<Parallel>" in row["response"] for row in rows]
    assert forked == [row["datasource"] == "decomposable" for row in rows]
    assert sum(forked) == 30
    assert [row["label"] for row in rows] == [row["label"] for row in twin]
    assert rows == make_dataset(50, 0, "train", 0.6, 1.0)
