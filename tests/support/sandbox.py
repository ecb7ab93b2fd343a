"""Tests that run programs need bubblewrap, and say so where they are skipped."""

from __future__ import annotations

import pytest

from tw_plugins.verifiers.code import sandbox

PROBLEM = sandbox.problem()
needs_sandbox = pytest.mark.skipif(PROBLEM is not None, reason=f"NO SANDBOX, programs are not run: {PROBLEM}")
