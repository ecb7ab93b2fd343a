"""Evaluation and self-training by a verifier of one's own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fakes import EOS, ScriptedEngine
from tests.support.records import RECORD, TAGS
from tests.support.tokenizers import tokenizer
from tw_plugins.cli.eval_run import failures_line
from tw_plugins.data.selftrain import Keep, sift
from tw_plugins.evaluation.decode import evaluate
from tw_plugins.evaluation.figures import describe
from tw_plugins.evaluation.problems import EvalProblem, read_problems
from tw_plugins.evaluation.records import read_records, write_records
from tw_plugins.evaluation.report import write_report
from tw_plugins.evaluation.settings import EvalSettings
from tw_plugins.rollout import Limits

LIMITS = Limits(max_tokens=400, max_thread_tokens=100, answer_reserve=50)
MINE = """
def verify(prompt, text, reference, extra):
    return {"full": True, "half": 0.5 * (prompt == "2?" and reference == [1] and extra == {"level": 5})}[text]
"""


@pytest.fixture
def settings(tmp_path: Path) -> EvalSettings:
    (tmp_path / "mine.py").write_text(MINE)
    return EvalSettings(verifier=f"{tmp_path / 'mine.py'}:verify")


async def test_records_figures_and_report(settings: EvalSettings, tmp_path: Path) -> None:
    problems = [EvalProblem(i, "all", "2?", TAGS.encode("2?"), [1], extra={"level": 5}) for i in range(3)]
    engine = ScriptedEngine.from_texts(TAGS, "full" + EOS, "half" + EOS, "neither" + EOS)
    records = await evaluate(engine, TAGS, problems, "autoregressive", LIMITS, 1, grading=settings)
    assert [(one.correct, one.score, one.failed) for one in records] == [
        (True, 1.0, None), (False, 0.5, None), (False, 0.0, "KeyError: 'neither'"),
    ]  # fmt: skip
    write_records(records, tmp_path / "r.jsonl")
    assert read_records(tmp_path / "r.jsonl") == records
    assert failures_line(records) == "the verifier failed on 1 of 3, first: KeyError: 'neither'"
    found = describe(records)
    assert found["accuracy"]["value"] == pytest.approx(1 / 3)
    assert found["score"]["value"] == pytest.approx(0.5)
    assert found["verifier_failed"]["value"] == pytest.approx(1 / 3)
    write_report({"autoregressive": records}, tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert "## Verifier" in page and "| 0.500" in page
    ends = (EOS,)
    funnel, kept = sift(records, ends, Keep())
    assert (funnel.complete, funnel.correct, funnel.verifier_failed) == (3, 1, 1) and kept == records[:1]


def test_math_has_neither_score_nor_failures(tmp_path: Path) -> None:
    records = [RECORD, replace(RECORD, index=1)]
    found = describe(records)
    assert found["score"] is None and found["verifier_failed"] is None
    write_report({"parallel": records}, tmp_path)
    assert "## Verifier" not in (tmp_path / "report.md").read_text()


def test_problems_are_read_for_the_verifier(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    row = {"problem": "2?", "answer": {"tests": [1]}, "data_source": "mine", "extra_info": {"level": 5}}
    path.write_text(json.dumps(row))
    (problem,) = read_problems(path, tokenizer(), verifier="choice")
    assert problem.reference == {"tests": [1]} and problem.extra == {"data_source": "mine", "level": 5}
