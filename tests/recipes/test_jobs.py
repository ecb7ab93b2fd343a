"""Jobs run side by side; one that fails or hangs is named with the end of its log, the others are stopped."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from recipes.quickstart.jobs import Job, JobFailed, run_side_by_side

QUIET = Console(quiet=True)


def _job(folder: Path, name: str, code: str, **settings: float) -> Job:
    return Job(
        name=name,
        command=[sys.executable, "-c", code],
        log=folder / f"{name}.log",
        counters=(folder / f"{name}.count",),
        steps=1,
        env={"GREETING": name},
        **settings,  # type: ignore[arg-type]
    )


def test_output_and_environment_reach_the_log(tmp_path: Path) -> None:
    jobs = [_job(tmp_path, name, "import os; print('hello', os.environ['GREETING'])") for name in ("a", "b")]
    run_side_by_side(jobs, QUIET)
    assert [job.log.read_text() for job in jobs] == ["hello a\n", "hello b\n"]


def test_failure_names_the_job_and_stops_the_others(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    waiting = _job(
        tmp_path,
        "waits",
        f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)",
    )
    failing = _job(
        tmp_path,
        "fails",
        f"import os, time\nwhile not os.path.exists({str(pid)!r}): time.sleep(0.05)\n"
        "print('why'); raise SystemExit(3)",
    )
    with pytest.raises(JobFailed, match=r"fails ended with exit status 3(.|\n)*why"):
        run_side_by_side([waiting, failing], QUIET)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_job_that_makes_no_progress_is_stopped(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(JobFailed, match="made no progress for 1 s"):
        run_side_by_side([_job(tmp_path, "hangs", "import time; time.sleep(600)", stall_s=1.0)], QUIET)
    assert time.monotonic() - start < 60
