"""Answers of a server, sound ones and such as no server should give: a hypothesis strategy of bytes to send.

sound answer ─ nodes of its JSON changed ─▶ JSON ─ cut, packed, garbled ─▶ body ─ status, headers ─▶ bytes
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.support.raw_server import reply

__all__ = ["KEY", "Sent", "answers"]

KEY = "sk-qX7vZ9kLm3Wd8RtYb5Nc"
VOCABULARY = 50


@dataclass(frozen=True)
class Sent:
    """What goes over the wire, and what it says.

    Attributes:
        data: bytes of HTTP.
        value: the JSON in it; None where HTTP or the body does not hold one.
        sound: nothing was changed, so it must be read as an answer.
    """

    data: bytes
    value: Any
    sound: bool


def _ids() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, VOCABULARY - 1), max_size=5)


@st.composite
def _openai(draw: st.DrawFn) -> dict[str, Any]:
    ids = draw(_ids())
    logprobs = draw(st.sampled_from([None, {"token_logprobs": [-0.5 - token for token in ids]}]))
    reason = draw(st.sampled_from(["stop", "length"]))
    choice = {"index": 0, "text": "?", "token_ids": ids, "logprobs": logprobs, "finish_reason": reason}
    return {"id": "x", "object": "text_completion", "choices": [choice], "usage": {"prompt_tokens": 1}}


@st.composite
def _sglang(draw: st.DrawFn) -> dict[str, Any]:
    ids = draw(_ids())
    meta = {
        "output_token_logprobs": [[-0.5 - token, token, None] for token in ids],
        "finish_reason": {"type": draw(st.sampled_from(["stop", "length"])), "matched": 7},
    }
    return {"text": "?", "output_ids": ids, "meta_info": meta}


@st.composite
def _chat(draw: st.DrawFn) -> dict[str, Any]:
    message = {"role": "assistant", "content": draw(st.text(max_size=8)), "refusal": None, "tool_calls": None}
    choice = {"index": 0, "message": message, "finish_reason": draw(st.sampled_from(["stop", "length"]))}
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    return {"object": "chat.completion", "choices": [choice], "usage": usage, "error": None}


_SOUND = {"openai": _openai(), "sglang": _sglang(), "chat": _chat()}
_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, VOCABULARY, 2**31, 2**64, 10**400]),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(
        [
            *("", "error", "abort", "content_filter", "SAFETY", "network_error", "tool_calls"),
            *("\ud83d", f"Bearer {KEY}", KEY[4:16]),
        ]
    ),
    st.just({"message": f"you sent {KEY}", "code": 503}),
    st.just({"error": {"message": KEY, "code": 400}}),
    st.just({"detail": [KEY], "status": "503"}),
    st.just([]),
    st.just({}),
    st.just([[[[[{"a": [1]}]]]]]),
    st.lists(st.one_of(st.none(), st.integers(-2, 60)), max_size=3),
)
_NAMES = [
    "error",
    "errors",
    "detail",
    "finish_reason",
    "object",
    "delta",
    "choices",
    "token_ids",
    "logprobs",
    "content",
    "refusal",
    "tool_calls",
    "x",
]


def _places(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every node of a JSON value."""
    inner = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [before, *(place for name, one in inner for place in _places(one, (*before, name)))]


@st.composite
def _changed(draw: st.DrawFn, value: Any) -> Any:
    """One node of a JSON value replaced, removed, doubled, wrapped, or given a name more."""
    place = draw(st.sampled_from(_places(value)))
    if not place:
        return draw(
            st.one_of(_ODD, st.just([value]), st.just({**value} if isinstance(value, dict) else value))
        )
    whole = json.loads(json.dumps(value))
    node = whole
    for name in place[:-1]:
        node = node[name]
    name = place[-1]
    how = draw(st.sampled_from(["replace", "replace", "replace", "remove", "double", "wrap", "add"]))
    if how == "remove":
        del node[name]
    elif how == "double" and isinstance(node, list):
        node.insert(name, node[name])
    elif how == "wrap":
        node[name] = [node[name]]
    elif how == "add" and isinstance(node, dict):
        node[draw(st.sampled_from(_NAMES))] = draw(_ODD)
    else:
        node[name] = draw(_ODD)
    return whole


_BODIES = {
    "cut": lambda body: body[: len(body) // 2],
    "page": lambda body: f"<html>{KEY}</html>".encode(),
    "stream": lambda body: b"data: " + body + b"\n\ndata: [DONE]\n\n",
    "gzip": gzip.compress,
    "nest": lambda body: b"[" * 9_999,
    "UTF-16": lambda body: body.decode().encode("utf-16"),
    "Latin-1": lambda body: b"\xff\xfe" + body,
    "nothing": lambda body: b"",
}
_RETRY_AFTER = [
    "0",
    "5",
    "-5",
    "inf",
    "nan",
    "soon",
    "99999999",
    "9" * 400,
    "\xb2",
    "Fri, 31 Feb 2026 25:61:61 GMT",
]
_HEADERS = [
    *(f"Retry-After: {value}" for value in _RETRY_AFTER),
    *(
        f"Location: {value}"
        for value in ("/v2/completions", "http://h:port/", f"//u:{KEY}@h/{KEY[:9]}", "\xff", "")
    ),
    *(f"Content-Type: {value}" for value in ("text/html", "text/event-stream", "x; charset=nothing")),
    *(f"Content-Encoding: {value}" for value in ("gzip", "deflate", "br", "zstd", "gzip, gzip", "nonsense")),
    *(f"Set-Cookie: {value}" for value in ("a=b", "=", f"key={KEY}; Domain=.")),
    *(
        "Content-Length: 5",
        "Content-Length: x",
        "Transfer-Encoding: chunked",
        f"X-{KEY}: {KEY}",
        "no colon",
        ": x",
    ),
]
_STATUSES = [100, 101, 103, 199, 201, 204, 206, 301, 302, 307, 308, *range(400, 432), 451, 499]
_STATUSES += [500, 501, 502, 503, 504, 507, 520, 522, 524, 529, 530, 599, 600, 999]


@st.composite
def answers(draw: st.DrawFn, kind: str) -> Sent:
    """What a server of a kind ("openai", "sglang", "chat") answers; half of them sound or nearly so."""
    value = draw(_SOUND[kind])
    sound = value
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3]))):
        value = draw(_changed(value))
    body = json.dumps(value).encode()
    status, headers, cut = 200, [], None
    wire = draw(st.sampled_from([None, None, None, "body", "status", "header", "cut", "packed"]))
    legible = wire in (None, "packed", "header")
    if wire == "body":
        name = draw(st.sampled_from(sorted(_BODIES)))
        body, legible = _BODIES[name](body), name == "UTF-16"
    elif wire == "status":
        status = draw(st.sampled_from(_STATUSES))
        headers = draw(st.lists(st.sampled_from(_HEADERS[: len(_RETRY_AFTER) + 5]), max_size=1))
    elif wire == "header":
        headers = draw(st.lists(st.sampled_from(_HEADERS), min_size=1, max_size=2))
    elif wire == "packed":
        packed = draw(st.sampled_from([("gzip", gzip.compress), ("deflate", zlib.compress)]))
        body, headers = packed[1](body), [f"Content-Encoding: {packed[0]}"]
    data = reply(status, body, *headers)
    if wire == "cut":
        cut = draw(st.integers(0, len(data) - 1))
        data = data[:cut]
    unchanged = wire in (None, "packed") and json.dumps(value) == json.dumps(sound)  # True is no 1 there
    return Sent(data, value if legible else None, unchanged)
