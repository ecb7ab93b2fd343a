"""A hostile server asked through each engine and through stage 1, every promise checked.

    python -m tests.fuzz.servers --examples 10000

Each request ends in an answer that says what the server said, or in one error of ours; never in another
exception, never later than its time, and no part of the key is in any message. Ends with status 0, or with
hypothesis's report of the shortest answer that breaks a promise.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings

from tests.fuzz.hostile import KEY, VOCABULARY, Sent, answers
from tests.support.raw_server import RawServer
from tw_plugins.data.stage1.endpoint import Chat, ChatSettings
from tw_plugins.data.stage1.endpoint_errors import EndpointError, Refused, Unanswered
from tw_plugins.data.stage1.journal import Journal
from tw_plugins.engines import OpenAICompatibleEngine, SGLangEngine, http
from tw_plugins.rollout import Completion, EngineError

__all__ = ["KINDS", "check"]

TIME_S = 20.0
PARTS = {KEY[start : start + 6].lower() for start in range(len(KEY) - 5)}
Ask = Callable[[], Any]


def check(kind: str, examples: int, **more: Any) -> Counter[str]:
    """Asks so many answers of a kind.

    Args:
        more: further settings of hypothesis.

    Returns:
        How often each came to what.

    Raises:
        AssertionError: a promise is broken; hypothesis shows the shortest answer that does it.
    """
    seen: Counter[str] = Counter()
    given_ = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck), **more}
    with (
        RawServer() as server,
        asyncio.Runner() as runner,
        _without_pauses(),
        KINDS[kind](server.url) as asks,
    ):

        @settings(max_examples=examples, **given_)
        @given(answers(kind))
        def each(sent: Sent) -> None:
            server.reply = sent.data
            seen[_one(kind, sent, asks, runner)] += 1

        each()
    return seen


def _one(kind: str, sent: Sent, ask: Ask, runner: asyncio.Runner) -> str:
    try:
        answer = runner.run(asyncio.wait_for(ask(), TIME_S))
    except (EngineError, Unanswered, Refused, EndpointError) as error:
        assert not sent.sound, f"a sound answer is an error: {error}"
        shown = "".join(traceback.format_exception(error)).lower()
        assert not [part for part in PARTS if part in shown], "a part of the key is shown"
        return type(error).__name__
    assert sent.value is not None, "an answer was read where there is none"
    choice = sent.value if kind == "sglang" else sent.value["choices"][0]
    assert not sent.value.get("error") and not choice.get("error")
    (_as_completion if isinstance(answer, Completion) else _as_text)(kind, sent.value, answer)
    return "answer"


def _as_completion(kind: str, value: Any, answer: Completion) -> None:
    """Read here a second time, without care: whatever is missing is a KeyError."""
    if kind == "sglang":
        entries = value["meta_info"]["output_token_logprobs"]
        ids, logprobs = [entry[1] for entry in entries], [entry[0] for entry in entries]
        reason = value["meta_info"]["finish_reason"]["type"]
    else:
        choice = value["choices"][0]
        ids, reason = choice["token_ids"], choice.get("finish_reason")
        logprobs = (choice.get("logprobs") or {}).get("token_logprobs")
    assert answer.token_ids == ids and answer.logprobs == logprobs
    assert all(type(token) is int and 0 <= token < VOCABULARY for token in ids)
    assert all(logprob < 0.02 for logprob in logprobs or [])
    assert answer.finish_reason == reason


def _as_text(kind: str, value: Any, answer: Any) -> None:
    choice = value["choices"][0]
    text = choice["message"].get("content")
    assert answer.text == (text or "").replace(KEY, "***").encode("utf-8", "backslashreplace").decode()
    reason = choice.get("finish_reason")
    assert answer.cut == (reason == "length") and reason in ("stop", "length", "", None)
    assert text or (reason and (text is not None or answer.cut))
    assert 0 <= answer.prompt_tokens <= 2**40


@contextmanager
def _engine(made: type[OpenAICompatibleEngine], url: str) -> Iterator[Ask]:
    engine = made(url, "m", api_key=KEY, timeout=TIME_S / 4, retries=1, vocab_size=VOCABULARY)
    yield lambda: engine.generate([1, 2], stop_token_ids=[7], max_tokens=9, request_id="r")


@contextmanager
def _chat(url: str) -> Iterator[Ask]:
    """The journal is empty before, and afterwards an answer is in it, and nothing else."""
    with tempfile.TemporaryDirectory() as folder, patch.dict("os.environ", OPENAI_API_KEY=KEY):
        path = Path(folder) / "answers.jsonl"
        chat = Chat(ChatSettings(base_url=url, model="m", timeout=TIME_S / 4, retries=1), Journal(path))
        request: Any = {"model": "m", "messages": [{"role": "user", "content": "?"}]}
        opened: list[Chat] = []

        async def ask() -> Any:
            path.unlink(missing_ok=True)
            opened[:] = opened or [await chat.__aenter__()]
            chat.journal = Journal(path)
            try:
                answer = await chat.ask(request["messages"])
            except Exception:
                assert not path.exists(), "what is no answer is in the journal"
                raise
            assert Journal(path).get(request) == answer
            return answer

        yield ask


@contextmanager
def _without_pauses() -> Iterator[None]:
    async def sleep(seconds: float) -> None:
        assert 0 <= seconds <= 600

    with patch.object(http.asyncio, "sleep", sleep):
        yield


KINDS: dict[str, Callable[[str], Any]] = {
    "openai": lambda url: _engine(OpenAICompatibleEngine, url),
    "sglang": lambda url: _engine(SGLangEngine, url),
    "chat": _chat,
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.servers", description=__doc__)
    parser.add_argument("--examples", type=int, default=10_000, help="answers of each kind (default: 10000)")
    examples = parser.parse_args().examples
    for kind in KINDS:
        seen = check(kind, examples)
        print(f"{kind}: {', '.join(f'{count} × {name}' for name, count in sorted(seen.items()))}")


if __name__ == "__main__":
    main()
