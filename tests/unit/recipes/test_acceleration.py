"""The comparison of bonuses: RL once with each, from one SFT, evaluated by sampling."""

from __future__ import annotations

from pathlib import Path

import pytest

from recipes.quickstart.acceleration import BONUSES, planned_with
from recipes.quickstart.settings import settings_of


@pytest.mark.parametrize("framework", ["verl", "openrlhf"])
def test_only_the_bonus_differs(framework: str) -> None:
    plan = planned_with(framework, Path("/run"), 1, False)
    assert [stage.name for stage in plan.stages] == ["sft", "rl", "eval"]
    assert list(plan.models) == ["SFT", *BONUSES]
    commands = [job.command for job in plan.stages[1].rounds[0]]
    plain = [
        [word.replace(f"rl/{bonus}/", "rl/").replace(f"rl/{bonus}", "rl") for word in command]
        for bonus, command in zip(BONUSES, commands, strict=True)
    ]
    differing = {tuple(pair) for pair in zip(*plain, strict=True) if len(set(pair)) > 1}
    assert len(differing) == 1 and all(bonus in word for bonus, word in zip(BONUSES, *differing, strict=True))
    for job in plan.stages[2].rounds[0]:
        temperature = job.command[list(job.command).index("--temperature") + 1]
        assert float(temperature) == settings_of().rl_temperature
