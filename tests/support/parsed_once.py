"""A command line is built once for all tests: typer makes the parsers of every command anew each time that
one is invoked, a tenth of a second, and tests do that a thousand times."""

from __future__ import annotations

from functools import cache

import typer.testing

typer.testing._get_command = cache(typer.testing._get_command)
