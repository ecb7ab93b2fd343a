"""Tests hang on no terminal that they were started in: rich and typer read these, some at their import."""

from __future__ import annotations

import os

for name in (
    *("TERM", "COLUMNS", "LINES", "TERMINAL_WIDTH", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
    *("NO_COLOR", "FORCE_COLOR", "PY_COLORS", "COLORTERM", "GITHUB_ACTIONS"),
):
    os.environ.pop(name, None)
