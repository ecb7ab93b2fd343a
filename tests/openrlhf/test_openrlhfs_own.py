"""OpenRLHF's own tests pass with everything of ours in place: its wheel has them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import files

import pytest

from openrlhf_ext.launcher import CPU_ENVIRONMENT

PYTEST = """
import sys, pytest
from openrlhf_ext import hooks
hooks.install()
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_they_pass() -> None:
    paths = [str(path.locate()) for path in files("openrlhf") or () if path.match("tests/test_*.py")]
    if not paths:
        pytest.skip("this OpenRLHF ships no tests")
    options = ["-q", "-c", os.devnull, "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-c", PYTEST, *sorted(paths), *options],
        env={**os.environ, **CPU_ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) > 200
