"""docs/verifier.md: its verifiers are run as they stand there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.listening import listening
from tests.support.root import ROOT
from tests.unit.verifiers.test_remote import Server
from tw_plugins.verifiers import Task, VerifierSettings, check_verifier, pool, verify

PAGE = (ROOT / "docs" / "verifier.md").read_text(encoding="utf-8")
FILES = {body.split()[1]: body for body in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, body in FILES.items():
        (tmp_path / name).write_text(body)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pool, "_pools", {})
    yield
    for one in pool._pools.values():
        one.close()


@pytest.mark.parametrize(
    ("text", "score"), [('<think>…</think>{"a": 1, "b": 2}', 1), ("</think>[]", 0.5), ("</think>a: 1", 0)]
)
def test_the_ten_line_verifier(text: str, score: float) -> None:
    (name,) = set(re.findall(r"verifier[= ](my_verifier\.py:\w+)", PAGE))
    assert PAGE.count(name) == 2, "one line of a command for each framework"
    check_verifier(VerifierSettings(verifier=name))
    assert verify(Task("?", text, ["a"]), VerifierSettings(verifier=name)).score == score


@pytest.mark.parametrize(("said", "score"), [(" Yes", 1), (" No", 0)])
def test_the_judge(said: str, score: float) -> None:
    with listening(Server({"choices": [{"text": said}]})) as server:
        extra = {"reward_router_address": server.url.split("/")[2]}
        verdict = verify(
            Task("2+2?", "</think>4", "4", extra), VerifierSettings(verifier="my_judge.py:judge")
        )
    assert (verdict.score, verdict.failed) == (score, None)
    assert server.seen[0]["prompt"] == "2+2?\n\nAnswer: 4\n\nIs it 4? Yes or no:"
