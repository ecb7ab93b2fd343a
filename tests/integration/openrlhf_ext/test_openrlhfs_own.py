"""OpenRLHF's own tests pass with everything of ours in place: its wheel has them."""

from __future__ import annotations

from openrlhf_ext.launcher import CPU_ENVIRONMENT
from tests.support.own_tests import passed


def test_they_pass() -> None:
    hooked = "from openrlhf_ext import hooks; hooks.install()"
    assert passed("openrlhf", r"(.*/)?tests/test_[^/]+\.py", hooked, **CPU_ENVIRONMENT) > 200
