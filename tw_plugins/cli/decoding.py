"""What the options of a command that decodes come to: its settings, and which engines decode."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from tw_plugins.engines.choice import Where, where_of
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.evaluation.settings import EvalSettings

__all__ = ["decoding", "parse_engine_args"]


def decoding(
    model: str,
    base_url: Sequence[str] | None,
    served_model_name: str | None,
    server: str,
    seed: int | None,
    engine_arg: Sequence[str] | None,
    replicas: int | None,
    tensor_parallel_size: int | None,
    **settings: Any,
) -> tuple[EvalSettings, Where | None]:
    """
    Args:
        model, base_url, served_model_name, server, seed, engine_arg, replicas, tensor_parallel_size: as the
            command line has them.
        settings: further fields of `EvalSettings`.

    Returns:
        The settings, and which engines; None for vLLM in this process.

    Raises:
        EvaluationError, SettingsError: options that cannot work, or not together.
    """
    engine_args = parse_engine_args(engine_arg or [])
    made = EvalSettings(**settings, seed=seed or 0, engine_args=engine_args)
    name, urls = served_model_name or model, base_url or []
    if made.wall_clock_problems and (replicas is not None or len(urls) > 1):
        raise EvaluationError(
            "--wall-clock reads the clock of one engine: leave it out with --replicas and several --base-url"
        )
    return made, where_of(urls, name, server, seed, engine_args, replicas, tensor_parallel_size)


def parse_engine_args(given: Iterable[str]) -> dict[str, Any]:
    """``["dtype=float32", "block_size=32"]`` as a dict; values are JSON where they can be, else text.

    Raises:
        EvaluationError: an entry without "=", or the model again.
    """
    found: dict[str, Any] = {}
    for entry in given:
        name, separator, value = entry.partition("=")
        if not separator:
            raise EvaluationError(f"--engine-arg {entry!r} is not NAME=VALUE: write it as in dtype=float32")
        if name == "model":
            raise EvaluationError("--engine-arg model is not needed: give the model as --model")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found
