"""Names of vLLM's engine arguments, as a user writes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from tw_plugins.settings import closest


def unknown_arguments(names: Iterable[str]) -> str | None:
    """What is wrong with the names that vLLM does not have; None where it has them all."""
    from vllm import AsyncEngineArgs

    known = [field.name for field in fields(AsyncEngineArgs)]
    said = [_said(name, closest(name, known)) for name in sorted(set(names) - set(known))]
    if not said:
        return None
    return f"vLLM has no engine argument {', '.join(said)}: mend or remove it, see vllm.AsyncEngineArgs"


def _said(name: str, meant: str | None) -> str:
    return f"{name} (did you mean {meant}?)" if meant else name
