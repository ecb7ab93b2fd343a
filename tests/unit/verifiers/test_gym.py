"""reasoning_gym's scorers, called as the package's documents say; here by a stand-in for the package."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tw_plugins.verifiers import Task, VerifierError, VerifierSettings, check_verifier, pool, verify

PACKAGE = """
def get_score_answer_fn(name):
    if name != "countdown":
        raise ValueError(f"Dataset '{name}' not registered")
    return lambda answer, entry: 1.0 if answer == str(entry["metadata"]["target"]) else 0.01
"""
UTILS = """
import re
def extract_answer(completion):
    found = re.findall("<answer>(.*?)</answer>", completion)
    return found[-1] if found else None
"""
METADATA = {"source_dataset": "countdown", "target": 7}


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "reasoning_gym").mkdir()
    (tmp_path / "reasoning_gym" / "__init__.py").write_text(PACKAGE)
    (tmp_path / "reasoning_gym" / "utils.py").write_text(UTILS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(pool, "_pools", {})
    yield
    for one in pool._pools.values():
        one.close()


def test_the_entrys_own_scorer_scores_the_answer() -> None:
    settings = VerifierSettings(verifier="reasoning_gym")
    check_verifier(settings)
    for text, extra, score in (
        ("<answer>7</answer>", {"metadata": METADATA}, 1.0),
        ("<answer>1</answer></think><answer>7</answer>", {"metadata": json.dumps(METADATA)}, 1.0),
        ("\\boxed{7}", {"metadata": {"target": 7}, "data_source": "reasoning_gym/countdown"}, 1.0),
        ("\\boxed{8}", {"metadata": METADATA}, 0.01),
        ("nothing", {"metadata": METADATA}, 0.01),
    ):
        assert verify(Task("?", text, None, extra), settings).score == score
    unknown = verify(Task("?", "7", None, {"metadata": {"source_dataset": "chess"}}), settings)
    assert unknown.failed == "ValueError: Dataset 'chess' not registered"


ENTRIES = [{"metadata": {"target": target}} for target in (7, 8)]


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("\\boxed{(7; 8)}", 1.0),
        ("\\boxed{7, 8}", 1.0),
        ("\\boxed{(7; 9)}", (1 + 0.01) / 2),
        ("\\boxed{(8; 7)}", 0.01),
        ("\\boxed{7}", 0.0),
        ("\\boxed{(7; 8; 9)}", 0.0),
        ("nothing", 0.0),
    ],
)
def test_rows_of_data_tasks_are_scored_part_by_part(text: str, score: float) -> None:
    settings = VerifierSettings(verifier="reasoning_gym")
    extra = {
        "data_source": "reasoning_gym",
        "source": "countdown+countdown",
        "entry": json.dumps(ENTRIES),
    }
    assert verify(Task("?", text, None, extra), settings).score == pytest.approx(score)
    alone = {"data_source": "reasoning_gym", "source": "countdown", "entry": json.dumps(ENTRIES[0])}
    assert verify(Task("?", "\\boxed{7}", None, alone), settings).score == 1


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path[1:])
    with pytest.raises(VerifierError, match=r"cannot be used: .*No module named 'reasoning_gym'"):
        check_verifier(VerifierSettings(verifier="reasoning_gym"))
