"""Where, when and of which commit an evaluation was made; kept beside it: reports are drawn again later."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tw_plugins.evaluation.provenance import Machine
from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.files import is_there, read_text

FILE = "made.json"
_MACHINE = ("cpu", "cores", "memory_gib", "gpu", "torch")


def write_made(folder: Path) -> None:
    """Writes `made.json`: what :func:`made_here` gives."""
    write_text(folder / FILE, json.dumps(made_here(), indent=2) + "\n")


def read_made(folder: Path) -> dict[str, Any] | None:
    """What `write_made` wrote; None of an evaluation that did not."""
    path = folder / FILE
    return dict(json.loads(read_text(path))) if is_there(path) else None


def made_here() -> dict[str, Any]:
    """`{date, commit, machine}`, now."""
    import torch

    machine = asdict(Machine.here(on_gpu=torch.cuda.is_available()))
    return {"date": machine["date"], "commit": commit(), "machine": {key: machine[key] for key in _MACHINE}}


def commit() -> str | None:
    """Of the project, with `-dirty` where files differ from it; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
