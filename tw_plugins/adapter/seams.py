"""An adapter's seams, told once: where it hangs on to its framework, what is put there, and if it is there.

One table of them per adapter drives the hooks (`register_on_import`), the doctor and the contract tests.
Importing this module imports no framework.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from types import ModuleType
from typing import Any

from tw_plugins.adapter.check import Check, first_line
from tw_plugins.adapter.versions import Supported, installed

RAY_TIMEOUT_S = 300


@dataclass(frozen=True)
class Seam:
    """A place in a framework that an adapter hangs on to.

    Attributes:
        module: the framework's module.
        attributes: dotted names in it that are used.
        piece: what is put there, in words.
        register: who puts it there, ``package.module:function`` of ours; called with the imported module.
        in_place: whether it is there, given the imported module.
    """

    module: str
    attributes: tuple[str, ...]
    piece: str
    register: str
    in_place: Callable[[Any], bool]


def wrapped_by(owner: str, dotted: str) -> Callable[[Any], bool]:
    """`in_place` of a function: is it one of `owner`, or upstream's with one of `owner` around it?

    Args:
        owner: a module of ours. Other wrappers may stand around its own: Ray's, a CPU port's.
        dotted: the function's name in the framework's module.
    """

    def in_place(module: Any) -> bool:
        function = attrgetter(dotted)(module)
        while function is not None and getattr(function, "__globals__", {}).get("__name__") != owner:
            function = getattr(function, "__wrapped__", None)
        return function is not None

    return in_place


def seam_check(section: str, seam: Seam) -> Check:
    """Whether the module is there, has what is used of it, and has our piece."""
    try:
        module = importlib.import_module(seam.module)
        missing = [name for name in seam.attributes if not _has(module, name)]
        in_place = not missing and seam.in_place(module)
    except Exception as error:  # whatever is wrong is the finding
        return Check(section, seam.piece, "fail", f"{seam.module}: {first_line(error)}")
    if missing:
        lacks = f"{seam.module} has no {', '.join(missing)}: unsupported version"
        return Check(section, seam.piece, "fail", lacks)
    if not in_place:
        return Check(section, seam.piece, "fail", f"not registered with {seam.module}: see the plug-in")
    return Check(section, seam.piece, "ok", f"{seam.module}: {', '.join(seam.attributes)}", seam=True)


def version_checks(section: str, supported: Supported) -> Iterator[Check]:
    """One check per distribution."""
    wrong = {line.split()[0]: line for line in supported.problems()}
    for name, spec in supported.versions.items():
        have = installed(name)
        if name in wrong:
            yield Check(section, name, "fail", wrong[name])
        elif have is None:
            yield Check(section, name, "note", f"not installed (optional, {spec})")
        else:
            yield Check(section, name, "ok", f"{have} (supported: {spec})")


def in_ray(
    section: str, checks: Callable[[str], list[Check]], runtime_env: dict[str, Any] | None = None
) -> list[Check]:
    """``checks(section)`` in a worker of a small local Ray."""
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # Ray's name for: loopback only
    try:
        import ray

        ray.init(
            address="local",
            num_cpus=1,
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=100 << 20,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env=runtime_env,
        )
        try:
            found: list[Check] = ray.get(ray.remote(checks).remote(section), timeout=RAY_TIMEOUT_S)
        finally:
            ray.shutdown()
    except Exception as error:  # no port, no shared memory, no answer: all of it is a finding
        return [Check(section, "start", "fail", first_line(error))]
    return found


def _has(module: ModuleType, dotted: str) -> bool:
    target: Any = module
    for name in dotted.split("."):
        if not hasattr(target, name):
            return False
        target = getattr(target, name)
    return True
