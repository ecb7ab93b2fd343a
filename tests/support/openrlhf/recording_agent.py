"""Our executor, which also notes the prompt of every trajectory; for `--train.agent_func_path`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from openrlhf_ext import agent

PROMPTS_FILE = "TW_TEST_PROMPTS_FILE"


class AgentExecutor(agent.AgentExecutor):
    async def execute(self, prompt: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        trajectory = await super().execute(prompt, *args, **kwargs)
        with Path(os.environ[PROMPTS_FILE]).open("a") as file:
            file.write(json.dumps(prompt) + "\n")
        return trajectory
