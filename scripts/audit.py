"""Known vulnerabilities of pinned packages, one line per requirement list: `python scripts/audit.py LIST…`.

Asks PyPI's advisories by pip-audit. A package that they do not know (a pin of another index, a release that
was withdrawn) is named and fails nothing, unless no package of a list is known. Every list is asked about,
whatever the one before said.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

COMMAND = (
    sys.executable,
    "-m",
    "pip_audit",
    "--no-deps",
    "--disable-pip",
    "--progress-spinner=off",
    "--format=json",
)


def audit(requirements: str) -> tuple[str, bool]:
    """Asks about one list.

    Returns:
        What was found, in a few words, and whether the list was audited and has no known vulnerability.
    """
    done = subprocess.run([*COMMAND, "-r", requirements], capture_output=True, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        reason = done.stderr.strip().splitlines()[-1:] or [f"pip-audit ended with status {done.returncode}"]
        return f"not audited: {reason[0]}", False
    bad = [
        f"{package['name']} {package['version']} ({', '.join(each['id'] for each in package['vulns'])})"
        for package in packages
        if package.get("vulns")
    ]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if len(unknown) == len(packages):
        return (
            f"not audited: the advisories know none of its {len(packages)} packages, are they reachable?",
            False,
        )
    found = [f"{len(packages)} packages", f"{len(bad)} with known vulnerabilities{_listed(bad)}"]
    return ", ".join([*found, f"{len(unknown)} not known to the advisories{_listed(unknown)}"]), not bad


def _listed(names: list[str]) -> str:
    return f": {'; '.join(names)}" if names else ""


def main(lists: list[str]) -> int:
    """The number of lists that are not all right."""
    failed = 0
    for requirements in lists:
        found, good = audit(requirements)
        failed += not good
        print(f"{requirements}: {found}", flush=True)
    return failed


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
