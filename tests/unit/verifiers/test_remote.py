"""A reward server as OpenRLHF's `--reward.remote_url` has it, and its file of a `reward_func`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.listening import listening
from tw_plugins import verifiers
from tw_plugins.evaluation.settings import EvalSettings
from tw_plugins.verifiers import (
    Task,
    VerifierError,
    VerifierSettings,
    check_verifier,
    names,
    pool,
    remote,
    verify,
)

TASK = Task("2+2?", "</think>4<|im_end|>", "4", {"templated_prompt": "<|user|>2+2?"})


class Server(ThreadingHTTPServer):
    """Answers each request with the next of its bodies, the last one for ever."""

    def __init__(self, *bodies: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies, self.seen = list(bodies), []
        self.url = f"http://127.0.0.1:{self.server_port}/get_reward"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.server.seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        bodies = self.server.bodies
        body = bodies.pop(0) if len(bodies) > 1 else bodies[0]
        self.send_response(body if isinstance(body, int) else 200)
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(remote, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(pool, "_pools", {})
    monkeypatch.setattr(verifiers, "_outcomes", verifiers._Outcomes())
    yield
    for one in pool._pools.values():
        one.close()


def ask(*bodies: Any, seconds: float = 20) -> Any:
    with listening(Server(*bodies)) as server:
        return verify(TASK, VerifierSettings(verifier=server.url, verifier_timeout_s=seconds)), server.seen


@pytest.mark.parametrize("rewards", [0.5, [0.5]])
def test_a_server_is_asked_as_upstream_asks(rewards: Any) -> None:
    verdict, seen = ask({"rewards": rewards, "scores": [1.0], "extra_logs": {}})
    assert (verdict.score, verdict.failed) == (0.5, None)
    assert seen == [
        {"query": ["<|user|>2+2?</think>4<|im_end|>"], "prompts": ["<|user|>2+2?"], "labels": ["4"]}
    ]


def test_a_server_that_fails_is_asked_again() -> None:
    verdict, seen = ask(500, b"no JSON", {"rewards": [1]})
    assert verdict.score == 1 and len(seen) == 3


@pytest.mark.parametrize(("body", "why"), [(503, "503"), ({"scores": [1]}, "without"), ([], "without")])
def test_one_that_never_answers_is_a_counted_failure(body: Any, why: str) -> None:
    verdict, seen = ask(body)
    assert verdict.score == 0 and why in verdict.failed and len(seen) == remote.TRIES


def test_a_reward_out_of_range_is_named() -> None:
    with pytest.raises(VerifierError, match=r"returned -3\.5: a score is"):
        ask({"rewards": [-3.5]})


def test_of_several_servers_one_that_works_is_found() -> None:
    with listening(Server({"rewards": [1]})) as server:
        verdict = verify(TASK, VerifierSettings(verifier=f"http://127.0.0.1:9/x,{server.url}"))
    assert verdict.score == 1


def test_a_file_of_upstreams_form(tmp_path: Path) -> None:
    (tmp_path / "reward.py").write_text(
        "def reward_func(queries, prompts, labels):\n"
        "    whole = queries == ['<|user|>2+2?</think>4'] and prompts == ['<|user|>2+2?']\n"
        "    return {'rewards': [0.5 * whole + 0.25 * (labels == ['4'])], 'scores': [1.0]}\n"
    )
    settings = VerifierSettings(verifier=f"{tmp_path / 'reward.py'}:reward_func")
    check_verifier(settings)
    assert verify(TASK, settings).score == 0.75


@pytest.mark.parametrize("given", ["u:s3cretpassword@", "u:s3cret%2Fpassword@"])
@pytest.mark.parametrize("body", [503, b"u s3cretpassword dTpzM2NyZXRwYXNzd29yZA==", {"rewards": [7]}])
def test_a_password_in_the_address_is_shown_nowhere(
    given: str, body: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(Server(body)) as server:
        url = server.url.replace("//", f"//{given}") + "?token=s3cretpassword"
        try:
            shown = verify(TASK, VerifierSettings(verifier=url)).failed or ""
        except VerifierError as error:
            shown = str(error)
    assert server.url.partition("//")[2].split("/")[0] in shown
    for text in (shown, caplog.text):
        assert not any(part in text for part in ("s3cret", "password", "dTpzM2"))


@pytest.mark.parametrize(
    ("verifier", "said"),
    [
        ("math", "math"),
        ("a/b@c.py:verify", "a/b@c.py:verify"),
        ("http://u:p@h:1/x?k=v, https://i/y", "http://h:1/x, https://i/y"),
        ("http://u:p/w@h/x", "http://h/x"),
        ("http://u:p,w@h/x", "http://h/x"),
    ],
)
def test_a_verifier_as_it_is_shown(verifier: str, said: str) -> None:
    assert names.shown(verifier) == said


def test_what_is_kept_of_an_evaluation_has_no_password() -> None:
    assert EvalSettings(verifier="http://u:p@h/x?k=v").sampling()["verifier"] == "http://h/x"
