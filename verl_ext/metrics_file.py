"""verl's file of metrics goes on where a run goes on.

verl's `file` logger opens its file anew at every start (`utils/tracking.py:541`, verl 0.9.1), so a run that
was broken off and resumed loses the curve before the break. For runs of ThreadWeaver the earlier lines stay,
but for the steps that are made again; a run that begins at its first step begins a new file, as verl's.

Seam: `verl.utils.tracking.FileLogger`. Can go once verl's logger keeps its file when a run resumes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TRAINED = ("training/global_step", "train/loss")
"""In every line of a step of RL, of SFT; what a validation alone logs, as after a resume, has neither."""


def earlier_lines(path: Path) -> list[bytes]:
    """The whole lines of a file, each with its end; none where there is no file."""
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    return [line for line in lines if line.endswith(b"\n")]


def still_true(lines: list[bytes], step: int, logged: Mapping[str, Any]) -> list[bytes]:
    """Those of steps that are not made again when a run goes on by logging ``logged`` at ``step``."""
    last = step - 1 if any(name in logged for name in TRAINED) else step
    return [line for line in lines if _step(line) <= last]


def _step(line: bytes) -> float:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # not one of verl's


def register(tracking: Any) -> None:
    """Called by `verl_ext.plugin` once `verl.utils.tracking` is imported."""
    upstream = tracking.FileLogger

    class FileLogger(upstream):  # type: ignore[misc, valid-type]
        goes_on = False
        """Set for runs of ThreadWeaver; others have verl's logger as it is."""

        @property
        def filepath(self) -> str | None:
            return self._filepath

        @filepath.setter
        def filepath(self, path: str | None) -> None:  # set before the file is opened, and emptied by that
            self._filepath = path
            self._earlier = earlier_lines(Path(path)) if path and self.goes_on else []

        def __init__(self, project_name: str, experiment_name: str) -> None:
            super().__init__(project_name, experiment_name)
            self.fp.write(b"".join(self._earlier))  # a run that is killed before it logs has lost nothing

        def log(self, data: Mapping[str, Any], step: int) -> None:
            if self._earlier:  # only now it is known where the run goes on
                self.fp.seek(0)
                self.fp.truncate()
                self.fp.write(b"".join(still_true(self._earlier, step, data)))
                self._earlier = []
            super().log(data, step)

    FileLogger.__qualname__ = FileLogger.__name__
    tracking.FileLogger = FileLogger


def go_on() -> None:
    """Of the run in this process: its file of metrics is gone on with."""
    from verl.utils import tracking

    tracking.FileLogger.goes_on = True
