"""What the doctors of both frameworks do: versions, then every seam, in this process and in a Ray worker."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from tw_plugins.adapter.check import Check
from tw_plugins.adapter.seams import Seam, in_ray, seam_check, version_checks
from tw_plugins.adapter.versions import Supported, installed


def framework_checks(
    framework: str,
    supported: Supported,
    process_checks: Callable[[str], list[Check]],
    with_ray: bool,
    prepare: Callable[[], Iterable[Check]] = lambda: (),
    runtime_env: dict[str, Any] | None = None,
) -> list[Check]:
    """All checks of a framework; none where it is not installed, of a wrong version only that.

    Args:
        framework: as its users write it; in lower case the name of its distribution.
        process_checks: the checks of the process that calls it, given their section.
        prepare: called in this process before its checks, for what the launcher of a run does there.
        runtime_env: of the Ray worker.
    """
    if installed(framework.lower()) is None:
        return []
    versions = list(version_checks(f"{framework} · versions", supported))
    if supported.problems():
        return versions  # the seams of another version are no further finding
    checks = [*versions, *prepare(), *process_checks(f"{framework} · driver")]
    if with_ray:
        checks += in_ray(f"{framework} · Ray worker", process_checks, runtime_env)
    return checks


def seam_checks(section: str, seams: Iterable[Seam]) -> list[Check]:
    """The seams of the process that calls it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of optional parts that are not installed
        return [seam_check(section, seam) for seam in seams]
