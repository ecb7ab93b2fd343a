"""What the watch must have logged of a real run, by either framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def check_vital_signs(steps: Sequence[dict[str, Any]]) -> None:
    """
    Args:
        steps: metrics of a run from its first step on.
    """
    for step in steps:
        spread, still = step["threadweaver/groups_with_spread"], step["threadweaver/zero_advantage"]
        assert 0 <= spread <= 1 and 0 <= still <= 1 and (spread == 0) == (still == 1)
        gained = step["threadweaver/acc/mean"] - steps[0]["threadweaver/acc/mean"]
        assert step["threadweaver/acc_against_start"] == pytest.approx(gained, abs=1e-6)
