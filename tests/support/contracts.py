"""What we take for granted of a framework's functions: their parameters, by upstream's file."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

PER_PROCESS = {"_ray_trace_ctx"}  # Ray adds it to the methods of actors


def parameters(module: str, dotted: str) -> str:
    """Names of a function's or class's parameters, of upstream's own where we have wrapped it."""
    found = importlib.import_module(module)
    for name in dotted.split("."):
        found = getattr(found, name)
    names = [name for name in inspect.signature(found).parameters if name not in PER_PROCESS]
    return " ".join(names)


def check(module: str, dotted: str, expected: str) -> None:
    """Fails with upstream's file and what has changed there."""
    got = parameters(module, dotted)
    file = Path(str(importlib.import_module(module).__file__))
    assert got == expected, f"{file}: {dotted} has the parameters ({got}), we call or wrap it as ({expected})"
