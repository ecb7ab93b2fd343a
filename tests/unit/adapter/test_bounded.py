"""A wait for other processes ends: with their answer, or with one error that says what was wrong."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import pytest

from tw_plugins.adapter.prompt import PromptTooLong
from tw_plugins.rollout import EngineError

ray_exceptions = pytest.importorskip("ray.exceptions")
DIED = "The actor died unexpectedly before finishing this task."
DEAD = "The actor is dead because its worker has died. Worker exit type: SYSTEM_ERROR.\n\tnamespace: x"


def wait(call: Any, **more: Any) -> Any:
    from tw_plugins.adapter.bounded import bounded

    return bounded(0.2, "weights", call, late="too late", died=lambda why: f"died ({why})", **more)


def raises(error: Exception) -> Any:
    def call() -> None:
        raise error

    return call


def test_what_ends_in_time_is_handed_on() -> None:
    assert wait(lambda: 3) == 3
    with pytest.raises(KeyError):
        wait(raises(KeyError("the call's own")))


def test_what_hangs_is_said() -> None:
    hanging = threading.Event()
    with pytest.raises(EngineError, match=r"^too late$"):
        wait(hanging.wait)
    hanging.set()


def test_what_a_look_finds_ends_the_wait() -> None:
    hanging = threading.Event()
    with pytest.raises(EngineError, match="an engine is dead"):
        wait(hanging.wait, look=raises(EngineError("an engine is dead")), every_s=0.01)
    hanging.set()


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (f"{DIED}\n{DEAD}", "The actor died unexpectedly before finishing this task"),
        (f"Ray says\n{DEAD}", "The actor is dead because .* SYSTEM_ERROR"),
        ("only this", "only this"),
        ("", "RayActorError"),
    ],
)
def test_rays_reason_is_one_line(told: str, reason: str) -> None:
    with pytest.raises(EngineError, match=rf"^died \({reason}\)$"):
        wait(raises(ray_exceptions.RayActorError(error_msg=told)))


def test_a_prompt_that_is_too_long_crosses_processes() -> None:
    error = PromptTooLong.of(7, "; 5 fit: raise it", "x" * 100)
    assert str(error) == f"a prompt has 7 tokens; 5 fit: raise it. The prompt begins: {'x' * 80!r}"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
