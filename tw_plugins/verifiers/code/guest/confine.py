"""Limits that a process puts on itself before it runs somebody's program, and cannot take off again.

It stays one process: `fork` and `exec` are refused by a seccomp filter, threads are not. So its memory and
its processor time are bounded as a whole, and it leaves nothing behind. A thread's stack has a least size,
so that memory bounds their number too. RLIMIT_NPROC would not do: the kernel does not apply it to root, as
whom containers run, and before Linux 5.14 it counts all processes of the user.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import signal
from typing import Any

MEMORY = 1 << 30  # bytes of address space
STACK = 1 << 20  # bytes of a thread's stack, at least
FILE = 8 << 20  # bytes of one file, standard output too
FILES = 64  # open at a time

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
FILTER = 2
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # of classic BPF
# offsets in struct seccomp_data; of an argument its lower half, on little-endian machines as these
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, (16, 24, 32, 40)
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
CLONE_THREAD, MAP_STACK = 0x00010000, 0x00020000
X32 = 0x40000000  # x86's other set of numbers

# audit architecture, clone, mmap, and the system calls that are refused, by their numbers in asm/unistd.h
SYSTEM_CALLS: dict[str, Any] = {
    "x86_64": (
        0xC000003E,
        56,
        9,
        # fork vfork execve execveat: other processes; setpgid setsid: out of the group that is killed
        (57, 58, 59, 322, 109, 112),
        # kill rt_sigqueueinfo tkill tgkill rt_tgsigqueueinfo pidfd_send_signal
        (62, 129, 200, 234, 297, 424),
        # ptrace process_vm_readv process_vm_writev pidfd_getfd unshare setns
        (101, 310, 311, 438, 272, 308),
        # shmget semget msgget: memory that no limit counts; add_key keyctl bpf io_uring_setup perf_event_open
        (29, 64, 68, 248, 250, 321, 425, 298),
    ),
    "aarch64": (
        0xC00000B7,
        220,
        222,
        (221, 281, 154, 157),
        (129, 138, 130, 131, 240, 424),
        (117, 270, 271, 438, 97, 268),
        (194, 190, 186, 217, 219, 280, 425, 241),
    ),
}
CLONE3 = 435  # on both; its flags are out of a filter's sight: "not there" makes the C library take clone


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("yes", ctypes.c_uint8),
        ("no", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction)))


def confine(seconds: float) -> None:
    """From now on this process is alone and bounded.

    Args:
        seconds: of processor time, over all threads.

    Raises:
        OSError: the kernel has no seccomp filters, or none is known for this machine.
    """
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_FSIZE, FILE),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))
    libc = ctypes.CDLL(None, use_errno=True)
    rules = _rules()
    program = _Program(len(rules), (_Instruction * len(rules))(*rules))
    for option in (
        (PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0),
    ):
        if libc.prctl(*option) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {option[0]}: {os.strerror(ctypes.get_errno())}")


def _rules() -> list[_Instruction]:
    """The filter: what is not refused is allowed."""
    machine = platform.machine()
    if machine not in SYSTEM_CALLS:
        raise OSError(errno.ENOSYS, f"no filter of system calls for {machine}")
    architecture, clone, mmap, *refused = SYSTEM_CALLS[machine]
    return [
        _Instruction(LOAD, 0, 0, ARCHITECTURE),
        _Instruction(EQUAL, 1, 0, architecture),
        _Instruction(RETURN, 0, 0, KILL),
        _Instruction(LOAD, 0, 0, NUMBER),
        *_refuse(X32, by=AT_LEAST),
        *(rule for group in refused for number in group for rule in _refuse(number)),
        *_refuse(CLONE3, errno.ENOSYS),
        _Instruction(EQUAL, 0, 7, mmap),
        _Instruction(LOAD, 0, 0, ARGUMENTS[3]),
        _Instruction(ANY_BIT, 1, 0, MAP_STACK),
        _Instruction(RETURN, 0, 0, ALLOW),
        _Instruction(LOAD, 0, 0, ARGUMENTS[1]),
        _Instruction(AT_LEAST, 0, 1, STACK),
        _Instruction(RETURN, 0, 0, ALLOW),
        _Instruction(RETURN, 0, 0, REFUSE | errno.EPERM),
        _Instruction(EQUAL, 1, 0, clone),
        _Instruction(RETURN, 0, 0, ALLOW),
        _Instruction(LOAD, 0, 0, ARGUMENTS[0]),
        _Instruction(ANY_BIT, 0, 1, CLONE_THREAD),
        _Instruction(RETURN, 0, 0, ALLOW),
        _Instruction(RETURN, 0, 0, REFUSE | errno.EPERM),
    ]


def _refuse(number: int, error: int = errno.EPERM, by: int = EQUAL) -> tuple[_Instruction, ...]:
    return _Instruction(by, 0, 1, number), _Instruction(RETURN, 0, 0, REFUSE | error)
