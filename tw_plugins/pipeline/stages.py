"""Stages that run once: each leaves a marker when it is done, and is passed over when the marker is there."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.files import FileError, is_there, read_text

BEGUN, DONE = "begun.json", "done.json"


@dataclass(frozen=True)
class Stage:
    """A named step that fills its own folder.

    Attributes:
        run: called with the stage's folder, which is empty; but for a resumable stage that was broken off.
        resumable: it goes on with what it left in its folder.
    """

    name: str
    title: str
    run: Callable[[Path], None]
    resumable: bool = False


class Pipeline:
    """Runs stages in order inside one folder; a stopped run goes on with the first stage that is not done."""

    def __init__(self, folder: Path, fingerprints: Mapping[str, str], console: Console) -> None:
        """
        Args:
            folder: of the whole run.
            fingerprints: by a stage's name, of all that it depends on; one done with another is run again.
        """
        self.folder, self.fingerprints, self.console = folder, fingerprints, console

    def path(self, stage: str) -> Path:
        """The folder of a stage."""
        return self.folder / stage

    def done(self, stage: str) -> float | None:
        """Seconds that the stage of this name took; None where it must be run."""
        marker = self._read(stage, DONE)
        return float(marker["seconds"]) if marker else None

    def state(self, stage: str) -> str:
        """In words, how far the stage of this name is."""
        if self.done(stage) is not None:
            return "done"
        if self._read(stage, BEGUN):
            return "begun"
        return "done or begun with other settings" if is_there(self.path(stage) / BEGUN) else "not begun"

    def run(
        self, stages: Sequence[Stage], again: str | None = None, until: str | None = None
    ) -> dict[str, float]:
        """Run what is not done yet; returns seconds by stage, of earlier runs too.

        Args:
            again: name of the stage that is run again in any case, and with it all after it.
            until: name of the last stage to run; all of them when not given.
        """
        seconds = {}
        fresh = False  # once a stage ran, all after it must run too
        for number, stage in enumerate(stages, 1):
            fresh = fresh or stage.name == again
            done = None if fresh else self.done(stage.name)
            self.console.rule(Text(f"{number}/{len(stages)} {stage.title}", "bold"), align="left")
            if done is None:
                self._forget(stages[number:])
                done, fresh = self._run(stage, keep=stage.resumable and not fresh), True
            else:
                self.console.print(f"done before, {done:.0f} s; --restart runs it again")
            seconds[stage.name] = done
            if stage.name == until:
                break
        return seconds

    def _forget(self, stages: Sequence[Stage]) -> None:
        """What stands on a stage that runs again is not done, also where this run is killed before it."""
        for stage in stages:
            for name in (BEGUN, DONE):
                (self.path(stage.name) / name).unlink(missing_ok=True)

    def _run(self, stage: Stage, keep: bool) -> float:
        folder = self.path(stage.name)
        begun = self._read(stage.name, BEGUN)
        if keep and begun:
            self.console.print("goes on where it was broken off; --restart begins anew")
        else:
            if begun is None and is_there(folder / BEGUN):
                self.console.print("settings, recipe or data are not those of the last run: runs again")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self._write(stage.name, BEGUN, {})
        start = time.monotonic()
        stage.run(folder)
        seconds = time.monotonic() - start
        self._write(stage.name, DONE, {"seconds": seconds})
        return seconds

    def _read(self, stage: str, name: str) -> dict[str, Any] | None:
        """What a stage's marker holds; None where there is none of its fingerprint.

        Raises:
            FileError: it is not what `_write` writes.
        """
        marker = self.path(stage) / name
        if not is_there(marker):
            return None
        text = read_text(marker)
        try:
            found: dict[str, Any] = json.loads(text)
            made_with = found["fingerprint"]
        except (ValueError, KeyError, TypeError) as error:
            raise FileError(
                f"{marker} is not what a stage leaves there: remove it, the stage is then run again"
            ) from error
        return found if made_with == self.fingerprints[stage] else None

    def _write(self, stage: str, name: str, what: dict[str, Any]) -> None:
        marker = {"fingerprint": self.fingerprints[stage], **what}
        write_text(self.path(stage) / name, json.dumps(marker))
