"""Multiple choice as people publish it."""

from __future__ import annotations

import pytest

from tw_plugins.verifiers.choice import choices_in, verify

LINES = "What is the capital of France?\nA. Rome\nB. Paris\nC. Berlin\nD. Madrid, or Paris\n\nLetter?"
IN_A_ROW = r"Find $x$. $\textbf{(A)}\ 3 \qquad \textbf{(B)}\ 5 \qquad \textbf{(C)}\ \frac{1}{2}$"


def test_choices_are_read_from_the_prompt() -> None:
    assert choices_in(LINES) == {"A": "rome", "B": "paris", "C": "berlin", "D": "madrid, or paris"}
    assert choices_in(IN_A_ROW) == {"A": "3", "B": "5", "C": r"\frac12"}
    assert choices_in("(A) one\n(B) two\n\nNow this one:\n(A) three\n(B) four") == {"A": "three", "B": "four"}
    assert choices_in("A. Einstein was born in Ulm. Where?") == {}
    assert choices_in("Let A, B be sets.\nA) x\nC) y") == {}


@pytest.mark.parametrize(
    "answer",
    [
        "B", "(B)", "B.", "B)", "( B ).", r"\text{B}", r"\text{(B)}", r"\textbf{(B)}", r"\mathrm{B}", "**B**",
        "$B$", "B. Paris", "(B) Paris", "B) paris.", r"\textbf{(B)} \text{Paris}", "Paris", r"\text{Paris}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("reference", ["B", "(B)", "B. Paris", "Paris"])
def test_letters_and_texts_are_right(answer: str, reference: str) -> None:
    assert verify(LINES, f"<think>A</think>\\boxed{{{answer}}}", reference, {})


@pytest.mark.parametrize(
    "answer",
    ["A", "b", "AB", "A, B", "A or B", "B. Rome", "(A) Paris", "Madrid", "B. Paris or", "", "2"],
)
def test_wrong_and_double_answers_are_wrong(answer: str) -> None:
    assert not verify(LINES, f"<think>B</think>\\boxed{{{answer}}}", "B", {})


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("</think>The answer is (B).", True),
        ("</think>Answer: B", True),
        ("so\n**Answer: B**", True),
        ("</think>The answer is B, since Paris is.", True),
        ("</think>The answer is (A). No, the answer is (B)", True),
        ("The answer is (B).</think>I do not know", False),
        ("</think>the answer is better", False),
        ("</think>The answer is B or C", False),
        ("</think>The answer is (B), (C)", False),
        ("</think>The answer is a city", False),
        ("</think>B is a letter", False),
        ("", False),
    ],
)
def test_an_answer_without_a_box(text: str, right: bool) -> None:
    assert verify(LINES, text, "B", {}) is right


def test_without_choices_in_the_prompt_letter_or_text_decides() -> None:
    assert verify("Where?", r"\boxed{B}", "(B) Paris", {}) and verify(
        "Where?", r"\boxed{Paris}", "(B) Paris", {}
    )
    assert not verify("Where?", r"\boxed{A}", "(B) Paris", {}) and not verify("?", r"\boxed{}", "B", {})
    assert verify("1) x\n2) y", r"\boxed{2}", "2", {})


def test_a_reference_that_is_no_choice_is_named() -> None:
    with pytest.raises(ValueError, match=r"reference '1' is none of .*A, B, C, D.* letter"):
        verify(LINES, r"\boxed{B}", "1", {})


def test_a_very_long_text_takes_no_time() -> None:
    assert not verify(LINES, "answer is " * 100_000, "B", {})
    assert choices_in("(A) " * 50_000) == {}
