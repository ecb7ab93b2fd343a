"""Options that several commands have; those of decoding are declared with `EvalSettings`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tw_plugins.evaluation.settings import DEFAULTS, EvalSettings
from tw_plugins.settings import Setting, declared

__all__ = [
    "DEFAULTS",
    "AnswerKey",
    "AnswerLine",
    "BaseUrl",
    "Concurrency",
    "EngineArg",
    "Instruction",
    "MaxBlocks",
    "MaxThreadTokens",
    "MaxThreads",
    "MaxTokens",
    "PromptKey",
    "ReplicaCount",
    "Seed",
    "ServedName",
    "ServerKind",
    "Temperature",
    "Template",
    "TensorParallel",
    "Tolerance",
    "TopP",
    "VerifierName",
    "VerifierTimeout",
    "WallClock",
    "option",
    "sentence",
]


def option(name: str, more: str = "") -> Any:
    """An option with the range and the help of the declared setting `name`.

    Args:
        more: a sentence about what the command does where the option is not given.
    """
    one = declared(EvalSettings)[name]
    return typer.Option(min=one.least, max=one.most, help=f"{sentence(one)} {more}".strip())


def sentence(one: Setting) -> str:
    """The help of a declared setting, as the command line writes it."""
    return f"{one.text[0].upper()}{one.text[1:]}."


Instruction = Annotated[str, option("instruction")]
Template = Annotated[str | None, option("chat_template")]
PromptKey = Annotated[str | None, option("prompt_key")]
AnswerKey = Annotated[str | None, option("answer_key")]
Temperature = Annotated[float, option("temperature")]
TopP = Annotated[float, option("top_p")]
MaxTokens = Annotated[int, option("max_tokens")]
MaxThreadTokens = Annotated[int | None, option("max_thread_tokens")]
MaxThreads = Annotated[int, option("max_threads")]
MaxBlocks = Annotated[int, option("max_blocks")]
Concurrency = Annotated[int, option("concurrency")]
Tolerance = Annotated[float, option("tolerance")]
AnswerLine = Annotated[bool, option("answer_line")]
VerifierName = Annotated[str, option("verifier")]
VerifierTimeout = Annotated[float, option("verifier_timeout_s")]
WallClock = Annotated[int, option("wall_clock_problems")]

BaseUrl = Annotated[
    list[str] | None,
    typer.Option(
        help="A server instead of vLLM in this process, as http://localhost:8000/v1; may be repeated, for "
        "several that serve the same model."
    ),
]
ReplicaCount = Annotated[
    int | None,
    typer.Option(
        "--replicas",
        min=1,
        help="So many vLLM engines on the Ray cluster that RAY_ADDRESS names, else on one of this machine.",
    ),
]
TensorParallel = Annotated[
    int | None,
    typer.Option(
        "--tensor-parallel-size", min=1, help="GPUs of each of the --replicas (CPUs where there are none)."
    ),
]
ServedName = Annotated[str | None, typer.Option(help="Its name for the model; --model when not given.")]
ServerKind = Annotated[
    str, typer.Option(help="openai (vLLM, recent SGLang) or sglang (the endpoint of older ones).")
]
Seed = Annotated[int | None, option("seed", "0 when not given.")]
EngineArg = Annotated[
    list[str] | None, typer.Option(help="NAME=VALUE of vLLM's AsyncEngineArgs; may be repeated.")
]
