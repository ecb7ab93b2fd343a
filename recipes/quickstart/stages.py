"""Stages that run once: each leaves a marker when it is done, and is passed over when the marker is there."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console


@dataclass(frozen=True)
class Stage:
    """A named step that fills its own folder.

    Attributes:
        run: called with the stage's empty folder.
    """

    name: str
    title: str
    run: Callable[[Path], None]


class Pipeline:
    """Runs stages in order inside one folder; a stopped run goes on with the first stage that is not done."""

    def __init__(self, folder: Path, fingerprint: str, console: Console) -> None:
        """
        Args:
            folder: of the whole run.
            fingerprint: of its settings; stages done with another one are run again.
        """
        self.folder, self.fingerprint, self.console = folder, fingerprint, console

    def path(self, stage: str) -> Path:
        """The folder of a stage."""
        return self.folder / stage

    def run(self, stages: list[Stage]) -> dict[str, float]:
        """Run what is not done yet; returns seconds by stage, of earlier runs too."""
        seconds = {}
        fresh = False  # once a stage ran, all after it must run too
        for number, stage in enumerate(stages, 1):
            done = None if fresh else self._done(stage)
            self.console.rule(f"[bold]{number}/{len(stages)} {stage.title}", align="left")
            if done is None:
                done, fresh = self._run(stage), True
            else:
                self.console.print(f"done before, {done:.0f} s; --restart runs it again")
            seconds[stage.name] = done
        return seconds

    def _run(self, stage: Stage) -> float:
        folder = self.path(stage.name)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        start = time.monotonic()
        stage.run(folder)
        seconds = time.monotonic() - start
        self._mark(folder, seconds)
        return seconds

    def _done(self, stage: Stage) -> float | None:
        """Seconds that the stage took, or None if it must be run."""
        try:
            marker = json.loads(self._marker(self.path(stage.name)).read_text())
        except FileNotFoundError:
            return None
        return float(marker["seconds"]) if marker["fingerprint"] == self.fingerprint else None

    def _mark(self, folder: Path, seconds: float) -> None:
        marker = self._marker(folder)
        half = marker.with_suffix(".tmp")
        half.write_text(json.dumps({"fingerprint": self.fingerprint, "seconds": seconds}))
        os.replace(half, marker)  # whole or not at all

    @staticmethod
    def _marker(folder: Path) -> Path:
        return folder / "done.json"
