"""Anybody's verifier: what it is given, what it may say, and what becomes of one that fails."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tw_plugins import verifiers
from tw_plugins.settings import SettingsError
from tw_plugins.verifiers import Task, VerifierError, VerifierSettings, check_verifier, pool, verify

VERIFIER = r'''
"""Does what the answer says, or what the reference says of it."""
import asyncio, ctypes, os, re, sys, time

from neighbour import RIGHT

def check(prompt, text, reference, extra):
    print("on standard output")
    if text == "raise":
        raise KeyError("no such part")
    if text == "sleep":
        time.sleep(60)
    if text == "regex":
        re.fullmatch("(a+)+b", "a" * 40)
    if text == "exit":
        sys.exit(3)
    if text == "die":
        os._exit(3)
    if text == "segfault":
        ctypes.string_at(0)
    if text == "pid":
        return os.getpid() == reference
    if text == "seen":
        return [prompt, text, reference, extra["data_source"], extra["numbers"]] == [
            "2+2?", "seen", {"tests": [1, 2]}, "mine", [1, 2]
        ]
    if text == "numpy":
        import numpy
        return numpy.float32(0.25)
    return {"right": RIGHT, "wrong": False, "half": 0.5}.get(text, text)

async def later(prompt, text, reference, extra):
    if text == "stuck":
        time.sleep(60)
    await asyncio.sleep(60 if text == "sleep" else 0)
    return text == reference

def three(prompt, text, reference):
    return True

not_a_function = 3
'''


@pytest.fixture(autouse=True)
def verifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The place of one; each test has processes and counts of its own."""
    (tmp_path / "mine.py").write_text(VERIFIER)
    (tmp_path / "neighbour.py").write_text("RIGHT = True")
    monkeypatch.setattr(pool, "_pools", {})
    monkeypatch.setattr(verifiers, "_outcomes", verifiers._Outcomes())
    yield f"{tmp_path / 'mine.py'}:check"
    for one in pool._pools.values():
        one.close()


def ask(verifier: str, text: str, reference: Any = None, seconds: float = 20, **extra: Any) -> Any:
    return verify(
        Task("2+2?", text, reference, extra), VerifierSettings(verifier=verifier, verifier_timeout_s=seconds)
    )


@pytest.mark.parametrize(("text", "score"), [("right", 1.0), ("wrong", 0.0), ("half", 0.5), ("numpy", 0.25)])
def test_a_score_is_a_bool_or_a_number(verifier: str, text: str, score: float) -> None:
    verdict = ask(verifier, text)
    assert (verdict.score, verdict.failed, verdict.correct) == (score, None, score == 1)


def test_a_verifier_sees_prompt_text_reference_and_extra(verifier: str) -> None:
    import numpy as np

    verdict = ask(
        verifier, "seen<|im_end|>\n", {"tests": [1, 2]}, data_source="mine", numbers=np.array([1, 2])
    )
    assert verdict.score == 1, verdict


def test_long_texts_pass_through(verifier: str) -> None:
    """A pipe holds 64 KiB."""
    async_one = verifier.replace(":check", ":later")
    text = "x" * 1_000_000
    assert ask(async_one, text, text).score == 1 and ask(async_one, text, "y" + text).score == 0


def test_math_is_the_default() -> None:
    settings = VerifierSettings()
    assert verify(Task("", r"</think>\boxed{\frac{1}{2}}", "0.5"), settings).correct
    assert verify(Task("", "a half", "0.5"), settings).unanswered


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise", "KeyError: 'no such part'"),
        ("exit", "its process died"),
        ("die", "its process died"),
        ("segfault", "its process died"),
        ("sleep", "no verdict after 0.5 s"),
        ("regex", "no verdict after 0.5 s"),
    ],
)
def test_a_failure_is_counted_shown_once_and_bounded(
    verifier: str, caplog: pytest.LogCaptureFixture, text: str, why: str
) -> None:
    ask(verifier, "right")
    seconds = 0.5 if text in ("sleep", "regex") else 20
    with caplog.at_level(logging.ERROR):
        verdicts = [ask(verifier, text, "7", seconds=seconds) for _ in range(2)]
    assert [(verdict.score, verdict.failed) for verdict in verdicts] == [(0.0, why)] * 2
    (shown,) = caplog.messages
    assert why in shown and "'2+2?'" in shown and "'7'" in shown and f"'{text}'" in shown
    assert ask(verifier, "right").score == 1


def test_an_async_verifier_is_cancelled_and_goes_on(verifier: str) -> None:
    later = verifier.replace(":check", ":later")
    assert ask(later, "7", "7").score == 1
    (process,) = pool.pool_of(later)._alive
    assert ask(later, "sleep", seconds=0.5).failed == "no verdict after 0.5 s"
    assert pool.pool_of(later)._alive == {process}
    assert ask(later, "stuck", seconds=0.5).failed == "no verdict after 0.5 s"
    assert ask(later, "7", "8").score == 0


@pytest.mark.parametrize(("text", "said"), [("yes", "'yes'"), ("", "''")])
def test_what_is_no_score_is_named(verifier: str, text: str, said: str) -> None:
    with pytest.raises(VerifierError, match=f"returned {said}: a score is true, false or a number from 0 to"):
        ask(verifier, text)


@pytest.mark.parametrize("value", ["-1", "1.5", "float('nan')", "None"])
def test_a_number_out_of_range_is_named(tmp_path: Path, value: str) -> None:
    (tmp_path / "odd.py").write_text(f"def odd(prompt, text, reference, extra): return {value}")
    said = {"float('nan')": "nan", "-1": "-1.0"}.get(value, value)
    with pytest.raises(VerifierError, match=f"returned {said}: a score is"):
        ask(f"{tmp_path / 'odd.py'}:odd", "")


def test_one_that_only_fails_ends_the_run(verifier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifiers, "HOPELESS", 3)
    assert [ask(verifier, "raise").score for _ in range(2)] == [0, 0]
    with pytest.raises(VerifierError, match=r"each of the first 3, .*KeyError: 'no such part'"):
        ask(verifier, "raise")


def test_many_threads_ask_at_once(verifier: str) -> None:
    texts = ["right", "wrong", "die", "half"] * 2
    with ThreadPoolExecutor(4) as threads:
        scores = [verdict.score for verdict in threads.map(lambda text: ask(verifier, text), texts)]
    assert scores == [1, 0, 0, 0.5] * 2
    assert len(pool.pool_of(verifier)._alive) <= pool.SIZE


def test_those_that_wait_wait_together(verifier: str) -> None:
    """A plain function has few processes, since it computes; an `async` one has many."""
    later = verifier.replace(":check", ":later")
    ask(later, "7", "7")
    with ThreadPoolExecutor(4) as threads:
        verdicts = list(threads.map(lambda _: ask(later, "sleep", seconds=1), range(4)))
    assert all(verdict.failed == "no verdict after 1 s" for verdict in verdicts)
    assert len(pool.pool_of(later)._alive) == 4 > pool.SIZE


def test_a_forked_child_starts_its_own(verifier: str) -> None:
    ask(verifier, "right")
    (process,) = pool.pool_of(verifier)._alive
    child = os.fork()
    if child == 0:
        os._exit(int(ask(verifier, "pid", process.process.pid).score))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert ask(verifier, "pid", process.process.pid).score == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{file}:missing", r"mine\.py has no function missing"),
        ("{file}:not_a_function", r"mine\.py has no function not_a_function"),
        ("{file}:three", r"three\(prompt, text, reference\) must take \(prompt, text, reference, extra\)"),
        ("{folder}/none.py:check", r"there is no file /.*/none\.py"),
        ("no_such_package.module:verify", "No module named 'no_such_package'"),
        ("os:no_such_function", "os has no function no_such_function"),
        ("{folder}/broken.py:verify", "ZeroDivisionError: division by zero"),
        ("{folder}/exits.py:verify", "SystemExit: 2"),
    ],
)
def test_what_cannot_be_loaded_is_one_line_at_the_start(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "exits.py").write_text("raise SystemExit(2)")
    place = name.format(file=tmp_path / "mine.py", folder=tmp_path)
    with pytest.raises(VerifierError, match=message) as caught:
        check_verifier(VerifierSettings(verifier=place))
    assert "\n" not in str(caught.value) and f"verifier {place} cannot be used: " in str(caught.value)


def test_what_can_be_loaded_passes(verifier: str) -> None:
    check_verifier(VerifierSettings(verifier=verifier))
    check_verifier(VerifierSettings())


@pytest.mark.parametrize(
    ("name", "message"), [("maths", "did you mean math"), ("a.b", "Give math"), ("", "Give")]
)
def test_a_name_that_is_none_is_refused(name: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        VerifierSettings(verifier=name)
