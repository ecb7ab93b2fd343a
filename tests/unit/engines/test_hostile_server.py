"""Some hundred answers of a hostile server, and the harness itself; `make fuzz-servers` asks for more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import Phase

from tests.fuzz.servers import KINDS, check
from tw_plugins.data.stage1 import endpoint
from tw_plugins.data.stage1.journal import Answer
from tw_plugins.engines import http, openai_compatible
from tw_plugins.engines.secrets import Secrets
from tw_plugins.rollout import Completion


@pytest.mark.parametrize("kind", KINDS)
def test_no_promise_is_broken(kind: str) -> None:
    seen = check(kind, examples=300, derandomize=True)
    assert seen.total() >= 300 and seen["answer"] >= 30
    assert seen.total() - seen["answer"] >= 30, "the answers are no longer wild enough"


def breaks(patch: pytest.MonkeyPatch, kind: str, target: Any, name: str, value: Any) -> str:
    patch.setattr(target, name, value)
    with pytest.raises(BaseException) as found:
        check(kind, examples=400, derandomize=True, phases=[Phase.generate])  # the shortest takes a minute
    errors = getattr(found.value, "exceptions", [found.value])
    return "\n".join(f"{type(error).__name__}: {error}" for error in errors)


def test_an_answer_that_is_none_and_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As stage 1 once did."""

    def trusting(data: dict[str, Any]) -> Answer:
        choices = data.get("choices")
        try:
            text = choices[0]["message"]["content"] or ""  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            text = ""
        return Answer(str(text), False, 0, 0)

    found = breaks(monkeypatch, "chat", endpoint, "answer_in", trusting)
    assert any(name in found for name in ("AssertionError", "KeyError", "TypeError", "IndexError"))


def test_ids_that_are_not_looked_at_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def trusting(ids: Any, logprobs: Any, *others: Any) -> Completion:
        return Completion(ids, logprobs, "stop")

    found = breaks(monkeypatch, "openai", openai_compatible, "checked_completion", trusting)
    assert "Error" in found


def test_a_key_that_is_repeated_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = breaks(monkeypatch, "sglang", Secrets, "hide", lambda self, text, shown: text[:shown])
    assert "a part of the key is shown" in found


def test_an_exception_of_another_kind_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = breaks(monkeypatch, "openai", http, "json_of", lambda content, *others: json.loads(content))
    assert "DecodeError" in found
