"""An OpenAI-compatible endpoint on a real socket, with a model that plays all steps of stage 1."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, str, dict[str, str]]
"""Status, the model's text (or the error's), headers."""

PROBLEM = "Problem {n}: what is (3 + 4) times (5 + 6)?"
TRACE = """<think>
We need two sums and their product.
First the left bracket of problem {n}.
3 + 4 = 7, and to be sure we count: four, five, six, seven.
So the left bracket is 7.
Similarly, the right bracket.
5 + 6 = 11, and to be sure we count: six, seven, eight, nine, ten, eleven.
So the right bracket is 11.
The product is 7 * 11 = 77.
</think>
The answer is \\boxed{{77}}."""

STRUCTURE = {
    "steps": [
        {"number": "1", "title": "plan", "first": 1, "last": 1},
        {"number": "2", "title": "left", "first": 2, "last": 4},
        {"number": "3", "title": "right", "first": 5, "last": 7},
        {"number": "4", "title": "product", "first": 8, "last": 8},
    ],
    "groups": [["2", "3"]],
}
EDITS = [{"source": "Similarly, the right bracket.", "replacement": "The right bracket."}]
OUTLINES = {"outlines": [{"number": 1, "text": "left sum"}, {"number": 2, "text": "right sum"}]}


def traces(count: int) -> list[dict[str, Any]]:
    """Records as step 1 reads them."""
    return [
        {"id": f"p{n}", "prompt": PROBLEM.format(n=n), "response": TRACE.format(n=n), "answer": "77"}
        for n in range(count)
    ]


def step_of(messages: list[dict[str, str]]) -> str:
    """Which step asks, from its first message."""
    first = messages[0]["content"]
    for name, mark in (
        ("structure", "how the reasoning is built"),
        ("verify", "Check each group"),
        ("rewrite", "leans on a sibling"),
        ("outline", "Write for each piece"),
    ):
        if mark in first:
            return name
    raise AssertionError(first[:200])


def good(step: str, messages: list[dict[str, str]]) -> Reply:
    """The honest model."""
    answers: dict[str, Any] = {
        "structure": STRUCTURE,
        "verify": {"passed": True, "reason": ""},
        "rewrite": EDITS,
        "outline": OUTLINES,
    }
    return 200, f"```json\n{json.dumps(answers[step])}\n```", {}


class Endpoint(ThreadingHTTPServer):
    """Answers with `model(step, messages)`; counts requests by (problem, step)."""

    daemon_threads = True

    def __init__(
        self, model: Callable[[str, list[dict[str, str]]], Reply] = good, delay: float = 0.0
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model, self.delay = model, delay
        self.finish = "stop"
        self.page = ""  # what to answer instead
        self.asked: Counter[tuple[str, str]] = Counter()
        self.keys: set[str] = set()
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that timed out or was killed has hung up."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        messages = body["messages"]
        step = step_of(messages)
        problem = re.search(r"[Pp]roblem (\d+)", messages[0]["content"])
        with server.lock:
            server.asked[problem[1] if problem else "?", step] += 1
            server.keys.add(self.headers.get("Authorization", ""))
        time.sleep(server.delay)
        status, text, headers = server.model(step, messages)
        message = {"role": "assistant", "content": text}
        answer = {
            "id": "x", "object": "chat.completion", "created": 0, "model": body["model"],
            "choices": [{"index": 0, "finish_reason": server.finish, "message": message}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
        }  # fmt: skip
        payload = json.dumps(answer if status == 200 else {"error": {"message": text}}).encode()
        payload = server.page.encode() or payload
        self.send_response(status)
        kind = "text/html" if server.page else "application/json"
        for name, value in {"Content-Type": kind, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *args: Any) -> None:
        """Quiet."""
