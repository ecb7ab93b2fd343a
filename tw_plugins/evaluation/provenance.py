"""Where, when, by which command and with which packages figures were made."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tw_plugins.verifiers.names import shown

__all__ = ["Machine", "command", "versions"]

GIB = 1 << 30
DISTRIBUTIONS = ("tw-plugins", "verl", "openrlhf", "torch", "transformers", "vllm", "ray", "deepspeed")


@dataclass(frozen=True)
class Machine:
    """What a figure depends on besides the code.

    Attributes:
        cpu: model name.
        cores: that this process may use.
        threads: that torch uses.
        memory_gib: of the machine.
        gpu: name of the CUDA device; None where the figures are the CPU's.
        torch: version.
        date: ISO 8601.
        command: as it was typed.
    """

    cpu: str
    cores: int
    threads: int
    memory_gib: float
    gpu: str | None
    torch: str
    date: str
    command: str

    @classmethod
    def here(cls, on_gpu: bool = False) -> Machine:
        """This machine, now."""
        import torch

        return cls(
            cpu=_cpu(),
            cores=len(os.sched_getaffinity(0)),
            threads=torch.get_num_threads(),
            memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, 1),
            gpu=torch.cuda.get_device_name() if on_gpu else None,
            torch=torch.__version__,
            date=date.today().isoformat(),
            command=command(),
        )

    def __str__(self) -> str:
        gpu = f"{self.gpu}, " if self.gpu else ""
        return (
            f"{gpu}{self.cpu}, {self.cores} cores, {self.threads} threads, {self.memory_gib:.0f} GiB, "
            f"torch {self.torch}, {self.date}\n{self.command}"
        )


def _cpu() -> str:
    """The model name, where the system tells it."""
    listed = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.+)$", listed.read_text(), re.MULTILINE) if listed.exists() else []
    return names[0] if names else f"{platform.machine()} CPU"


def command() -> str:
    """The command as it was typed, without passwords that an address may hold."""
    return shlex.join(["threadweaver", *map(shown, sys.argv[1:])])


def versions() -> dict[str, str]:
    """Installed versions of everything that may take part."""
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
