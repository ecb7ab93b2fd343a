"""`make contracts`: the contract tests of an environment's framework, with other versions of it.

    python -m tests.contract_matrix verl

Each version is installed without its dependencies into `.venv/contracts/<name>-<version>`, kept there, and
put before the environment's own. A version whose contracts hold and that is not supported is one that nobody
has trained with here.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".venv" / "contracts"
VERSIONS = {"verl": ("0.9.0", "0.9.1"), "openrlhf": ("0.11.0", "0.11.1", "0.11.2")}
WHERE = "from importlib.metadata import version as v; from importlib.util import find_spec as f"


@dataclass(frozen=True)
class Result:
    """What a version's contract tests said.

    Attributes:
        summary: pytest's last line, or why there is none.
    """

    version: str
    holds: bool
    summary: str


def install(name: str, version: str) -> Path:
    """The folder with that version, installed at its first use.

    Raises:
        subprocess.CalledProcessError: pip could not; it has said why.
    """
    folder = FOLDER / f"{name}-{version}"
    if not folder.is_dir():
        unfinished = folder.with_suffix(".unfinished")
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--upgrade", "--target"]
        subprocess.run([*command, str(unfinished), f"{name}=={version}"], check=True)
        unfinished.rename(folder)
    return folder


def run(name: str, version: str) -> Result:
    """The contract tests with that version first on the path."""
    folder = install(name, version)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    where = [sys.executable, "-c", f"{WHERE}; print(v('{name}'), f('{name}').origin)"]
    found = subprocess.run(where, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    if found.stdout.split() != [version, str(folder / name / "__init__.py")]:
        return Result(version, False, f"another one was imported: {found.stdout.strip()}")
    tests = [sys.executable, "-m", "pytest", "-q", "--no-header", f"tests/unit/{name}_ext/test_contracts.py"]
    done = subprocess.run(tests, env=environment, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stdout)
    return Result(version, done.returncode == 0, done.stdout.strip().splitlines()[-1])


def table(name: str, supported: str, results: list[Result]) -> list[str]:
    """One line per version."""
    lines = []
    for result in results:
        ours = SpecifierSet(supported).contains(result.version)
        status = "supported" if ours else f"not supported ({name}{supported}): a run is refused"
        contracts = "hold" if result.holds else "broken"
        lines.append(f"{name} {result.version:8} contracts {contracts:7} {status:12} [{result.summary}]")
    return lines


def main() -> int:
    """Status 1 where a supported version's contracts are broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("framework", choices=VERSIONS)
    name = parser.parse_args().framework
    supported: str = importlib.import_module(f"{name}_ext.seams").SUPPORTED.versions[name]
    results = [run(name, version) for version in VERSIONS[name]]
    print("\n".join(table(name, supported, results)))
    return int(
        any(not result.holds for result in results if SpecifierSet(supported).contains(result.version))
    )


if __name__ == "__main__":
    sys.exit(main())
