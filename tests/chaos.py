"""The quickstart under `kill -9`: of its driver, a trainer, vLLM's engine or a worker, at random moments.

    python -m tests.chaos --framework verl --kills 6 --seed 0 --against runs/quickstart/verl

Runs the same command again after each, until it ends well. Then: how many steps were made twice, whether
anything stayed behind, and the figures beside those of an unbroken run. Ends with status 0 where all is well.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from recipes.quickstart.seed_figures import table
from recipes.quickstart.seeds import read_entry
from recipes.quickstart.settings import SFT_CHECKPOINTS, Settings, settings_of
from tests.support.commands import ROOT
from tw_plugins.pipeline.jobs import earlier
from tw_plugins.pipeline.leftovers import SEGMENTS, SHARED_MEMORY, Session

ENDS_WITHIN_S = 300  # of a killed process: an error, or nothing that waits for ever
ENGINES = ("VLLM::EngineCore", "ray::RolloutRayActor", "ray::vLLMHttpServer")
WORKERS = ("ray::WorkerDict", "ray::PolicyModelActor", "ray::AgentLoopWorkerTQ", "ray::RewardLoopWorker")


@dataclass
class Chaos:
    """A run that is killed again and again.

    Attributes:
        sessions: every job's session that was seen.
        problems: what should not have been.
    """

    command: list[str]
    folder: Path
    rng: random.Random
    sessions: set[Session] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def run(self, kills: int, longest_s: float) -> None:
        """Kill so many times, `longest_s` at most after each start, and then let it end."""
        for number in range(kills):
            process = subprocess.Popen(self.command, cwd=ROOT, stdout=subprocess.DEVNULL)
            if self._ended(process, self.rng.uniform(1, longest_s)):
                print(f"{number}: ended by itself with status {process.returncode}")
                if process.returncode == 0:
                    return
                self.problems.append(f"start {number} ended with status {process.returncode}")
                continue
            name = self._kill(process)
            if not self._ended(process, ENDS_WITHIN_S):
                self.problems.append(f"waits for ever after {name} was killed")
                process.kill()
                process.wait()
        last = subprocess.run(self.command, cwd=ROOT, check=False)
        if last.returncode:
            self.problems.append(f"the last run ended with status {last.returncode}")

    def _kill(self, driver: subprocess.Popen[bytes]) -> str:
        """Kill one of the kinds of processes that there are; returns its kind."""
        victims = {"driver": [driver.pid], **self._victims()}
        kind = self.rng.choice(sorted(victims))
        victim = self.rng.choice(victims[kind])
        print(f"{time.strftime('%H:%M:%S')} kill -9 of {kind} {victim} in {self._stage()}", flush=True)
        os.kill(victim, 9)
        return kind

    def _victims(self) -> dict[str, list[int]]:
        kinds: dict[str, list[int]] = {}
        jobs = set(self._jobs())
        self.sessions |= jobs
        leaders = {session.leader for session in jobs}
        for process in psutil.process_iter():
            try:
                leader, name = os.getsid(process.pid), " ".join(process.cmdline())
            except (psutil.NoSuchProcess, psutil.ZombieProcess, ProcessLookupError):
                continue
            if leader in leaders:
                kind = "trainer" if process.pid == leader else "engine" if name.startswith(ENGINES) else None
                kind = kind or ("worker" if name.startswith(WORKERS) else None)
                if kind:
                    kinds.setdefault(kind, []).append(process.pid)
        return kinds

    def _jobs(self) -> Iterator[Session]:
        for file in self.folder.glob("**/*.process"):
            if session := Session.read(file):
                yield session

    def _stage(self) -> str:
        begun = [path.parent for path in self.folder.glob("*/begun.json")]
        return next(
            (folder.name for folder in begun if not (folder / "done.json").exists()), "between stages"
        )

    @staticmethod
    def _ended(process: subprocess.Popen[bytes], within_s: float) -> bool:
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True


def made_twice(folder: Path, settings: Settings, kills: int) -> Iterator[str]:
    """Prints the steps that were made again; yields where they are more than what checkpoints allow."""
    allowed = {"sft": max(1, settings.sft_steps // SFT_CHECKPOINTS), "rl": 1}
    for counter in sorted(folder.glob("*/*/metrics.jsonl")):
        stage, line = counter.parts[-3:-1]
        files = [file for file in (earlier(counter), counter) if file.exists()]
        logged = Counter(step for file in files for step in _steps(file))
        again = sum(logged.values()) - len(logged)
        print(f"{stage}/{line}: {len(logged)} steps, {again} made again")
        if again > kills * allowed[stage]:
            yield f"{stage}/{line}: {again} steps made again after {kills} kills"


def _steps(file: Path) -> Iterator[int]:
    for line in file.read_text().splitlines():
        try:
            found = json.loads(line)
        except ValueError:  # half written
            continue
        if {"train/loss", "actor/pg_loss", "policy_loss"} & found["data"].keys():
            yield found["step"]


def left_behind(sessions: set[Session], before: set[Path]) -> Iterator[str]:
    """Processes of the jobs, and files in shared memory and the folder for temporary ones."""
    for session in sessions:
        yield from (f"process {process.pid} is left: {process.name()}" for process in session.members())
    yield from (f"{path} is left" for path in sorted(_temporary() - before))


def _temporary() -> set[Path]:
    segments = {found for pattern in SEGMENTS for found in SHARED_MEMORY.glob(pattern)}
    return segments | set(Path(tempfile.gettempdir()).glob("tw????????"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--framework", default="verl")
    parser.add_argument("--fast", action="store_true", help="the smoke run")
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument(
        "--longest", type=float, default=180.0, help="seconds from a start to its kill, at most"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    parser.add_argument("--out", type=Path, default=Path("runs/chaos"))
    parser.add_argument("--against", type=Path, help="folder of an unbroken run")
    asked = parser.parse_args()
    fast = ["--fast"] if asked.fast else []
    command = [sys.executable, "-m", "recipes.quickstart", "--framework", asked.framework, *fast]
    folder = asked.out / "-".join([asked.framework, *(["fast"] if fast else [])])
    before = _temporary()
    chaos = Chaos([*command, "--out", str(asked.out)], folder, random.Random(asked.seed))
    chaos.run(asked.kills, asked.longest)
    chaos.problems += made_twice(folder, settings_of(fast=bool(fast)), asked.kills)
    chaos.problems += left_behind(chaos.sessions, before)
    if asked.against and not chaos.problems:
        print(table([read_entry(folder), read_entry(asked.against)]))
    print("\n".join(chaos.problems) or f"all well after {asked.kills} kills")
    raise SystemExit(bool(chaos.problems))


if __name__ == "__main__":
    main()
