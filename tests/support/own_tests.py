"""Runs the tests that a framework's wheel ships, in a process of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest

TIME_LIMIT_S = 280


def passed(package: str, pattern: str, setup: str, *options: str, **environment: Any) -> int:
    """How many of the package's test files that match `pattern` pass; fails when any does not.

    Args:
        setup: Python that puts our pieces in place (or checks that they are), run before pytest.
        options: of pytest.
    """
    found = (str(path.locate()) for path in files(package) or () if re.fullmatch(pattern, path.as_posix()))
    paths = sorted(map(os.path.abspath, found))
    if not paths:
        pytest.skip(f"this {package} ships no tests")
    program = f"import sys, pytest\n{setup}\nsys.exit(pytest.main(sys.argv[1:]))"
    root = f"--rootdir={Path(os.path.commonpath([*paths, os.path.dirname(paths[0])]))}"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            program,
            *paths,
            "-q",
            "-c",
            os.devnull,
            "-p",
            "no:cacheprovider",
            root,
            *options,
        ],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    count = re.search(r"(\d+) passed", done.stdout)
    assert count is not None, done.stdout[-1000:]
    return int(count[1])
