"""What comes between an engine and an answer: statuses, packing, broken connections, pauses, redirects."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import time
import zlib
from typing import Any

import pytest

from tests.support.messages import assert_message
from tests.support.raw_server import RawServer, reply
from tests.support.servers import choice
from tw_plugins.engines import http
from tw_plugins.engines.http import JSONServer
from tw_plugins.engines.server_errors import (
    BadAnswer,
    BadStatus,
    Late,
    LongWait,
    Lost,
    ServerError,
    WrongSetting,
)

GOOD = json.dumps(choice([3])).encode()
PACKED = gzip.compress(GOOD, mtime=0)  # without the time of day, which would be in the names of tests
KEY = "sk-qX7vZ9kLm3Wd8RtYb5Nc"


def ask(url: str, retries: int = 2, timeout: float = 20) -> Any:
    async def go() -> Any:
        server = JSONServer(url, "/completions", model="m", api_key=KEY, timeout=timeout, retries=retries)
        try:
            return await server.post({"prompt": [1]})
        finally:
            await server.aclose()

    return asyncio.run(go())


def fails(answer: Any, kind: type[ServerError], message: str, **options: Any) -> int:
    """How often the server was asked before it was given up with one error."""
    with RawServer(answer) as server:
        with pytest.raises(kind) as caught:
            ask(server.url, **options)
        assert_message(caught.value, message)
        assert server.url.removesuffix("/v1") in str(caught.value)
        return len(server.requests)


@pytest.mark.parametrize(
    "status", [408, 409, 421, 423, 425, 429, 500, 501, 502, 503, 504, 520, 524, 529, 530, 599]
)
def test_what_may_pass_is_asked_again(pauses: list[float], status: int) -> None:
    asked = fails(reply(status, b"slow down"), BadStatus, f"answered HTTP {status}: slow down.* again later")
    assert asked == 3 and pauses == [1, 2]


@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 405, 406, 407, 410, 413, 418, 422, 424, 451, 499]
)
def test_what_cannot_pass_is_not(pauses: list[float], status: int) -> None:
    with RawServer(reply(status, b'{"error": {"message": "no"}}')) as server:
        with pytest.raises(BadStatus, match=f"HTTP {status}"):
            ask(server.url)
        assert len(server.requests) == 1 and not pauses


@pytest.mark.parametrize("status", [201, 204, 206, 600, 999])
def test_another_status_is_no_answer(pauses: list[float], status: int) -> None:
    with RawServer(reply(status, b"")) as server, pytest.raises(BadStatus, match=f"answered HTTP {status}"):
        ask(server.url)
    assert not pauses


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        ({"code": 502}, 3), ({"code": "429"}, 3), ({"status": 503}, 3), ({"status_code": 529}, 3),
        ({"type": "overloaded_error"}, 3), ({"code": None}, 3), ({"code": "busy"}, 3),
        ({"code": 400}, 1), ({"code": "401"}, 1), ({"code": "invalid", "status": 422}, 1),
    ],
)  # fmt: skip
def test_an_error_with_200_that_may_pass_is_asked_again(pauses: list[float], error: Any, asked: int) -> None:
    body = json.dumps({"error": {"message": "upstream is busy", **error}}).encode()
    assert fails(reply(200, body), BadAnswer, r"HTTP 200 with an error \(upstream is busy\): see") == asked


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, GOOD[:20]),
        reply(200, GOOD[:-1]),
        reply(200, GOOD + GOOD),
        reply(200, b""),
        reply(200, b" \n"),
        reply(200, PACKED[:20], "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + GOOD[:30],
    ],
)
def test_an_answer_that_is_not_whole_is_asked_for_again(pauses: list[float], answer: bytes) -> None:
    assert fails(answer, BadAnswer, "did not answer with JSON") == 3


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("gzip that is none", reply(200, GOOD, "Content-Encoding: gzip"), "not packed as its header says"),
        ("deflate that is none", reply(200, GOOD, "Content-Encoding: deflate"), "not packed as its header"),
        ("gzip without a header", reply(200, PACKED), "did not answer with JSON"),
        ("zlib without a header", reply(200, zlib.compress(GOOD)), "did not answer with JSON"),
        ("a packing nobody knows", reply(200, b"\x80\x81", "Content-Encoding: x-y"), "answer with JSON"),
        ("an endless nest", reply(200, b"[" * 10_000), "did not answer with JSON"),
    ],
)
def test_a_body_that_is_not_what_it_says(pauses: list[float], name: str, answer: bytes, message: str) -> None:
    assert fails(answer, BadAnswer, message) == 1


def test_a_packed_answer_is_unpacked() -> None:
    with RawServer(reply(200, PACKED, "Content-Encoding: gzip")) as server:
        assert ask(server.url) == choice([3])


def test_a_status_is_read_where_its_body_cannot_be(pauses: list[float]) -> None:
    assert fails(reply(503, b"busy", "Content-Encoding: gzip"), BadStatus, "answered HTTP 503. Run") == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + GOOD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
    ],
)
def test_a_broken_connection_is_made_again(pauses: list[float], answer: bytes) -> None:
    assert fails(answer, Lost, "to the end .*Is the server up. See its log") == 3


def test_an_answer_that_never_ends_ends_in_time() -> None:
    """A byte now and then would keep a clock of the single pieces from running out."""

    def drips() -> Any:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"
        while True:
            time.sleep(0.05)
            yield b" "

    begun = time.monotonic()
    assert fails(drips(), Late, "did not answer in time .*raise timeout", retries=0, timeout=0.5) == 1
    assert time.monotonic() - begun < 10


def test_an_answer_that_is_too_large_is_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LARGEST", 1 << 20)
    packed = zlib.compress(b" " * (1 << 24))
    assert fails(reply(200, packed, "Content-Encoding: deflate"), BadAnswer, "over 1 MiB: see its log") == 1
    endless = itertools.chain([b"HTTP/1.1 200 OK\r\n\r\n"], itertools.repeat(b" " * 65536))
    assert fails(endless, BadAnswer, "over 1 MiB: see its log") == 1


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        ("7", 7), ("0", 0), ("1.5", 1.5), ("-3", 1), ("-inf", 1), ("nan", 1), ("soon", 1), ("", 1),
        ("\xb2", 1), ("Fri, 31 Feb 2026 25:61:61 GMT", 1), ("Mon, 01 Jan 2001 00:00:00 GMT", 0),
        ("Mon, 01 Jan 2001 00:00:00 +99999999999", 1), ("1e-400", 0),
    ],
)  # fmt: skip
def test_how_long_a_server_asks_to_wait(pauses: list[float], asked: str, pause: float) -> None:
    assert fails(reply(429, b"", f"Retry-After: {asked}"), BadStatus, "HTTP 429", retries=1) == 2
    assert pauses == [pause]


@pytest.mark.parametrize(
    "asked",
    ["601", "86400", "1e300", "inf", "9" * 400, "Fri, 31 Dec 2999 23:59:59 GMT", "31 Dec 2999 23:59:59"],
)
def test_a_server_that_asks_for_more_patience_than_there_is(pauses: list[float], asked: str) -> None:
    message = r"asks to wait \d{3,8} s \(Retry-After\), more than 600: run the same command again then"
    assert fails(reply(503, b"", f"Retry-After: {asked}"), LongWait, message) == 1 and not pauses


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("https://other.example/api/v1/completions?token=hunter2", r"\(HTTP 307\): give base_url as https://other.example/api/v1$"),
        ("/v2/completions", r"give base_url as http://127.0.0.1:\d+/v2$"),
        ("", r"sends elsewhere .HTTP 307.: give base_url as the server has it now$"),
        ("/login?token=hunter2", r"elsewhere to http://127.0.0.1:\d+/login .HTTP 307.: give base_url as the"),
    ],
)  # fmt: skip
def test_a_redirect_says_what_to_give(where: str, message: str) -> None:
    assert fails(reply(307, b"", f"Location: {where}"), BadStatus, message) == 1


def test_a_redirect_that_leads_nowhere(pauses: list[float]) -> None:
    with RawServer(reply(302, b"", "Location: http://h:port/")) as server, pytest.raises(ServerError):
        ask(server.url)


def test_an_address_that_is_not_there_says_what_to_give() -> None:
    message = (
        "has no model 'm', or is no such address .HTTP 404: no page.: .* base_url that ends in the version"
    )
    assert fails(reply(404, b'{"detail": "no page"}'), BadStatus, message) == 1


ADDRESSES = {
    "localhost:8000/v1": "is no address: http:// or https:// must stand before it",
    "localhost/v1": "is no address: http:// or https:// must stand before it",
    "": "is no address",
    "ftp://host/v1": "is no address: http:// or https://",
    "http:///v1": "is no address: it has a space, no host",
    "http://host:99999/v1": "is no address: .* a port that does not exist",
    "http://host:port/v1": "is no address: Invalid port",
    "http://ho st/v1": "is no address: it has a space",
    "http://host/v1 ": "is no address: it has a space",
    "http://host\n/v1": "is no address: Invalid non-printable",
    "http://“host”/v1": "is no address: Invalid IDNA hostname",
    "http://xn--/v1": "is no address: ",
    "http://host/v1/chat/completions": "ends in /chat/completions, .*: give http://host/v1$",
    "http://host/v1/completions/": "ends in /completions, .*: give http://host/v1$",
    "http://host/generate": "ends in /generate, .*: give http://host$",
    "http://user:hunter2@host/v1/responses?key=hunter2": "ends in /responses, .*: give http://host/v1$",
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_is_looked_at_before_anything_is_sent(url: str) -> None:
    with pytest.raises(WrongSetting) as caught:
        ask(url)
    assert_message(caught.value, ADDRESSES[url])
    assert "hunter2" not in str(caught.value)


def test_a_query_in_the_address_is_sent_and_not_shown() -> None:
    with RawServer(reply(418, b"no")) as server:
        with pytest.raises(BadStatus) as caught:
            ask(f"{server.url}/?api-version=2026-01&key=hunter22")
        assert server.requests[0].startswith(b"POST /v1/completions?api-version=2026-01&key=hunter22 ")
    assert str(caught.value).startswith(f"{server.url}/completions answered HTTP 418: no")
