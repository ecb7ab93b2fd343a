"""OpenRLHF's own tests pass with everything of ours in place: its wheel has them."""

from __future__ import annotations

from openrlhf_ext.cpu.port import ENVIRONMENT
from tests.support.own_tests import passed


def test_they_pass() -> None:
    hooked = "from openrlhf_ext import hooks; hooks.install()"
    assert passed("openrlhf", r"(.*/)?tests/test_[^/]+\.py", hooked, **ENVIRONMENT) > 200
