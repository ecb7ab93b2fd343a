"""A server of the standard library in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer
from typing import TypeVar

__all__ = ["listening"]

S = TypeVar("S", bound=BaseServer)
LOOK_S = 0.01  # whether to end: twice a second, as the library has it, are seconds in a file of tests


@contextmanager
def listening(server: S) -> Iterator[S]:
    """Answers until the block ends."""
    threading.Thread(target=server.serve_forever, args=(LOOK_S,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
