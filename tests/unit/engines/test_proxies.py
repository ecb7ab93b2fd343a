"""Variables of the environment that the client cannot take: one line names the variable, nothing is sent."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.listening import listening
from tests.support.messages import assert_message
from tests.support.raw_server import RawServer, reply
from tests.support.stage1_runs import shown, stage1
from tests.support.stage1_server import Endpoint
from tw_plugins.engines.http import JSONServer
from tw_plugins.engines.server_errors import BadStatus, ServerError, Unreachable, WrongSetting

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method", "sslkeylogfile")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower() in PROXIES]:
        monkeypatch.delenv(name)


def ask(url: str) -> Any:
    async def go() -> Any:
        server = JSONServer(url, "/completions", model="m", api_key=None, timeout=5, retries=0)
        try:
            return await server.post({})
        finally:
            await server.aclose()

    return asyncio.run(go())


NO_SOCKS = pytest.mark.skipif(importlib.util.find_spec("socksio") is not None, reason="SOCKS is installed")
WRONG = [
    pytest.param(
        "ALL_PROXY", "socks5://hunter22:1080", "SOCKS needs a package .*pip install", marks=NO_SOCKS
    ),
    pytest.param("https_proxy", "socks5h://u:hunter22@h:1080", "SOCKS needs a package", marks=NO_SOCKS),
    ("HTTP_PROXY", "socks4://hunter22:1080", "is no proxy that can be used: it is no address, or its scheme"),
    ("http_proxy", "://hunter22:3128", "is no proxy that can be used"),
    ("HTTP_PROXY", "htp://u:hunter22@h", "is no proxy that can be used"),
    ("HTTPS_PROXY", "http://u:hunter22@h:port", "is no proxy that can be used"),
    ("HTTP_PROXY", "http://u:hunter22@", "is no proxy that can be used: it names no host"),
    ("ALL_PROXY", "//u:hunter22@h:3128", "is no proxy that can be used: it names no host"),
    ("HTTP_PROXY", "http://h\n", "is no proxy that can be used"),
    (
        "NO_PROXY",
        "localhost,fd00::/8",
        "has an entry that cannot be read as a host, 'fd00::/8': leave it out",
    ),
    ("no_proxy", "[::1]", r"an entry that cannot be read as a host, '\[::1\]': leave it out"),
    ("NO_PROXY", "::1/128", "an entry that cannot be read as a host, '::1/128': leave it out"),
    ("SSLKEYLOGFILE", "/nowhere/hunter22.log", "names no file that can be written .FileNotFoundError.: set"),
    ("NO_PROXY", "“localhost”", "an entry that cannot be read as a host, '“localhost”': leave it out"),
    (
        "SSL_CERT_FILE",
        "/nowhere/hunter22.pem",
        "names no certificates that can be read .FileNotFoundError.: set",
    ),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_a_variable_that_cannot_be_taken_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with RawServer() as server:
        with pytest.raises(WrongSetting) as caught:
            ask(server.url)
        assert not server.requests
    assert_message(caught.value, f"^{name} .*{message}")
    assert "hunter22" not in str(caught.value)


def test_hosts_without_commas_between_them_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "10.0.0.1 127.0.0.1")
    with RawServer() as server, pytest.raises(WrongSetting) as caught:
        ask(server.url)
    assert_message(caught.value, "NO_PROXY has an entry that cannot be read as a host, '10.0.0.1 127.0.0.1'")


@pytest.mark.parametrize("proxy", ["http://user:hunter-Gf4%40Jp6s", "http://hunter-Gf4Jp6s"])
def test_a_proxy_that_repeats_what_it_was_sent(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """Not even as it was sent: base64 hides nothing."""

    def echoes() -> Iterator[bytes]:
        lines = server.requests[-1].split(b"\r\n")
        sent = next(line for line in lines if line.lower().startswith(b"proxy-authorization")).split()[-1]
        yield reply(418, sent + b" " + b64decode(sent))

    with RawServer() as server:
        server.reply = Later(echoes)
        monkeypatch.setenv("HTTP_PROXY", f"{proxy}@{server.url.removeprefix('http://').removesuffix('/v1')}")
        with pytest.raises(BadStatus) as caught:
            ask("http://10.0.0.1/v1")
    sent = server.requests[-1].partition(b"Basic ")[2].split()[0].decode()
    parts = {sent[start : start + 6] for start in range(len(sent) - 5)}
    assert "***" in str(caught.value) and not [part for part in parts if part in str(caught.value)]
    assert "Gf4" not in str(caught.value)


class Later:
    """Pieces that are made when they are sent."""

    def __init__(self, make: Callable[[], Iterator[bytes]]) -> None:
        self.make = make

    def __iter__(self) -> Iterator[bytes]:
        return self.make()


@pytest.mark.parametrize(("name", "value", "message"), WRONG[2:4] + WRONG[9:10])
def test_stage_1_names_it_too(tmp_path: Path, monkeypatch: Any, name: str, value: str, message: str) -> None:
    monkeypatch.setenv(name, value)
    with listening(Endpoint()) as endpoint:
        result = stage1(tmp_path, endpoint)
        assert result.exit_code == 2 and not endpoint.asked
    assert_message(shown(result).partition("error: ")[2], f"^{name} .*{message}")


def test_a_network_that_would_be_passed_over_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.com, 127.0.0.0/8")
    with RawServer(reply(418, b"")) as server:
        with pytest.raises(WrongSetting) as caught:
            ask(server.url)
        assert_message(
            caught.value, "NO_PROXY has the network 127.0.0.0/8, .* for 127.0.0.1: add 127.0.0.1 itself"
        )
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8,127.0.0.1")
        with pytest.raises(BadStatus, match="HTTP 418"):
            ask(server.url)


@pytest.mark.parametrize(
    "value", ["localhost,127.0.0.1", "::1", "10.0.0.0/8", "*", ".example.com", "", " , "]
)
def test_what_the_client_takes_is_left_alone(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("NO_PROXY", value)
    with RawServer(reply(418, b"")) as server, pytest.raises(BadStatus, match="HTTP 418"):
        ask(server.url)


def test_a_proxy_without_a_scheme_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(reply(407, b"")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removeprefix("http://").removesuffix("/v1"))
        with pytest.raises(BadStatus, match=r"the proxy before http://.*/completions wants a name"):
            ask("http://10.0.0.1/v1")
        assert proxy.requests[0].startswith(b"POST http://10.0.0.1/v1/completions ")


def test_small_letters_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "htp://wrong")
    monkeypatch.setenv("http_proxy", "")
    with RawServer(reply(418, b"")) as server, pytest.raises(BadStatus, match="HTTP 418"):
        ask(server.url)


@pytest.mark.parametrize("value", ["http://u:hunter22@127.0.0.1:9", "http//127.0.0.1:9"])
def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("http_proxy", value)
    with pytest.raises(ServerError) as caught:
        ask("http://10.0.0.1/v1")
    assert isinstance(caught.value, Unreachable)
    assert_message(caught.value, "cannot reach http://10.0.0.1/v1/completions .*the proxy in http_proxy")
    assert "hunter22" not in str(caught.value)
