"""Answers of other shapes than the engines read: each is one error that names the server and the fault."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.support.messages import assert_message
from tests.support.servers import Server, choice
from tw_plugins.engines import OpenAICompatibleEngine, SGLangEngine
from tw_plugins.rollout import Completion, EngineError


def ask(
    server: Server, answer: Any, kind: type[OpenAICompatibleEngine] = OpenAICompatibleEngine
) -> Completion:
    async def go() -> Completion:
        async with kind(server.url, "m", retries=0, vocab_size=100) as engine:
            return await engine.generate([5], stop_token_ids=[7], max_tokens=9, request_id="r")

    server.answer = lambda body: (200, answer)
    return asyncio.run(go())


def with_logprobs(ids: Any, logprobs: Any) -> dict[str, Any]:
    return choice(ids, logprobs={"token_logprobs": logprobs})


NAN = json.dumps(with_logprobs([1], [0])).replace("[0]", "[NaN]")
HUGE = json.dumps(with_logprobs([1], [0])).replace("[0]", f"[{'9' * 4000}]")
SHAPES: dict[str, tuple[Any, str]] = {
    "more log-probs": (with_logprobs([3, 7], [-1, -2, -3]), "3 log-probs for 2 token ids"),
    "fewer log-probs": (with_logprobs([3, 7], [-1]), "1 log-probs for 2 token ids"),
    "null among log-probs": (with_logprobs([3, 7], [None, -1]), "None among its log-probs"),
    "text among log-probs": (with_logprobs([3], ["-1"]), "'-1' among its log-probs"),
    "a bool among log-probs": (with_logprobs([3], [True]), "True among its log-probs"),
    "no number": (NAN, "nan among its log-probs"),
    "a number beyond all": (HUGE, "9{9,}.* among its log-probs"),
    "log-probs by name": (with_logprobs([3], {"3": -1}), "a dict where a list of log-probs must be"),
    "log-probs in a list": (choice([3], logprobs=[-1]), "logprobs that are no object"),
    "ids as text": (choice("3 7"), "a str where a list of token ids must be"),  # type: ignore[arg-type]
    "text among ids": (choice(["3"]), "'3' among its token ids"),  # type: ignore[list-item]
    "null among ids": (choice([None]), "None among its token ids"),  # type: ignore[list-item]
    "a negative id": (choice([-1]), "-1 among its token ids"),
    "an id beyond the vocabulary": (choice([100]), "100 among its token ids.*from 0 to 99"),
    "a bool among ids": (choice([True]), "True among its token ids"),
    "a float among ids": (choice([3.0]), "3.0 among its token ids"),  # type: ignore[list-item]
    "a reason that is a number": (choice([3], 5), "broke its answer off itself .finish_reason 5"),  # type: ignore[arg-type]
    "choices by name": ({"choices": {"0": {}}}, "without choices"),
    "a choice that is text": ({"choices": ["x"]}, "without choices"),
    "a list": ([choice([3])], "without choices"),
    "an error": ({"error": {"message": "overloaded"}}, r"HTTP 200 with an error \(overloaded\)"),
    "a nest": ("[" * 100_000, "did not answer with JSON"),
    "a nested error": ({"error": {"error": {"detail": [[[[[[[[1]]]]]]]]}}}, "HTTP 200 with an error"),
    "an error in a choice": (choice([3], error={"message": "gone"}), r"HTTP 200 with an error \(gone\)"),
    "an error without a name for it": ({"detail": "no such key"}, r"HTTP 200 with an error \(no such key\)"),
    "errors": ({"errors": [{"message": "busy"}]}, r"HTTP 200 with an error \(busy\)"),
    "another error": ({"type": "error", "choices": []}, "HTTP 200 with an error"),
    "a log-prob above 0": (with_logprobs([3, 7], [-1, 0.5]), "0.5 among its log-probs, none .* above 0"),
    "infinity": (json.dumps(with_logprobs([1], [0])).replace("[0]", "[-Infinity]"), "-inf among its log-p"),
    "nothing": ("", "did not answer with JSON"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_one_error(server: Server, name: str) -> None:
    answer, message = SHAPES[name]
    with pytest.raises(EngineError) as caught:
        ask(server, answer)
    assert_message(caught.value, f"{server.url}/completions .*{message}")


def test_a_log_prob_that_rounding_made_positive(server: Server) -> None:
    assert ask(server, with_logprobs([3], [1e-3])) == Completion([3], [1e-3], "stop")


def test_log_probs_may_be_left_out(server: Server) -> None:
    assert ask(server, choice([3, 7])) == Completion([3, 7], None, "stop")
    assert ask(server, choice([3, 7], logprobs=None)) == Completion([3, 7], None, "stop")
    assert ask(server, choice([], logprobs={"token_logprobs": []})) == Completion([], [], "stop")


# ── SGLang's own endpoint ──


def sglang(entries: Any, ids: Any = None, reason: Any = "stop") -> dict[str, Any]:
    return {
        "text": "?",
        "output_ids": ids,
        "meta_info": {"output_token_logprobs": entries, "finish_reason": {"type": reason}},
    }


def test_sglang_is_asked_and_read(server: Server) -> None:
    answer = sglang([[-0.5, 3, None], [-1, 7, None]], [3, 7])
    assert ask(server, answer, SGLangEngine) == Completion([3, 7], [-0.5, -1], "stop")
    [(path, _, body)] = server.seen
    assert path == "/generate" and body["input_ids"] == [5]
    assert body["sampling_params"]["stop_token_ids"] == [7] and body["sampling_params"]["max_new_tokens"] == 9


def test_a_stop_token_that_sglang_trims_from_its_ids_is_known_by_its_log_prob(server: Server) -> None:
    answer = sglang([[-0.5, 3, None], [-1, 7, None]], [3])
    assert ask(server, answer, SGLangEngine) == Completion([3, 7], [-0.5, -1], "stop")


SGLANG_SHAPES: dict[str, tuple[Any, str]] = {
    "other ids": (sglang([[-0.5, 3, None]], [4]), "output_ids that are not those of its log-probs"),
    "ids cut off, and no stop": (
        sglang([[-0.5, 3, None], [-1, 7, None]], [3], "length"),
        "output_ids that are not those of its log-probs",
    ),
    "fewer log-probs": (sglang([[-0.5, 3, None]], [3, 7]), "output_ids that are not those of its log-probs"),
    "no log-probs": (sglang(None, [3]), "without ids, their log-probs"),
    "bare log-probs": (sglang([-0.5], [3]), "without ids, their log-probs"),
    "null for a log-prob": (sglang([[None, 3, None]], [3]), "None among its log-probs"),
    "an id as text": (sglang([[-0.5, "3", None]]), "'3' among its token ids"),
    "an id beyond the vocabulary": (sglang([[-0.5, 100, None]]), "100 among its token ids"),
    "no finish reason": ({"meta_info": {"output_token_logprobs": []}}, "or a finish reason"),
    "no information": ({"output_ids": [3], "meta_info": None}, "without ids, their log-probs"),
    "a batch": ([sglang([])], "without ids, their log-probs"),
    "an answer that it gave up": (sglang([[-0.5, 3, None]], [3], "abort"), "broke its answer off itself"),
    "an error": ({"error": {"message": "out of memory"}}, r"HTTP 200 with an error \(out of memory\)"),
}


@pytest.mark.parametrize("name", SGLANG_SHAPES)
def test_a_shape_of_sglang_is_one_error(server: Server, name: str) -> None:
    answer, message = SGLANG_SHAPES[name]
    with pytest.raises(EngineError) as caught:
        ask(server, answer, SGLangEngine)
    assert_message(caught.value, f"{server.url.removesuffix('/v1')}/generate .*{message}")
