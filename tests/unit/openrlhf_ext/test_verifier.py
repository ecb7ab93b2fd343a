"""The chosen verifier on OpenRLHF: what travels in the label, the flags, and `--reward.remote_url`."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from openrlhf_ext import agent, launcher
from openrlhf_ext.label import Label, task_of
from openrlhf_ext.settings import ENVIRONMENT, METRICS, RLSettings
from tests.unit.openrlhf_ext.test_agent import execute, scripted
from tw_plugins.datasets.examples import example_of
from tw_plugins.datasets.questions import Question
from tw_plugins.datasets.rows import Row
from tw_plugins.datasets.template import Prompt

AGENT = str(Path(agent.__file__))


def label(**columns: Any) -> Label:
    row = {"problem": "2?", "answer": "3", **columns}
    example = example_of(Row("mine.jsonl, row 0", row), "reference")
    return Label.of(Question(0, example, example.messages, Prompt("<2?>", [], "")))  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize(("answer", "text"), [("3", "3"), ([1, 2], "[1, 2]"), (None, "null")])
def test_a_label_is_text_and_carries_the_row_through_ray(answer: Any, text: str) -> None:
    sent = pickle.loads(pickle.dumps(label(answer=answer, extra_info={"level": 5})))
    assert sent == text and isinstance(sent, str)
    assert task_of("<2?>", sent) == ("2?", answer, {"data_source": "mine", "level": 5})


def test_a_label_of_upstreams_data_set_is_the_reference() -> None:
    assert task_of("<2?>", "3") == ("<2?>", "3", {})


def verifier(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    (folder / "mine.py").write_text(f"def verify(prompt, text, reference, extra):\n    {body}\n")
    settings = RLSettings(verifier=f"{folder / 'mine.py'}:verify")
    monkeypatch.setenv(ENVIRONMENT, settings.to_environment()[ENVIRONMENT])


def test_the_executor_asks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = "extra == {'data_source': 'mine', 'level': 5, 'templated_prompt': '<2?>'} and reference == [1]"
    verifier(
        tmp_path, monkeypatch, f"return 0.5 * (prompt == '2?' and text.endswith('boxed{{3}}') and {seen})"
    )
    found = execute(scripted(), prompt="<2?>", label=label(answer=[1], extra_info={"level": 5}))
    assert found["scores"] == 0.5 and found["extra_logs"][f"{METRICS}/verifier_failed/mean"] == 0
    bonus = found["extra_logs"][f"{METRICS}/reward_acceleration/mean"]
    assert found["reward"] == pytest.approx(0.5 + bonus) and 0 < bonus <= 0.1


def test_a_failure_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier(tmp_path, monkeypatch, "return 1 / 0")
    found = execute(scripted(), label=label())
    assert (found["reward"], found["extra_logs"][f"{METRICS}/verifier_failed/mean"]) == (0, 1)


def verifier_of(*arguments: str) -> str:
    settings, _ = launcher.read(RLSettings, list(arguments), AGENT)
    return settings.verifier  # type: ignore[attr-defined, no-any-return]


def test_upstreams_remote_url_is_a_verifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert verifier_of() == "math"
    assert verifier_of("--tw.verifier", "my_verifier.py:verify") == f"{tmp_path}/my_verifier.py:verify"
    assert verifier_of("--tw.verifier", "os.path:exists") == "os.path:exists"
    assert verifier_of("--reward.remote_url", "http://a/x,http://b/x") == "http://a/x,http://b/x"
    assert verifier_of("--reward.remote_url", "reward.py") == f"{tmp_path / 'reward.py'}:reward_func"


def test_two_verifiers_or_none_of_the_name_are_refused() -> None:
    with pytest.raises(SystemExit, match=r"--reward.remote_url http://a and --tw.verifier choice: give one"):
        verifier_of("--reward.remote_url", "http://a", "--tw.verifier", "choice")
    with pytest.raises(
        SystemExit, match=r"--tw.verifier='mathh': there is none of that name; did you mean math"
    ):
        verifier_of("--tw.verifier", "mathh")
