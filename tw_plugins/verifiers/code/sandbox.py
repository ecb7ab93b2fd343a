"""Bubblewrap around a Python that has its standard library and nothing else.

Own network, processes, users, IPC and host name; the system read-only, of it what Python needs; no home, no
`/proc`, no variables; a small `/tmp`. `guest` puts the other limits on itself. Without the sandbox those
limits are all there is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tw_plugins.grading.process import JsonProcess, NotReady, WorkerDied, WorkerLate

__all__ = ["Role", "guest", "problem"]

Role = Literal["cases", "program", "tests"]
GUEST = Path(__file__).with_name("guest")
START_SECONDS = 60.0  # of a machine that is busy
MOST_BYTES = 64 << 20  # of one reply
TMP_BYTES = 64 << 20

SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
# One arena: each thread's would take 64 MiB of the address space.
VARIABLES = ("HOME=/tmp", "LANG=C.UTF-8", "MALLOC_ARENA_MAX=1")
ALONE = "try: __import__('os').fork()\nexcept PermissionError: print(input())"


@contextmanager
def guest(role: Role, boxed: bool = True) -> Iterator[JsonProcess]:
    """A module of `guest` at work; when the block ends, nothing of it is left.

    Args:
        boxed: in the sandbox.

    Raises:
        RuntimeError: it does not start.
    """
    try:
        process = JsonProcess(_command(role, boxed), START_SECONDS, most_bytes=MOST_BYTES)
    except (NotReady, OSError) as error:
        raise RuntimeError(f"the sandbox did not start: {error}") from error
    try:
        yield process
    finally:
        process.kill()


def problem(boxed: bool = True) -> str | None:
    """Why programs cannot be run here, with what to do about it, in one line; None where they can."""
    if boxed and shutil.which("bwrap") is None:
        return "bubblewrap is not installed: `apt-get install bubblewrap` (or dnf, pacman, zypper)"
    try:
        return _cannot_start(boxed) or _cannot_confine(boxed)
    except (RuntimeError, OSError, WorkerDied, WorkerLate, subprocess.TimeoutExpired) as error:
        return f"a trial program did not run: {type(error).__name__} {error}".replace("\n", " ")


def _cannot_start(boxed: bool) -> str | None:
    tried = subprocess.run(
        _command("cases", boxed),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )
    if tried.returncode == 0:
        return None
    why = " ".join(tried.stderr.split())[-300:]
    return f"bubblewrap cannot make a sandbox here ({why}): {_advice(why)}" if boxed else why


def _cannot_confine(boxed: bool) -> str | None:
    request = {"program": ALONE, "stdin": "alone", "seconds": START_SECONDS}
    with guest("cases", boxed) as process:
        if process.request(request, START_SECONDS).get("output") == "alone\n":
            return None
    return "the kernel takes no seccomp filter, without which a program cannot be kept to one process"


def _advice(why: str) -> str:
    if "Unknown option" in why:
        return "it is older than 0.7, install a newer one"
    return (
        "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces=10000; "
        "Ubuntu: kernel.apparmor_restrict_unprivileged_userns=0; "
        "Docker: --security-opt seccomp=unconfined --security-opt apparmor=unconfined)"
    )


def _command(role: Role, boxed: bool) -> list[str]:
    """`env -i`: bubblewrap itself, which is a process of the sandbox, must not know the variables either."""
    folder = "/" if boxed else str(GUEST.parent)
    start = f"import sys; sys.path.insert(0, {folder!r}); from guest.{role} import main; main()"
    python = [os.path.realpath(sys.executable), "-I", "-S", "-c", start]
    box = _bubblewrap(python[0]) if boxed else []
    return [shutil.which("env") or "env", "-i", *VARIABLES, *box, *python]


def _bubblewrap(python: str) -> list[str]:
    prefixes = (sys.base_prefix, str(Path(python).parents[1]))  # the first may be a link to the second
    readable = {python, *SYSTEM, *(f"{prefix}/{lib}" for prefix in prefixes for lib in ("lib", "lib64"))}
    return [
        shutil.which("bwrap") or "bwrap",
        *("--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox"),
        *("--cap-drop", "ALL", "--new-session", "--die-with-parent"),
        *(word for path in sorted(readable) for word in ("--ro-bind-try", path, path)),
        *(word for path in DEVICES for word in ("--dev-bind", path, path)),
        *("--ro-bind", str(GUEST), "/guest"),
        *("--size", str(TMP_BYTES), "--tmpfs", "/tmp", "--remount-ro", "/"),
    ]
