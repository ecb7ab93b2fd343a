"""What each stage depends on: its commands, recipes and data, and all that the stages before it depend on.

Not the environment, nor where the run, the recipes and Python stand: a run that is moved is the same run.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tw_plugins.pipeline.plan import Plan, Planned

__all__ = ["fingerprints"]


def fingerprints(plan: Plan) -> dict[str, str]:
    """By the name of a stage's folder; changes whenever something changes that the stage reads."""
    found, before = {}, ""
    for stage in plan.stages:
        before = _of([before, _commands(stage, plan.folder), list(_contents(stage))])
        found[stage.folder.name] = before
    return found


def _of(what: object) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]


def _commands(stage: Planned, run: Path) -> list[list[list[str]]]:
    """Paths that do not matter replaced by their names."""
    places = {
        str(run): "RUN",
        sys.executable: "PYTHON",
        **{str(file.parent): "FILES" for file in stage.reads},
    }
    longest_first = sorted(places.items(), key=lambda place: -len(place[0]))

    def plain(word: str) -> str:
        for place, name in longest_first:
            word = word.replace(place, name)
        return word

    return [[[plain(word) for word in job.command] for job in each] for each in stage.rounds]


def _contents(stage: Planned) -> Iterator[list[str]]:
    """Files by their content, folders (data sets, models) by the names and sizes in them."""
    for path in stage.reads:
        if path.is_file():
            with path.open("rb") as file:
                yield [path.name, hashlib.file_digest(file, "sha256").hexdigest()]
        else:
            inside = sorted(one for one in path.rglob("*") if one.is_file())
            yield [path.name, *(f"{one.relative_to(path)} {one.stat().st_size}" for one in inside)]
