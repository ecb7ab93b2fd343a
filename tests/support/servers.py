"""A little HTTP server that answers as it is told, and keeps what it was asked."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG_UP = 0  # as a status: the connection is closed without an answer
BREAK_OFF = 1  # as a status: 200, and the connection is closed in the middle of the answer


class Server(ThreadingHTTPServer):
    """Answers every POST with ``answer(body)``, a (status, JSON or text) pair, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: Any = lambda body: (200, choice([1, 2]))
        self.headers: dict[str, str] = {}
        self.seen: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that timed out has hung up: no traceback for that."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.seen.append((self.path, dict(self.headers), body))
        status, content = server.answer(body)
        if status == HANG_UP:
            self.close_connection = True
            return
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(200 if status == BREAK_OFF else status)
        for name, value in server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) * (2 if status == BREAK_OFF else 1)))
        self.end_headers()
        self.close_connection = status == BREAK_OFF
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Silence."""


def choice(ids: list[int] | None, reason: str | None = "stop", **others: Any) -> dict[str, Any]:
    return {"choices": [{"text": "?", "token_ids": ids, "finish_reason": reason, **others}]}
