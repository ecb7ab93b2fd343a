r"""How rows become prompts, declared once for both frameworks."""

from __future__ import annotations

from dataclasses import dataclass

from tw_plugins.settings import Settings, setting

__all__ = ["FOLLOWS", "INSTRUCTION", "PromptSettings"]

INSTRUCTION = "Let's think step by step and output the final answer within \\boxed{}."
FOLLOWS = "follows a problem (`problem`, `question` and the like); a `prompt` or a chat is asked as it is"
"""Help of the setting, which evaluation has too."""


@dataclass(frozen=True)
class PromptSettings(Settings):
    """How rows become prompts of RL."""

    instruction: str = setting(INSTRUCTION, FOLLOWS)
    strict: bool = setting(
        False, "stop at the first row that cannot be used instead of counting and leaving it out"
    )
