"""Stage 1 lets through what the chosen verifier finds right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.listening import listening
from tests.support.stage1_runs import shown, stage1
from tests.support.stage1_server import Endpoint, traces
from tw_plugins.data.stage1.correct import check_answer
from tw_plugins.data.stage1.runner import Rejected
from tw_plugins.data.stage1.runs import finished
from tw_plugins.verifiers import VerifierSettings

MINE = """
def verify(prompt, text, reference, extra):
    return {"yes": True, "half": 0.5, "boom": 1 / 0 if reference == "boom" else 0}[reference]
"""


def mine(folder: Path) -> str:
    (folder / "mine.py").write_text(MINE)
    return f"{folder / 'mine.py'}:verify"


@pytest.mark.parametrize(
    ("answer", "code", "why"),
    [
        ("half", "wrong_answer", "mine.py:verify scores it 0.5, 'half' is wanted"),
        ("boom", "verifier_failed", "ZeroDivisionError: division by zero"),
    ],
)
async def test_what_is_not_right_is_rejected(tmp_path: Path, answer: str, code: str, why: str) -> None:
    settings = VerifierSettings(verifier=mine(tmp_path))
    with pytest.raises(Rejected, match=why) as caught:
        await check_answer({"prompt": "?", "answer": answer}, "no box", settings)
    assert caught.value.code == code
    await check_answer({"prompt": "?", "answer": "yes"}, "no box", settings)
    await check_answer({"prompt": "?"}, "no box", settings)


def answered(answer: Any) -> list[dict[str, Any]]:
    return [{**trace, "answer": answer} for trace in traces(1)]


def test_the_whole_of_stage_1(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        result = stage1(tmp_path, endpoint, answered("yes"), "--verifier", mine(tmp_path))
        assert result.exit_code == 0, shown(result)
        (kept,) = finished(tmp_path / "out" / "5-filter.jsonl").values()
        assert kept["status"] == "ok" and kept["answer"] == "yes"


def test_a_verifier_that_is_none_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    with listening(Endpoint()) as endpoint:
        result = stage1(tmp_path, endpoint, answered("yes"), "--verifier", f"{tmp_path}/none.py:verify")
        assert result.exit_code != 0 and not endpoint.asked
    assert "cannot be used: there is no file" in shown(result)
