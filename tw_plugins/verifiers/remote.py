"""A reward server as OpenRLHF's `--reward.remote_url` has it (`openrlhf/utils/agent.py`), by HTTP.

→ {"query": ["<prompt><answer>"], "prompts": ["<prompt>"], "labels": ["7"]}
← {"rewards": [1.0], …}
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from tw_plugins.engines.address import credentials_in
from tw_plugins.engines.secrets import Secrets
from tw_plugins.verifiers.names import shown
from tw_plugins.verifiers.task import Failed, Task

__all__ = ["TEMPLATED", "ask"]

TEMPLATED = "templated_prompt"
"""Key of `extra`: the prompt as the model was given it, where the framework knows it."""
TRIES, PAUSE_SECONDS = 5, 1.0  # as upstream
MOST_BYTES = 1 << 20
SHOWN = 300  # characters of why there is no reward


def ask(urls: str, task: Task, seconds: float) -> Any:
    """The reward that a server gives.

    Args:
        urls: of one server or several, with commas; one of them is asked, another when it fails.

    Raises:
        Failed: none has answered with a reward in time.
    """
    import httpx  # not above: whoever reads the settings imports this module

    prompt = task.extra.get(TEMPLATED, task.prompt)
    label = task.reference if isinstance(task.reference, str) else json.dumps(task.reference, default=str)
    body = {"query": [prompt + task.text], "prompts": [prompt], "labels": [label]}
    servers, deadline = random.sample(every := urls.split(","), len(every)), time.monotonic() + seconds
    why = ""
    for attempt in range(TRIES):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            return _reward(servers[attempt % len(servers)].strip(), body, left)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            why = f"{type(error).__name__}: {error}"  # which may repeat the address, and the server a key
        time.sleep(max(0.0, min(PAUSE_SECONDS, deadline - time.monotonic())))
    why = Secrets([*_credentials(every)]).hide(why, SHOWN)
    raise Failed(f"no reward from {shown(urls)}: {why}" if why else f"no verdict after {seconds:g} s")


def _credentials(urls: Iterable[str]) -> Iterator[str]:
    """What `shown` leaves out."""
    import httpx

    for url in urls:
        with suppress(httpx.InvalidURL, ValueError):
            yield from filter(None, credentials_in(httpx.URL(url.strip())))


def _reward(url: str, body: dict[str, Any], seconds: float) -> Any:
    import httpx

    deadline, content = time.monotonic() + seconds, b""
    with httpx.stream("POST", url, json=body, timeout=seconds, trust_env=False) as response:
        response.raise_for_status()
        for piece in response.iter_bytes():
            content += piece
            if len(content) > MOST_BYTES or time.monotonic() > deadline:
                raise ValueError(f"{shown(url)} does not come to an end")
    answer = json.loads(content)
    rewards = answer.get("rewards") if isinstance(answer, dict) else None
    if rewards is None or rewards == []:
        raise ValueError(f"{shown(url)} answered without rewards: {content[:200]!r}")
    return rewards[0] if isinstance(rewards, list) else rewards
