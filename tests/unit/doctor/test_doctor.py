"""The doctor's core: attention, framework doctors by entry point, verdict."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from transformers import AutoConfig
from typer.testing import CliRunner

from tw_plugins import doctor
from tw_plugins.adapter.check import Check, first_line
from tw_plugins.attention import self_check
from tw_plugins.attention.self_check import Heads
from tw_plugins.cli.app import app
from tw_plugins.cli.doctor_output import show
from tw_plugins.doctor import GROUP, all_checks, is_healthy
from tw_plugins.doctor.attention import thorough_checks

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


def test_a_device_is_checked_with_the_heads_of_a_model(toy: dict[str, Path]) -> None:
    pytest.importorskip("torch")
    done = CliRunner().invoke(app, ["doctor", "--no-ray", "--device", "cpu", "--model", str(toy["model"])])
    shown = " ".join(done.output.split())
    heads = str(Heads.of(AutoConfig.from_pretrained(toy["model"])))
    assert "sdpa on cpu, float32" in shown and "trie on cpu, float32" in shown and heads in shown
    assert shown.count("again") == 2, done.output


def test_attention_that_is_wrong_for_one_length_fails_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """As NaN gradients of some kernels at lengths that are no multiple of 128 are."""
    pytest.importorskip("torch")
    right = self_check.deviation

    def wrong(attention: str, positions: list[int], *rest: Any) -> Any:
        found = right(attention, positions, *rest)
        return replace(found, gradient=math.nan) if len(positions) == 601 else found

    monkeypatch.setattr(self_check, "deviation", wrong)
    sdpa, trie = thorough_checks("cpu")
    assert (sdpa.status, trie.status) == ("fail", "note")
    assert "wrongly" in sdpa.detail and "of 601 tokens" in sdpa.detail and "gradients by nan" in sdpa.detail


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--device", "cuda:77"], "there is no device cuda:77 here"),
        (["--device", "gpu"], "there is no device gpu here"),
        (["--device", "cpu", "--dtype", "int8"], "choose of bfloat16"),
        (["--dtype", "float16"], "give --device too"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(given: list[str], said: str) -> None:
    pytest.importorskip("torch")
    done = CliRunner().invoke(app, ["doctor", "--no-ray", *given])
    assert done.exit_code == 2 and said in " ".join(done.output.split()), done.output


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


def test_sound_seams_are_one_line_and_named_when_asked_for() -> None:
    checks = [
        Check("verl · driver", "device", "ok", "cpu"),
        *(Check("verl · driver", f"seam {n}", "ok", f"verl.module{n}: f", seam=True) for n in range(3)),
        Check("verl · driver", "broken", "fail", "verl.module9 has no f"),
    ]

    def shown(verbose: bool) -> str:
        console = Console(record=True, width=80)
        show(checks, console, verbose)
        return console.export_text()

    assert "3 in place; --verbose names them" in " ".join(shown(False).split())
    assert "verl.module1" not in shown(False) and "verl.module9 has no f" in shown(False)
    assert all(f"verl.module{n}: f" in shown(True) for n in range(3))
    assert "1 of 5 checks failed: 4 ok" in shown(False)
