"""Prompts as people publish them become messages of text; anything else is refused with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from tw_plugins.datasets.holes import BadRow
from tw_plugins.datasets.messages import answer_of, messages_of, split_response

ASKED = [{"role": "user", "content": "1+1?"}]


@pytest.mark.parametrize(
    "prompt",
    [
        "1+1?",
        [{"role": "user", "content": "1+1?"}],
        [{"role": "User ", "content": ["1", "+1?"]}],
        [{"role": "user", "content": [{"type": "text", "text": "1+"}, {"type": "text", "text": "1?"}]}],
        [{"role": "user", "content": [{"text": "1+1?"}], "tool_calls": None, "name": None}],
        [{"from": "human", "value": "1+1?"}],
        [{"from": "human", "value": "1+1?", "role": "user"}],
        [{"from": "human", "value": "1+1?", "role": None, "content": None}],
        '[{"role": "user", "content": "1+1?"}]',
        ' [{"from":"human","value":"1+1?"}]',
    ],
)
def test_forms_of_one_question(prompt: Any) -> None:
    assert messages_of(prompt) == ASKED


def test_every_role_has_its_name() -> None:
    names = ["system", "human", "gpt", "tool", "assistant", "user"]
    found = [message["role"] for message in messages_of([{"from": name, "value": "x"} for name in names])]
    assert found == ["system", "user", "assistant", "tool", "assistant", "user"]


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        (None, "no prompt"),
        ("[{'role': 'user', 'content': '1+1?'}]", "messages are written as a text that is no JSON"),
        ("", "empty user message"),
        (" \n", "empty user message"),
        ([], "no message of a user"),
        (7, "prompt is neither text nor messages"),
        ({"role": "user", "content": "x"}, "prompt is neither text nor messages"),
        (["x"], "a message is no object"),
        ([{"role": "system", "content": "x"}], "no message of a user"),
        ([{"role": "user", "content": None}], "content is not text"),
        ([{"role": "user"}], "content is not text"),
        ([{"role": "user", "content": 5}], "content is not text"),
        ([{"role": "user", "content": ""}], "empty user message"),
        ([{"role": "user", "content": []}], "empty user message"),
        ([*ASKED, {"role": "assistant", "content": ""}], "empty assistant message"),
        (
            [{"role": "user", "content": [{"type": "image", "image": "a.png"}]}],
            "a part of a content is not text",
        ),
        (
            [{"role": "user", "content": [{"type": "image_url", "text": "x"}]}],
            "a part of a content is not text",
        ),
        ([{"role": "user", "content": [{"type": "text", "text": None}]}], "a part of a content is not text"),
        ([{"role": "narrator", "content": "x"}], "unknown role"),
        ([{"content": "x"}], "unknown role"),
        ([{"role": 3, "content": "x"}], "unknown role"),
        ([*ASKED, {"role": "assistant", "content": "x", "tool_calls": [{}]}], "a message has more than text"),
        ("\ud83d", "half of a surrogate pair, which is no character"),
    ],
)
def test_what_is_refused(prompt: Any, reason: str) -> None:
    with pytest.raises(BadRow) as bad:
        messages_of(prompt)
    assert bad.value.reason == reason


def test_a_conversation_ends_with_the_response() -> None:
    answered = [*ASKED, {"role": "assistant", "content": "2"}]
    assert split_response(answered) == (ASKED, "2")
    for conversation in (ASKED, answered[1:]):
        with pytest.raises(BadRow, match="does not end with an answer"):
            split_response(conversation)


def answered(*weights: Any) -> list[dict[str, Any]]:
    return [*ASKED, *({"role": "assistant", "content": "2", "weight": weight} for weight in weights)]


@pytest.mark.parametrize("weights", [(1,), (1.0,), (None,), (0, 1)])
def test_an_answer_of_weight_1_is_trained_and_others_before_it_are_not(weights: tuple[Any, ...]) -> None:
    assert split_response(messages_of(answered(*weights)))[1] == "2"


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        (0, "not to be trained"),
        (0.0, "not to be"),
        (False, "not to be"),
        (0.5, "has a weight"),
        ("x", "has a"),
    ],
)
def test_an_answer_of_another_weight_is_refused(weight: Any, reason: str) -> None:
    with pytest.raises(BadRow, match=f"the answer (is )?{reason}.*: message 3 has weight {weight!r}"):
        messages_of(answered(1, weight))
    with pytest.raises(BadRow, match=reason):
        answer_of(answered(weight)[1:])
