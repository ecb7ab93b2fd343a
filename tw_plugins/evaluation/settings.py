"""The settings of an evaluation, and of every command that decodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tw_plugins.datasets.settings import FOLLOWS, INSTRUCTION
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.rollout.limits import Budget, budget
from tw_plugins.settings import declared, setting
from tw_plugins.verifiers.names import shown
from tw_plugins.verifiers.settings import VerifierSettings

_NOT_SAMPLING = ("samples", "concurrency", "wall_clock_problems", "verifier_timeout_s")
_LATER = ("chat_template", "prompt_key", "answer_key", *declared(VerifierSettings))


@dataclass(frozen=True)
class EvalSettings(VerifierSettings, Budget):
    """How to ask and decode.

    `engine_args` are further fields of vLLM's ``AsyncEngineArgs``; they win over ours.

    Raises:
        SettingsError: a value of another type than its field's, or out of range.
        EvaluationError: several samples that are all the same.
    """

    max_tokens: int = budget(40_000, "response length; cut to what the model's context leaves", least=1)
    instruction: str = setting(INSTRUCTION, FOLLOWS)
    chat_template: str | None = setting(
        None, "a file, or chatml, for a model without one; the tokenizer's own when not given"
    )
    prompt_key: str | None = setting(None, "column of the prompts; the first usual name when not given")
    answer_key: str | None = setting(
        None, "column of the reference answers; the first usual name when not given"
    )
    temperature: float = setting(0.0, "0 is greedy", least=0)
    top_p: float = setting(1.0, "nucleus; 1 takes all", least=0, most=1)
    concurrency: int = setting(64, "trajectories decoded at a time, where no clock is read", least=1)
    wall_clock_problems: int = setting(
        0, "decomposable problems decoded one at a time, to read the clock", least=0
    )
    samples: int = setting(1, "trajectories per problem, k of avg@k; only the first is ever timed", least=1)
    seed: int = setting(0, "of vLLM in this process")
    engine_args: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples > 1 and self.temperature == 0:
            raise EvaluationError(
                f"{self.samples} samples at temperature 0 are all the same: raise --temperature"
            )

    def sampling(self) -> dict[str, Any]:
        """What changes a sample; the rest may change between two runs that share their samples."""
        own = {**asdict(self), "engine_args": dict(self.engine_args), "verifier": shown(self.verifier)}
        # What has its default is left out, as in runs that were begun before there were such settings.
        unset = {name for name in _LATER if own[name] == declared(EvalSettings)[name].default}
        return {name: value for name, value in own.items() if name not in (*_NOT_SAMPLING, *unset)}


DEFAULTS = EvalSettings()
