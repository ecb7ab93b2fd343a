"""Hostile programs in the real sandbox: what each gets, and that nothing of it stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from tests.support.root import ROOT
from tests.support.sandbox import needs_sandbox
from tw_plugins import verifiers
from tw_plugins.verifiers import Task, VerifierError, VerifierSettings, check_verifier, pool, verify
from tw_plugins.verifiers.code import sandbox

Run = Callable[..., tuple[int | None, str]]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Runs a program in one sandbox: status and output."""
    os.environ["SECRET_KEY"] = "hidden"
    with sandbox.guest("cases") as process:

        def ask(program: str, stdin: str = "", seconds: float = 20.0) -> tuple[int | None, str]:
            request = {"program": dedent(program), "stdin": stdin, "seconds": seconds}
            reply = process.request(request, seconds + 60)
            return reply["status"], reply["output"]

        yield ask
    del os.environ["SECRET_KEY"]


TRIED = """
def tried(name, attempt):
    try: print(name, "DONE", attempt())
    except (OSError, MemoryError, RuntimeError) as error: print(name, type(error).__name__)
import os, subprocess, multiprocessing, signal, socket, sys
"""


@needs_sandbox
@pytest.mark.parametrize(
    ("attack", "refused"),
    [
        ("os.fork", "PermissionError"),
        ("lambda: subprocess.run(['true'])", "PermissionError"),
        ("lambda: os.posix_spawn(sys.executable, ['x'], {})", "PermissionError"),
        ("lambda: os.execv(sys.executable, ['x'])", "PermissionError"),
        ("multiprocessing.Process(target=print).start", "PermissionError"),
        ("os.setsid", "PermissionError"),
        ("lambda: os.kill(os.getppid(), 9)", "PermissionError"),
        ("lambda: os.kill(-1, 9)", "PermissionError"),
        ("lambda: os.kill(1, 9)", "PermissionError"),
        ("lambda: signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 9)", "PermissionError"),
        ("lambda: bytearray(4 << 30)", "MemoryError"),
        ("lambda: [' ' * (1 << 20) for _ in range(4096)]", "MemoryError"),
        ("lambda: open('/tmp/big', 'wb').write(bytes(64 << 20))", "OSError"),
        ("lambda: [open(f'/tmp/{n}', 'wb').write(bytes(4 << 20)) for n in range(32)]", "OSError"),
        ("lambda: [os.memfd_create('x') for _ in range(100)]", "OSError"),
        ("lambda: open('/x', 'w')", "OSError"),
        ("lambda: open('/guest/cases.py', 'a')", "OSError"),
        ("lambda: open(os.__file__, 'a')", "OSError"),
        ("lambda: open('/proc/self/environ')", "FileNotFoundError"),
        ("lambda: open('/etc/passwd')", "FileNotFoundError"),
        ("lambda: socket.create_connection(('1.1.1.1', 53), 5)", "OSError"),
        ("lambda: socket.gethostbyname('example.org')", "gaierror"),
    ],
)  # fmt: skip
def test_attacks_are_refused(run: Run, attack: str, refused: str) -> None:
    assert run(f"{TRIED}\ntried('it:', {attack})") == (0, f"it: {refused}\n")


@needs_sandbox
def test_the_host_is_out_of_sight(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as here:
        connect = f"socket.create_connection(('127.0.0.1', {here.getsockname()[1]}), 5)"
        assert run(f"{TRIED}\ntried('it:', lambda: {connect})") == (0, "it: ConnectionRefusedError\n")
    looks = "sorted(os.environ), os.getuid(), socket.gethostname(), os.getcwd(), os.listdir('.')"
    _, seen = run(f"import os, socket\nprint({looks})")
    assert "SECRET" not in seen and seen.split("]")[1].split()[:3] == ["65534", "sandbox", "/tmp"]
    _, seen = run(f"import os\nprint(os.path.exists({str(ROOT)!r}), os.listdir('/'))")
    assert seen.startswith("False") and not {"proc", "sys", "home", "work"} & set(seen.split("'"))


@needs_sandbox
@pytest.mark.parametrize(
    "program",
    [
        "while True: print('x' * 10000)",
        "import sys\nsys.setrecursionlimit(10**9)\nf = lambda: f()\nf()",
        "f = '(' * 10**5\nexec(f)",
        "import ctypes\nctypes.string_at(0)",
        "import os\nos.abort()",
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=[9]).start()",
        "raise KeyboardInterrupt",
        "import os\nwhile True: os.fork()",
        "x = [0]\nwhile True: x += x",
    ],
)
def test_programs_that_do_too_much_end(run: Run, program: str) -> None:
    status, output = run(program, seconds=3.0)
    assert status != 0 and len(output) <= 8 << 20
    assert run("print(input())", "still there") == (0, "still there\n")


@needs_sandbox
def test_memory_bounds_threads_whatever_their_stack(run: Run) -> None:
    program = """
        import os, threading, time
        threading.stack_size({})
        count = 0
        try:
            while True:
                threading.Thread(target=time.sleep, args=[600], daemon=True).start()
                count += 1
        except RuntimeError:
            print(count)
        sys.stdout.flush()
        os._exit(0)
    """
    counts = [int(run(program.format(size))[1]) for size in (1 << 15, 1 << 20, 8 << 20)]
    assert counts[0] == 0 and 500 < counts[1] < 1100 and 50 < counts[2] < 130


@needs_sandbox
def test_late_programs_are_killed(run: Run) -> None:
    assert run("import time\nprint(1, flush=True)\ntime.sleep(600)", seconds=1.0) == (None, "1\n")
    thread = "import threading, time\nthreading.Thread(target=time.sleep, args=[600]).start()\nprint(2)"
    assert run(thread, seconds=1.0)[0] is None


@needs_sandbox
def test_a_flood_on_standard_error_holds_nothing_up(run: Run) -> None:
    assert run("import sys\nfor _ in range(500): sys.stderr.write('x' * 10**6)\nprint('ok')") == (0, "ok\n")


@needs_sandbox
@pytest.mark.parametrize("boxed", [True, False])
def test_nothing_is_left_when_its_owner_is_killed(boxed: bool) -> None:
    script = f"""
        from tw_plugins.verifiers.code import sandbox
        with sandbox.guest("program", {boxed}) as process:
            print(process.process.pid, flush=True)
            process.request({{"do": "load", "program": "while True: pass", "setup": "", "seconds": 99}}, 99)
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    owner = subprocess.Popen(
        [sys.executable, "-c", dedent(script)], stdout=subprocess.PIPE, env=environment, text=True
    )
    assert owner.stdout is not None
    with owner.stdout:
        first = psutil.Process(int(owner.stdout.readline()))
    time.sleep(1)
    started = [first, *first.children(recursive=True)]
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert not psutil.wait_procs(started, timeout=30)[1]


# Through the setting `verifier`, in its processes.

REFERENCE = ["assert f(3) == 6"]


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pool, "_pools", {})
    monkeypatch.setattr(verifiers, "_outcomes", verifiers._Outcomes())
    yield
    for one in pool._pools.values():
        one.close()


@needs_sandbox
@pytest.mark.parametrize("verifier", ["code", "code_without_sandbox"])
def test_a_wrong_program_is_a_zero_and_no_failure(verifier: str, pools: None) -> None:
    settings = VerifierSettings(verifier=verifier, verifier_timeout_s=20.0)
    check_verifier(settings)
    verdicts = [
        verify(Task("?", f"</think>\n```python\ndef f(x): {body}\n```<|im_end|>", REFERENCE), settings)
        for body in ("return 2 * x", "return x", "import os; os.fork(); return 6", "import os; os._exit(0)")
    ]
    assert [(verdict.score, verdict.failed) for verdict in verdicts] == [(1, None)] + [(0, None)] * 3
    broken = verify(Task("?", "", ""), settings)
    assert broken.score == 0 and broken.failed is not None and "has no tests" in broken.failed


@needs_sandbox
def test_a_program_that_takes_all_the_time_is_no_failure(pools: None) -> None:
    settings = VerifierSettings(verifier="code", verifier_timeout_s=6.0)
    verdict = verify(Task("?", "```\nwhile True: pass\n```", REFERENCE), settings)
    assert (verdict.score, verdict.failed) == (0, None)


def test_a_missing_bubblewrap_is_one_line_at_the_start(
    pools: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        VerifierError, match=r"bubblewrap is not installed: `apt-get install bubblewrap`.*code_without"
    ) as caught:
        check_verifier(VerifierSettings(verifier="code"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("bwrap: No permissions to create new namespace", "allow user namespaces"),
        ("bwrap: Unknown option --size", "older than 0.7"),
    ],
)
def test_one_that_is_not_allowed_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, advice: str
) -> None:
    (tmp_path / "bwrap").write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    why = sandbox.problem()
    assert why is not None and said in why and advice in why and "\n" not in why
