"""The program of one verifier's process: JSON lines in, JSON lines out, somebody's function in between.

Started by `verifiers.pool` as a script. What the function prints goes to the standard error; it may hang or
die on what a model wrote, and then costs one answer.

    → {"target": "my.py:verify", "path": ["/…", …], "sources": ["openai/gsm8k"]}
    ← {"ready": true, "async": false} or {"error": "my.py has no function verify"}
    → {"prompt": "…", "text": "…", "reference": "7", "extra": {…}, "seconds": 60}
    ← {"score": 0.5} or {"late": true} or {"error": "KeyError: 'x'"} or {"odd": "'yes'"}
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

GRACE_SECONDS = 2.0  # after which the kernel ends a process whose parent is gone


def load(target: str) -> Callable[..., Any]:
    """The function at `module:function` or `file.py:function`.

    Raises:
        ValueError: there is none, or it takes other arguments.
        Exception: what importing its module raises.
    """
    place, _, name = target.rpartition(":")
    module = _file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    function = getattr(module, name, None)
    if not callable(function):
        raise ValueError(f"{place} has no function {name}")
    if list(inspect.signature(function).parameters) == ["queries", "prompts", "labels"]:
        return partial(_upstreams, function)
    try:
        inspect.signature(function).bind("", "", "", {})
    except TypeError as error:
        raise ValueError(
            f"{name}{inspect.signature(function)} must take (prompt, text, reference, extra): {error}"
        ) from error
    return function


def _upstreams(reward_func: Callable[..., Any], prompt: str, text: str, reference: Any, extra: Any) -> Any:
    """A function for OpenRLHF's `--reward.remote_url file.py`, of one answer."""
    prompt = extra.get("templated_prompt", prompt)
    rewards = reward_func([prompt + text], [prompt], [reference])["rewards"]
    rewards = rewards.tolist() if hasattr(rewards, "tolist") else rewards
    return rewards[0] if isinstance(rewards, list) else rewards


def _file(path: Path) -> Any:
    if not path.is_file():
        raise ValueError(f"there is no file {path.absolute()}")
    sys.path.insert(0, str(path.absolute().parent))  # its neighbours, as for a script
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def verified(verify: Callable[..., Any], request: dict[str, Any], runner: asyncio.Runner) -> dict[str, Any]:
    """The reply to one request."""
    seconds = request.pop("seconds")
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE_SECONDS)
    try:
        given = verify(**request, **({"seconds": seconds} if _keeps_time(verify) else {}))
        if inspect.isawaitable(given):
            given = runner.run(_within(given, seconds))
    except TimeoutError as error:
        return {"late": True} if str(error) == "" else {"error": said(error)}
    except Exception as error:
        return {"error": said(error)}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    value = given.item() if type(given).__module__ == "numpy" and hasattr(given, "item") else given
    return {"score": float(value)} if isinstance(value, int | float) else {"odd": f"{value!r:.200}"}


@cache
def _keeps_time(verify: Callable[..., Any]) -> bool:
    """Whether it is told how long it may take: ours are, which make of a late program a wrong one."""
    return "seconds" in inspect.signature(verify).parameters


async def _within(given: Any, seconds: float) -> Any:
    return await asyncio.wait_for(given, seconds)


def said(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {error}".strip(": ").replace("\n", " ")[:500]


def main() -> None:
    """Loads the function and says ready, then answers one request per line until the input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    given = json.loads(sys.stdin.readline())
    sys.path[:] = given["path"]
    try:
        verify = load(given["target"])
        if check := getattr(verify, "check", None):
            check(given["sources"])
    except BaseException as error:
        # A ValueError is written for its reader; of others the kind says more.
        why = str(error) if type(error) is ValueError else said(error)
        print(json.dumps({"error": why or said(error)}), file=replies, flush=True)
        return
    ready = {"ready": True, "async": inspect.iscoroutinefunction(verify)}
    print(json.dumps(ready), file=replies, flush=True)
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            print(json.dumps(verified(verify, json.loads(line), runner)), file=replies, flush=True)


if __name__ == "__main__":
    main()
