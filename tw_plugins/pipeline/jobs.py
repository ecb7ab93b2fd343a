"""Commands that run side by side, each with a log file and a progress bar.

A run that was killed goes on when it is run again: jobs that ended well are passed over, what an earlier run
left behind is removed first, and the lines that a job had counted are kept beside the new ones. A job that
was killed, or one of whose processes was, leaves nothing behind either.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.progress import Progress
from rich.text import Text

from tw_plugins.errors import UserError
from tw_plugins.pipeline.leftovers import Session, scratch_folder

POLL_S = 0.5
_STEP = re.compile(rb'^\{"step": ?(\d+),.*\n', re.MULTILINE)
LOG_LINES = 15


@dataclass(frozen=True)
class Job:
    """A command and where to see how far it is.

    Attributes:
        name: for the progress bar.
        command, env: what to run; `env` is added to ours.
        log: file for all output.
        counters: files that get one line per step.
        steps: lines in `counters` at the end; None where nobody knows.
        stall_s: seconds without a new line after which the job counts as hung.
        overwrites: it begins its counters anew when it goes on; ours are then kept in `earlier(counter)`.
        resume: further words once this file is there, for a command that must be asked to go on.
    """

    name: str
    command: Sequence[str]
    log: Path
    counters: Sequence[Path]
    steps: int | None
    env: Mapping[str, str] = field(default_factory=dict)
    stall_s: float = 600.0
    overwrites: bool = False
    resume: tuple[Path, Sequence[str]] | None = None

    @property
    def words(self) -> list[str]:
        """The command as it is started now."""
        more = self.resume[1] if self.resume and self.resume[0].exists() else ()
        return [*self.command, *more]

    @property
    def ended(self) -> Path:
        """Is there once the command has ended well."""
        return self.log.with_suffix(".ended")

    @property
    def running(self) -> Path:
        """Names the session while the command runs."""
        return self.log.with_suffix(".process")


def search_path() -> str:
    """Where a job's scripts find `python`: in this environment, also where nobody has activated it."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def earlier(counter: Path) -> Path:
    """The lines of runs before the last."""
    return counter.with_name(f"earlier-{counter.name}")


class JobFailed(UserError, RuntimeError):
    """A command that ended with an error or made no progress; the message has the end of its log."""


def run_side_by_side(jobs: Sequence[Job], bars: Progress) -> None:
    """Run all jobs at once and wait for them; when one fails the others are stopped.

    Args:
        bars: gets a bar for each job, and is shown while they run.

    Raises:
        JobFailed: names the job, its exit status and its log.
    """
    with ExitStack() as stack, bars:
        running = [_Running(job, stack, bars) for job in jobs if not job.ended.exists()]
        while any([job.poll() for job in running]):
            time.sleep(POLL_S)


class _Running:
    """A started job: its process group, its bar, and when it last moved."""

    def __init__(self, job: Job, stack: ExitStack, bars: Progress) -> None:
        self.job, self.bars = job, bars
        self.bar = bars.add_task(job.name, total=job.steps)
        job.log.parent.mkdir(parents=True, exist_ok=True)
        if left := Session.read(job.running):
            left.end()
        if job.overwrites:
            for counter in filter(Path.exists, job.counters):
                with earlier(counter).open("ab") as kept:
                    kept.write(_whole_lines(counter.read_bytes()))
                counter.unlink()
        log = stack.enter_context(job.log.open("ab"))
        scratch = scratch_folder()
        temporary = {"TMPDIR": str(scratch), "RAY_TMPDIR": str(scratch)}
        env = {**os.environ, "PATH": search_path(), **job.env, **temporary}
        self.process = subprocess.Popen(
            job.words,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=env,
            start_new_session=True,
        )
        self.session = Session.of(self.process.pid, scratch)
        self.session.write(job.running)
        stack.callback(self._stop)
        self.lines, self.moved = 0, time.monotonic()

    def poll(self) -> bool:
        """Move the bar; True while the job runs.

        Raises:
            JobFailed: it ended with an error, or hangs.
        """
        status = self.process.poll()
        files = [file for counter in self.job.counters for file in (earlier(counter), counter)]
        lines = _count_lines(files)
        if lines != self.lines:
            self.lines, self.moved = lines, time.monotonic()
            self.bars.update(self.bar, completed=lines)
        if status:
            raise JobFailed(self._message(f"ended with exit status {status}"))
        if status is None and time.monotonic() - self.moved > self.job.stall_s:
            raise JobFailed(self._message(f"made no progress for {self.job.stall_s:.0f} s and was stopped"))
        if status == 0:
            self.job.ended.touch()
        return status is None

    def _message(self, what: str) -> str:
        tail = self.job.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join(
            [
                f"{self.job.name} {what}. The end of {self.job.log}:",
                *(f"  {Text.from_ansi(line).plain[:300]}" for line in tail),
            ]
        )

    def _stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):  # it is killed with the rest of its session
                self.process.wait(timeout=15)
        self.session.end()
        self.process.wait()
        self.job.running.unlink()


def _whole_lines(text: bytes) -> bytes:
    """Without the half line that a killed process leaves."""
    return text[: text.rfind(b"\n") + 1]


def _count_lines(files: Sequence[Path]) -> int:
    """Lines; of a step that was made again after a break, one."""
    texts = [file.read_bytes() for file in files if file.exists()]
    steps = [step for text in texts for step in _STEP.findall(text)]
    return sum(text.count(b"\n") for text in texts) - (len(steps) - len(set(steps)))
