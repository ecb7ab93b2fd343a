"""What a run needs of us on the device that it was asked for: on GPUs nothing, on the CPU a port of OpenRLHF.

Only `DS_ACCELERATOR=cpu`, DeepSpeed's own variable, asks for the CPU: a machine without an accelerator may be
the one that submits jobs to a cluster, where OpenRLHF has to behave as it does without us. The port is woken
by its name, nothing imports it.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tw_plugins.adapter.seams import Seam

VARIABLE = "DS_ACCELERATOR"
CPU_PORT = "openrlhf_ext.cpu.port"
ON_THE_CPU = f"set {VARIABLE}=cpu to train on the CPU"


@dataclass(frozen=True)
class Device:
    """A device to train on.

    Attributes:
        name: as torch has it.
        attention: the implementation that `--tw.preset` takes there.
        environment: variables of every process of a run; what the user has set stays.
        ray: options of `ray.init`, besides upstream's.
        seams: further places in OpenRLHF that are hung on to.
        prepare: called before OpenRLHF is imported, perhaps more than once.
        flag_problems: one line for each flag of `train_ppo_ray`, as upstream parsed them, that cannot work.
    """

    name: str
    attention: str
    environment: Mapping[str, str] = field(default_factory=dict)
    ray: Mapping[str, Any] = field(default_factory=dict)
    seams: tuple[Seam, ...] = ()
    prepare: Callable[[], None] = lambda: None
    flag_problems: Callable[[Any], Iterable[str]] = lambda args: ()

    def export(self) -> None:
        """Set the variables of `environment` that are not set yet."""
        for name, value in self.environment.items():
            os.environ.setdefault(name, value)


GPU = Device("cuda", "trie")


def chosen_device() -> Device:
    """The CPU where `DS_ACCELERATOR=cpu`, else a GPU."""
    if os.environ.get(VARIABLE) != "cpu":
        return GPU
    device: Device = importlib.import_module(CPU_PORT).CPU
    return device
