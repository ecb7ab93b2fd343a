"""What every message to a user must be: short, about the right thing, and with what to do."""

from __future__ import annotations

import re

MOST_LINES, MOST_CHARACTERS = 3, 400
_INSTRUCTION = re.compile(
    r"\b(set|use|give|add|lower|raise|choose|install|check|needs?|leave|run|evaluate|write|resize|enlarge|"
    r"start|remove|mend|must|see|at most|the settings are|threadweaver data add-tokens)\b",
    re.IGNORECASE,
)


def assert_message(error: BaseException | str, pattern: str) -> None:
    """The message matches ``pattern``, has at most three lines, and every line tells what to do."""
    message = str(error)
    lines = message.splitlines()
    assert re.search(pattern, message, re.DOTALL), message
    assert 1 <= len(lines) <= MOST_LINES and max(map(len, lines)) < MOST_CHARACTERS, message
    assert all(_INSTRUCTION.search(line) for line in lines), f"it does not say what to do: {message}"
