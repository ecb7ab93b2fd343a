"""No command shows a key or a password, in what it prints or writes, whatever a server does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.servers import Server, choice
from tests.support.stage1_runs import write
from tests.support.stage1_server import traces
from tw_plugins.cli.app import app
from tw_plugins.engines import http

KEY = "sk-qX7vZ9kLm3Wd8RtYb5Nc"
PASSWORD = "hunter-Gf4%40Jp6s"  # "%40" is meant as "@"

Command = Callable[[str, Path, Path, Path], list[str]]
COMMANDS: dict[str, Command] = {
    "stage 1": lambda url, model, data, out: [
        *("data", "stage1", str(write(data.with_name("traces.jsonl"), traces(1))), "--model", "m"),
        *("--out", str(out), "--base-url", url, "--retries", "1"),
    ],
    "eval run": lambda url, model, data, out: [
        *("eval", "run", "--model", str(model), "--data", str(data), "--out", str(out)),
        *("--base-url", url, "--mode", "parallel"),
    ],
    "rollout": lambda url, model, data, out: [
        *("rollout", "--model", str(model), "--prompt", "hi", "--base-url", url),
    ],
    "selftrain": lambda url, model, data, out: [
        *("data", "selftrain", "--model", str(model), "--prompts", str(prompts(data))),
        *("--out", str(out), "--base-url", url),
    ],
}


def prompts(data: Path) -> Path:
    """The same problems as RL reads them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [json.loads(line) for line in data.read_text().splitlines()]
    columns = {
        "prompt": [[{"role": "user", "content": row["problem"]}] for row in rows],
        "reward_model": [{"ground_truth": row["answer"]} for row in rows],
    }
    path = data.with_suffix(".parquet")
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(seconds: float) -> None:
        """Made at once."""

    monkeypatch.setattr(http.asyncio, "sleep", sleep)


def everything(command: str, url: str, model: Path, data: Path, folder: Path) -> tuple[int, str]:
    """Exit status, and all that a command printed and wrote."""
    out = folder / "out"
    result = CliRunner().invoke(app, COMMANDS[command](url, model, data, out))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    files = [path for path in out.rglob("*") if path.is_file()] if out.exists() else []
    return result.exit_code, result.output + "".join(path.read_text(errors="replace") for path in files)


def assert_hidden(text: str, *secrets: str) -> None:
    """Not even six characters in a row."""
    for secret in secrets:
        parts = {secret[start : start + 6] for start in range(len(secret) - 5)}
        assert not [part for part in parts if part.lower() in text.lower()]


UNSENDABLE = {
    "a line end": (f"{KEY}\n", "a line end at character 24 of 24"),
    "a carriage return": (f"{KEY}\r\n", "a line end at character 24 of 25"),
    "curly quotes": (f"“{KEY}”", "a quotation mark at character 1"),
    "a shell's quotes": (f'"{KEY}"', "a quotation mark at character 1"),
    "a space inside": (f"Bearer {KEY}", "a space or a tab at character 7"),
    "another alphabet": (f"{KEY[:9]}ключ{KEY[9:]}", "a letter outside ASCII at character 10"),
    "an escape": (f"{KEY}\x1b[0m", "a control character at character 24"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", UNSENDABLE)
def test_a_key_that_cannot_be_sent_is_never_shown_nor_sent(
    server: Server, model: Path, data: Path, tmp_path: Path, monkeypatch: Any, command: str, name: str
) -> None:
    key, message = UNSENDABLE[name]
    monkeypatch.setenv("OPENAI_API_KEY", key)
    status, text = everything(command, server.url, model, data, tmp_path)
    assert status == 2 and f"the key in OPENAI_API_KEY has {message}" in " ".join(text.split())
    assert not server.seen
    assert_hidden(text, KEY)


def echoes(headers: dict[str, str], path: str) -> dict[str, tuple[int, Any]]:
    """What a server may answer that repeats what it was sent."""
    sent = f"{headers.get('Authorization')} {path}"
    return {
        "wrong key": (401, {"error": {"message": f"Incorrect API key provided: {sent}"}}),
        "bad request": (400, {"error": {"message": f"cannot read {sent.upper()}"}}),
        "broken": (500, f"<html>{sent}</html>"),
        "elsewhere": (404, {"detail": {"headers": [sent]}}),
        "an error with 200": (200, {"error": {"message": sent}}),
        "a page": (200, f"<html>{'x' * 170}{sent}</html>"),
        "a list": (200, [sent]),
        "no choice": (200, {"choices": [], "debug": sent}),
        "no ids": (200, choice(sent)),  # type: ignore[arg-type]
        "a refusal": (200, {"choices": [{"message": {"content": None, "refusal": sent}}]}),
        "an answer": (200, {"choices": [{"message": {"content": sent}}]}),
    }


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", echoes({}, ""))
def test_a_server_that_repeats_what_it_was_sent(
    server: Server, model: Path, data: Path, tmp_path: Path, monkeypatch: Any, command: str, name: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        path, headers, _ = server.seen[-1]
        assert headers["Authorization"] == f"Bearer {KEY}" and PASSWORD in path
        return echoes(headers, path)[name]

    server.answer = answer
    status, text = everything(command, f"{server.url}?api_key={PASSWORD}", model, data, tmp_path)
    assert status != 0 and server.seen
    assert_hidden(text, KEY, PASSWORD, PASSWORD.replace("%40", "@"))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_password_in_the_address(
    server: Server, model: Path, data: Path, tmp_path: Path, monkeypatch: Any, command: str
) -> None:
    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        sent = server.seen[-1][1]["Authorization"]
        assert sent.startswith("Basic ")
        return 418, {"error": {"message": f"{sent} {PASSWORD}"}}

    server.answer = answer
    url = server.url.replace("http://", f"http://user:{PASSWORD}@")
    status, text = everything(command, url, model, data, tmp_path)
    assert status != 0
    assert_hidden(text, PASSWORD, PASSWORD.replace("%40", "@"), server.seen[-1][1]["Authorization"][6:])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "url",
    [
        f"user:{PASSWORD}@localhost:8000/v1",
        f"http://user:{PASSWORD}/x@localhost/v1",
        f"http://localhost:{PASSWORD}/v1?x@",
        f"ftp://localhost/v1?api_key={PASSWORD}",
        f"http://user:{PASSWORD}@localhost/v1/completions?api_key={KEY}",
    ],
)
def test_an_address_that_is_none(model: Path, data: Path, tmp_path: Path, command: str, url: str) -> None:
    status, text = everything(command, url, model, data, tmp_path)
    assert status == 2 and "base_url" in text
    assert_hidden(text, PASSWORD, KEY)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_proxy_with_a_password(
    model: Path, data: Path, tmp_path: Path, monkeypatch: Any, command: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HTTP_PROXY", f"http://user:{PASSWORD}@127.0.0.1:9")
    for name in ("http_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    status, text = everything(command, "http://10.0.0.1/v1", model, data, tmp_path)
    assert status == 2 and "cannot reach http://10.0.0.1/v1/" in text and "HTTP_PROXY" in text
    assert_hidden(text, PASSWORD, KEY)
