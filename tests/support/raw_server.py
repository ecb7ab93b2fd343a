"""A server that sends bytes as they are given, whatever HTTP makes of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

Reply = bytes | Iterable[bytes]


class RawServer:
    """Reads each request to its end and sends `reply`, then closes the connection; a context manager.

    Attributes:
        reply: bytes, or pieces of them, sent as they come; no bytes hang up.
        requests: what was asked, head and body.
        url: the base URL.
    """

    def __init__(self, reply: Reply = b"") -> None:
        self.reply: Reply = reply
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.requests.append(_request(connection))
                for piece in [self.reply] if isinstance(self.reply, bytes) else self.reply:
                    connection.sendall(piece)
            except OSError:  # the client has gone
                return


def reply(status: int, body: bytes, *headers: str) -> bytes:
    """An answer of HTTP 1.1 with the length of its body."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def _request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        if not (piece := connection.recv(65536)):
            return received
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length and (piece := connection.recv(65536)):
        body += piece
    return head + b"\r\n\r\n" + body
