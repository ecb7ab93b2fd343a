"""Each benchmark's published columns are read, asked and graded without any option."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.support.tokenizers import tokenizer
from tw_plugins.datasets.settings import INSTRUCTION
from tw_plugins.evaluation import benchmarks
from tw_plugins.evaluation.benchmarks import BENCHMARKS, verifier_of
from tw_plugins.evaluation.problems import read_problems
from tw_plugins.verifiers import Task, VerifierSettings, verify

GPQA = {
    "Question": "Which of these is prime?\n",
    "Correct Answer": "7\n",
    **{f"Incorrect Answer {number}": str(other) for number, other in enumerate((4, 6, 8), 1)},
    "Explanation": "…",
}
PUBLISHED: dict[str, tuple[dict[str, Any], str]] = {
    "aime24": (
        {"id": 60, "problem": "?", "solution": "so 204", "answer": "204", "url": "", "year": "2024"},
        "204",
    ),
    "aime25": ({"problem": "?", "answer": "70", "id": "0"}, "70"),
    "amc23": ({"id": 0, "question": "?", "answer": "27.0", "url": ""}, "27"),
    "math500": (
        {"problem": "?", "solution": "…", "answer": r"\frac{3}{4}", "subject": "", "level": 2},
        "0.75",
    ),
    "minerva_math": ({"question": "?", "answer": "1.6e-19"}, r"1.6\times 10^{-19}"),
    "olympiadbench": ({"question": "?", "final_answer": ["$2$"], "subfield": "Algebra"}, "2"),
    "aime26": ({"problem_idx": 1, "problem": "?", "answer": 277}, "277"),
    "hmmt_feb25": (
        {"problem_idx": 1, "problem": "?", "answer": "103", "problem_type": ["Number Theory"]},
        "103",
    ),
    "hmmt_nov25": ({"problem_idx": 1, "problem": "?", "answer": r"\frac{1}{2}", "problem_type": []}, "1/2"),
    "hmmt_feb26": ({"problem_idx": 1, "problem": "?", "answer": r"-\frac{1}{21}"}, "-1/21"),
    "amo_bench": (
        {"question_id": 1, "prompt": "?", "solution": "…", "answer": r"\boxed{6}", "answer_type": "number"},
        "6",
    ),
    "imo_answerbench": (
        {"Problem ID": "imo-bench-algebra-001", "Problem": "?", "Short Answer": "3", "Category": "Algebra"},
        "3",
    ),
    "gsm8k": ({"question": "?", "answer": "She sells 9. 9 * 2 = <<9*2=18>>18.\n#### 18"}, "18"),
    "math": (
        {"problem": "?", "level": "Level 5", "solution": r"Then $x=\boxed{12}$.", "type": "Algebra"},
        "12",
    ),
    "gpqa_diamond": (GPQA, "7"),
}


def test_each_benchmark_is_here() -> None:
    assert PUBLISHED.keys() == BENCHMARKS.keys()


@pytest.mark.parametrize("name", BENCHMARKS)
def test_published_columns_are_read_without_options(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row, answer = PUBLISHED[name]
    monkeypatch.setattr(benchmarks, "load", lambda name: [row])
    verifier = verifier_of(name, None)
    (problem,) = read_problems(name, tokenizer(), verifier=verifier)
    assert problem.prompt.startswith("?" if name != "gpqa_diamond" else "Which of these is prime?")
    assert problem.prompt.endswith(INSTRUCTION) == (name != "amo_bench"), "whose prompts say it themselves"
    settings = VerifierSettings(verifier=verifier)
    for given, correct in ((answer, True), ("5", False)):
        task = Task(problem.prompt, rf"</think>\boxed{{{given}}}", problem.reference, problem.extra)
        assert verify(task, settings).correct is correct


def test_a_description_is_left_out_by_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    number, _ = PUBLISHED["amo_bench"]
    rows = [{**number, "question_id": 1, "answer_type": "description"}, number]
    monkeypatch.setattr(benchmarks, "load", lambda name: rows)
    assert [problem.index for problem in read_problems("amo_bench", tokenizer())] == [1]
    assert "1 left out, its answer is a description, which takes a judge: amo_bench, row 0" in caplog.text


def test_gpqas_choices_stand_in_the_same_order_in_each_evaluation_and_anywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(benchmarks, "load", lambda name: [GPQA] * 400)
    first, second = (read_problems("gpqa_diamond", tokenizer(), verifier="choice") for _ in range(2))
    assert [one.prompt for one in first] == [one.prompt for one in second]
    places = Counter(problem.reference for problem in first)
    assert set(places) == set("ABCD") and min(places.values()) > 60
    assert all(f"({problem.reference}) 7" in problem.prompt for problem in first)


def test_who_grades_is_the_benchmarks_where_nobody_is_named() -> None:
    assert [verifier_of("gpqa_diamond", named) for named in (None, "math")] == ["choice", "math"]
    assert verifier_of("my.jsonl", None) == verifier_of("aime24", None) == "math"
