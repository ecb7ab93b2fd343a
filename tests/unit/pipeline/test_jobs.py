"""Jobs run side by side; one that fails or hangs is named with the end of its log, the others are stopped."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing import shared_memory
from pathlib import Path

import psutil
import pytest

from tests.support.commands import ROOT
from tests.support.jobs import make_job, quiet_bars
from tw_plugins.pipeline.jobs import JobFailed, _count_lines, run_side_by_side
from tw_plugins.pipeline.leftovers import SETTLED_S, SHARED_MEMORY, Session
from tw_plugins.pipeline.report_data import curve, read_metrics


def test_output_and_environment_reach_the_log(tmp_path: Path) -> None:
    jobs = [
        make_job(tmp_path, name, "import os; print('hello', os.environ['GREETING'])") for name in ("a", "b")
    ]
    run_side_by_side(jobs, quiet_bars())
    assert [job.log.read_text() for job in jobs] == ["hello a\n", "hello b\n"]


def test_failure_names_the_job_and_stops_the_others(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    waiting = make_job(
        tmp_path,
        "waits",
        f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)",
    )
    failing = make_job(
        tmp_path,
        "fails",
        f"import os, time\nwhile not os.path.exists({str(pid)!r}): time.sleep(0.05)\n"
        "print('why'); raise SystemExit(3)",
    )
    with pytest.raises(JobFailed, match=r"fails ended with exit status 3(.|\n)*why"):
        run_side_by_side([waiting, failing], quiet_bars())
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_job_that_makes_no_progress_is_stopped(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(JobFailed, match="made no progress for 1 s"):
        run_side_by_side(
            [make_job(tmp_path, "hangs", "import time; time.sleep(600)", stall_s=1.0)], quiet_bars()
        )
    assert time.monotonic() - start < 60


def test_a_job_that_ended_well_is_passed_over(tmp_path: Path) -> None:
    job = make_job(tmp_path, "once", "print('ran')")
    run_side_by_side([job], quiet_bars())
    run_side_by_side([job], quiet_bars())
    assert job.log.read_text() == "ran\n"


def test_what_a_killed_run_left_running_is_stopped_first(tmp_path: Path) -> None:
    """The driver is killed; its job and the job's child go on, until the same is run again."""
    pids = tmp_path / "pids"
    work = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pids)!r}, 'a').write(f'{{os.getpid()}} {{child.pid}} ')\n"
        f"if os.path.exists({str(tmp_path / 'again')!r}): child.kill(); sys.exit(0)\ntime.sleep(600)"
    )
    driver = (
        "from pathlib import Path; import tests.unit.pipeline.test_jobs as t; "
        f"t.run_side_by_side([t.make_job(Path({str(tmp_path)!r}), 'left', {work!r})], t.quiet_bars())"
    )
    process = subprocess.Popen([sys.executable, "-c", driver], cwd=ROOT)
    while not pids.exists() or len(pids.read_text().split()) < 2:
        time.sleep(0.05)
    process.kill()
    process.wait()
    left = [int(pid) for pid in pids.read_text().split()]
    assert all(map(psutil.pid_exists, left))
    (tmp_path / "again").touch()
    run_side_by_side([make_job(tmp_path, "left", work)], quiet_bars())
    assert not any(_runs(pid) for pid in left)


def test_a_job_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    """Its own process dies first; a child, its temporary files and a semaphore would stay."""
    left = tmp_path / "left"
    work = (
        "import multiprocessing, os, signal, subprocess, sys, tempfile, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "shared = multiprocessing.get_context('spawn').Lock()._semlock.name\n"
        f"open({str(left)!r}, 'w').write(f'{{child.pid}} {{shared}} {{tempfile.mkdtemp()}}')\n"
        "time.sleep(1.5)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    job = make_job(tmp_path, "killed", work)
    with pytest.raises(JobFailed, match="killed ended with exit status -9"):
        run_side_by_side([job], quiet_bars())
    child, semaphore, folder = left.read_text().split()
    assert not _runs(int(child))
    assert not Path(f"/dev/shm/sem.{semaphore.removeprefix('/')}").exists()
    assert not Path(folder).exists() and not job.running.exists()


def test_segments_that_are_in_use_stay(tmp_path: Path) -> None:
    began = time.time()
    shared = shared_memory.SharedMemory(create=True, size=8)
    lock = multiprocessing.get_context("spawn").Lock()
    try:
        time.sleep(SETTLED_S + 0.5)
        Session(2**22 + 1, began, str(tmp_path / "none")).end()
        assert (SHARED_MEMORY / shared.name).exists()
        assert (SHARED_MEMORY / f"sem.{lock._semlock.name.removeprefix('/')}").exists()  # type: ignore[attr-defined]
    finally:
        shared.close()
        shared.unlink()


def test_the_process_of_another_with_that_number_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    job = make_job(tmp_path, "new", "print('ran')")
    Session(other.pid, 1.0, str(tmp_path / "none")).write(job.running)
    run_side_by_side([job], quiet_bars())
    assert other.poll() is None
    other.kill()
    other.wait()


def test_counted_lines_of_a_broken_run_are_kept(tmp_path: Path) -> None:
    job = replace(make_job(tmp_path, "counts", ""), overwrites=True)
    (counter,) = job.counters
    lines = [{"step": 1, "data": {"a": 1.0}}, {"step": 2, "data": {"a": 2.0}}]
    counter.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 3, "da')
    code = f'open({str(counter)!r}, \'w\').write(\'{{"step": 2, "data": {{"a": 3.0}}}}\\n\')'
    run_side_by_side([replace(job, command=[sys.executable, "-c", code])], quiet_bars())
    assert curve(read_metrics(counter), "a") == [1.0, 3.0]


def test_a_step_that_was_made_again_counts_once(tmp_path: Path) -> None:
    before, now, records = (tmp_path / name for name in ("before", "now", "records"))
    before.write_text('{"step":1,"data":{}}\n{"step":2,"data":{}}\n{"step": 3, "data": {}}\n')
    now.write_text('{"step":2,"data":{}}\n{"step":3,"data":{}}\n{"step":4,"da')
    records.write_text('{"index": 0}\n{"index": 0}\n')
    assert _count_lines([before, now, tmp_path / "none"]) == 3
    assert _count_lines([records]) == 2


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
