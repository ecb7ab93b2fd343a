"""A trainer never waits for ever for the processes of its run: what dies or hangs there is one error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ray.exceptions import RayActorError

from tw_plugins.rollout import EngineError
from tw_plugins.rollout.deadline import OutOfTime, within

T = TypeVar("T")


def bounded(
    seconds: float,
    what: str,
    call: Callable[[], T],
    *,
    late: str,
    died: Callable[[str], str],
    look: Callable[[], None] = lambda: None,
    every_s: float = 10,
) -> T:
    """What `call` returns or raises, if it ends in time and `look` finds nothing amiss meanwhile.

    Args:
        what: names the thread of the call.
        late: the message when it has not ended.
        died: the message when a Ray actor has died, given Ray's reason.
        look: called every so many seconds.

    Raises:
        EngineError: with one of the two messages, or `look`'s own.
    """
    try:
        return within(seconds, what, call, look, every_s)
    except RayActorError as error:
        raise EngineError(died(reason(error))) from error
    except OutOfTime as error:
        raise EngineError(late) from error


def reason(error: RayActorError) -> str:
    """Ray's reason on one line; the rest of its message is about Ray."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("The actor is dead", "The actor died", "Worker"))]
    return (told or lines or [type(error).__name__])[0].rstrip(".")[:200]
