"""The doctor's core: attention, framework doctors by entry point, verdict."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from tw_plugins import doctor
from tw_plugins.adapter.check import Check, first_line
from tw_plugins.cli.doctor_output import show
from tw_plugins.doctor import GROUP, all_checks, is_healthy

OK, NOTE, FAIL = (Check("a", status, status, "[detail]") for status in ("ok", "note", "fail"))


class Entry:
    """An entry point that loads to a fixed answer, or fails."""

    def __init__(self, name: str, answer: Any) -> None:
        self.name, self.answer = name, answer

    def load(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return lambda with_ray: self.answer


def with_doctors(monkeypatch: pytest.MonkeyPatch, *entries: Entry) -> list[Check]:
    monkeypatch.setattr(doctor, "entry_points", lambda group: entries if group == GROUP else ())
    return list(all_checks(with_ray=False))


def test_checks_of_the_framework_follow_those_of_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    checks = with_doctors(monkeypatch, Entry("verl", [OK]), Entry("openrlhf", []))
    assert checks[-2:] == [OK, Check("openrlhf", "installed", "note", "not in this environment")]
    assert {"machine", "attention"} <= {check.section for check in checks}
    assert is_healthy(checks), checks


@pytest.mark.parametrize("entries", [(), (Entry("verl", []),)])
def test_no_framework_at_all_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, entries: tuple[Entry, ...]
) -> None:
    last = with_doctors(monkeypatch, *entries)[-1]
    assert (last.section, last.status) == ("frameworks", "fail")


def test_a_broken_framework_doctor_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    last = with_doctors(monkeypatch, Entry("verl", ImportError("no wrapt\nmore")))[-1]
    assert last == Check("verl", "doctor", "fail", "ImportError: no wrapt")


def test_attention_that_gives_a_wrong_gradient_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from tests.support.masks import lose_branches
    from tw_plugins.doctor import attention

    lose_branches(monkeypatch)
    sdpa, trie = attention.attention_checks()
    assert (sdpa.status, trie.status) == ("fail", "note")  # of the others there is a choice
    assert "computes rows with branches wrongly" in sdpa.detail


@pytest.mark.parametrize(("path", "status"), [("/usr/bin/chromium", "ok"), (None, "note")])
def test_chromium_is_for_the_browser_tests_only(
    monkeypatch: pytest.MonkeyPatch, path: str | None, status: str
) -> None:
    monkeypatch.setattr(doctor, "browser", lambda: path)
    (check,) = (check for check in with_doctors(monkeypatch, Entry("verl", [OK])) if check.name == "Chromium")
    assert check.status == status and "browser tests" in check.detail


@pytest.mark.parametrize(("problem", "status"), [(None, "ok"), ("bubblewrap is not installed", "note")])
def test_the_sandbox_is_for_programs_only(
    monkeypatch: pytest.MonkeyPatch, problem: str | None, status: str
) -> None:
    monkeypatch.setattr(doctor.sandbox, "problem", lambda: problem)
    check = doctor._sandbox()
    assert check.status == status and "verifier=code" in check.detail and (problem or "") in check.detail


def test_verdict_and_table() -> None:
    assert is_healthy([OK, NOTE]) and not is_healthy([OK, FAIL])
    for checks, verdict in (
        ([OK, NOTE], "ready: 1 ok, 1 to note, 0 failed"),
        ([OK, FAIL], "1 of 2 checks failed"),
    ):
        console = Console(record=True, width=100)
        show(checks, console)
        shown = console.export_text()
        assert verdict in shown.strip().splitlines()[-1] and shown.count("[detail]") == 2


def test_first_line_of_an_error() -> None:
    assert first_line(ValueError("one\ntwo")) == "ValueError: one"
    assert first_line(TimeoutError()) == "TimeoutError"
