"""Standard output and standard error as every command has them, whatever writes there: rich, typer, the log.

A character that the terminal's encoding lacks is written as it can be read; a pipe that nobody reads any more
ends the command, without a word.
"""

from __future__ import annotations

import _thread
import codecs
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tw_plugins.errors import visible

__all__ = ["PIPE_CLOSED", "terminal"]

PIPE_CLOSED = 128 + 13
"""Exit status, as shells have it for what SIGPIPE ends."""
HANG_UP = signal.SIGURG
"""What interrupts the main thread; not SIGINT, which is ignored in a shell's background."""
LACKING = "as-it-can"
PLAIN = {
    **{"×": "x", "–": "-", "—": "-", "−": "-", "‑": "-", "’": "'", "“": '"', "”": '"', "·": "|", "─": "-"},
    **{"•": "*", "…": "...", "█": "#", "━": "-", "✓": "+", "✗": "x", "→": "->", "←": "<-", "↔": "<->"},
    **{"≥": ">=", "≤": "<=", "±": "+-", "§": "section ", "η": "eta", "ρ": "rho", "Δ": "delta"},
}  # fmt: skip


def _as_it_can(error: UnicodeError) -> tuple[str, int]:
    """What our own texts have has a plain form; any other character is escaped."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    escaped = (PLAIN.get(one) or one.encode("ascii", "backslashreplace").decode() for one in lacking)
    return "".join(escaped), error.end


codecs.register_error(LACKING, _as_it_can)


class _Stream(io.TextIOWrapper):
    """One of the two.

    Raises:
        SystemExit: the other end of a pipe is closed. In a thread, which cannot end a command, the main
            thread is interrupted as by Ctrl-C.
        OSError: with the stream as its name, e.g. of a file on a full disk.
    """

    hung_up = False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As it is shown, never ASCII: for that typer would take a stream of its own, which writes UTF-8 and
        knows nothing of the above. Whoever asks wants to know whether it is UTF-8."""
        name = super().encoding
        return "latin-1" if codecs.lookup(name).name == "ascii" else name

    def write(self, text: str) -> int:
        with self._ending():
            return super().write(text)

    def flush(self) -> None:
        with self._ending():
            super().flush()

    @contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())  # what is buffered has to go somewhere
            if not isinstance(error, BrokenPipeError):
                error.filename = "standard output"
                raise
            self.hung_up = True
            if threading.current_thread() is not threading.main_thread():
                _thread.interrupt_main(HANG_UP)
            raise SystemExit(PIPE_CLOSED) from error


class _Visible(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


@contextmanager
def terminal() -> Iterator[None]:
    """Both streams for as long as a command runs.

    Raises:
        SystemExit: `PIPE_CLOSED`, whatever the command made of the interruption.
    """
    if logging.lastResort:  # where warnings go in a program that has set nothing up
        logging.lastResort.setFormatter(_Visible())
    before = sys.stdout, sys.stderr
    made = [_wrapped(stream) for stream in before]
    sys.stdout, sys.stderr = made
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(HANG_UP, signal.default_int_handler) if in_main else None
    try:
        yield
        for stream in filter(None, made):  # a process may have been started without one
            stream.flush()
    except (SystemExit, KeyboardInterrupt):
        if any(isinstance(stream, _Stream) and stream.hung_up for stream in made):
            raise SystemExit(PIPE_CLOSED) from None
        raise
    finally:
        sys.stdout, sys.stderr = before
        if in_main:
            signal.signal(HANG_UP, handler)
        for stream in made:
            if isinstance(stream, _Stream):
                stream.detach()


def _wrapped(stream: Any) -> Any:
    """Anything that is no stream of bytes below, as in a notebook, stays what it is."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    return _Stream(
        stream.buffer, _encoding(stream), errors=LACKING, line_buffering=stream.line_buffering, newline=""
    )


def _encoding(stream: io.TextIOWrapper) -> str:
    """Python takes LC_ALL=C for UTF-8, which who sets it has no use for."""
    asked = "PYTHONIOENCODING" in os.environ or "PYTHONUTF8" in os.environ
    plain = os.environ.get("LC_ALL") in ("C", "POSIX") and not asked
    return "ascii" if plain and stream in (sys.__stdout__, sys.__stderr__) else stream.encoding
