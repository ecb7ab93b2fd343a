"""Upstream's arguments before upstream parses them: in its words, and refused in the user's.

Upstream's own asserts (`cli/train_ppo_ray.py`, its `__main__` block) run before any hook of ours and name
what the user never typed.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from math import prod
from pathlib import Path

from openrlhf_ext.settings import SettingsError
from tw_plugins.verifiers.names import MATH, from_anywhere, shown

logger = logging.getLogger(__name__)

ESTIMATOR, UPSTREAM_ESTIMATOR = "p_grpo", "dr_grpo"
"""P-GRPO's advantage is upstream's `dr_grpo`, reward − group mean, no whitening (`experience_maker.py`)."""
ESTIMATOR_FLAG, SAMPLES_FLAG = "--algo.advantage.estimator", "--rollout.n_samples_per_prompt"
EQ_4 = {ESTIMATOR_FLAG: ESTIMATOR, "--actor.loss_agg_mode": "token-mean", "--algo.kl.init_coef": "0"}
AGENT_FLAG = "--train.agent_func_path"
REMOTE_FLAG = "--reward.remote_url"
PRESET_FLAG, ATTENTION_FLAG = "--tw.preset", "--ds.attn_implementation"
PRESET_HELP = (
    "upstream's flags as ThreadWeaver wants them, where they are not given: attention that takes a mask; in "
    "RL P-GRPO by Eq. 4, that is p_grpo, the mean over tokens, no KL, one update per step"
)
GROUP_ESTIMATORS = ("rloo", "reinforce_baseline", "group_norm", UPSTREAM_ESTIMATOR)


def given(arguments: list[str], flags: Mapping[str, str | None]) -> list[str | None]:
    """The values of some flags, of one given twice the last, as upstream takes it.

    Args:
        flags: flag → what it is when it is not given.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for number, (flag, default) in enumerate(flags.items()):
        parser.add_argument(flag, dest=str(number), nargs="?", default=default)
    known, _ = parser.parse_known_args(arguments)
    return list(vars(known).values())


def preset(arguments: list[str], attention: str, rl: bool) -> list[str]:
    """What `--tw.preset` stands for, to be put before the user's own arguments; verl's `+threadweaver=rl`.

    Args:
        attention: the implementation for trie rows.
        rl: of `train_ppo_ray`, else of `train_sft`.
    """
    flags = {ATTENTION_FLAG: attention}
    if rl:
        flags |= EQ_4
        rows = given(arguments, {"--rollout.batch_size": "1024", SAMPLES_FLAG: "1"})  # upstream's defaults
        if all(number and number.isdigit() for number in rows):
            flags["--train.batch_size"] = str(prod(map(int, filter(None, rows))))
    return [part for flag in flags.items() for part in flag]


def with_estimator(arguments: list[str]) -> list[str]:
    """`--algo.advantage.estimator p_grpo` in upstream's words."""
    flag = ESTIMATOR_FLAG
    named = [f"{flag}={UPSTREAM_ESTIMATOR}" if part == f"{flag}={ESTIMATOR}" else part for part in arguments]
    return [
        UPSTREAM_ESTIMATOR if part == ESTIMATOR and before == flag else part
        for before, part in zip(["", *named], named, strict=False)
    ]


def check_samples(arguments: list[str]) -> None:
    """
    Raises:
        SettingsError: a group of one answer, whose advantage is always 0.
    """
    estimator, samples = given(arguments, {ESTIMATOR_FLAG: None, SAMPLES_FLAG: "1"})
    few = samples is not None and samples.lstrip("-").isdigit() and int(samples) < 2
    if few and estimator in (ESTIMATOR, *GROUP_ESTIMATORS):
        raise SettingsError(
            f"{SAMPLES_FLAG} is {samples}: {estimator} compares the answers to a prompt, set it to at least 2"
        )


def with_remote(arguments: list[str], verifier: str) -> str:
    """The verifier, or `--reward.remote_url` as one, which upstream forgets beside an executor (`:637`).

    Raises:
        SettingsError: it is given and `--tw.verifier` too.
    """
    (url,) = given(arguments, {REMOTE_FLAG: None})
    if url is None:
        return from_anywhere(verifier)
    if verifier != MATH:
        raise SettingsError(
            f"{REMOTE_FLAG} {shown(url)} and --tw.verifier {shown(verifier)}: give one of the two"
        )
    return from_anywhere(f"{url}:reward_func") if url.endswith(".py") else url


def with_executor(arguments: list[str], ours: str) -> list[str]:
    """The arguments with our agent executor; the user's own stays, which may be a subclass of ours.

    Raises:
        SettingsError: the user's is not a Python file.
    """
    (asked,) = given(arguments, {AGENT_FLAG: None})
    if asked is None:
        return [AGENT_FLAG, ours, *arguments]
    if not (asked.endswith(".py") and Path(asked).is_file()):
        raise SettingsError(f"{AGENT_FLAG} {asked} is not a Python file: check the path, or leave it out")
    if Path(asked).resolve() != Path(ours).resolve():
        logger.warning(
            "%s %s takes the place of ThreadWeaver's executor: nothing forks unless its AgentExecutor is a "
            "subclass of openrlhf_ext.agent.AgentExecutor",
            AGENT_FLAG, asked,
        )  # fmt: skip
    return arguments
