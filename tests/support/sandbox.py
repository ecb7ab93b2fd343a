"""Tests that run programs need bubblewrap: skipped without, which `make test` says at its end."""

from __future__ import annotations

import pytest

from tw_plugins.verifiers.code import sandbox

PROBLEM = sandbox.problem()
REASON = f"NO SANDBOX, programs were not run: {PROBLEM}"
needs_sandbox = pytest.mark.skipif(PROBLEM is not None, reason=REASON)

if __name__ == "__main__" and PROBLEM:
    print(f"make test: {REASON}")
