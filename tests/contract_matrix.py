"""`make contracts`: the contract tests of an environment's framework, with other versions of it.

    python -m tests.contract_matrix verl
    python -m tests.contract_matrix verl --ref ~/verl      a checkout, of `main` for example

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
VERSIONS = {
    "verl": {"0.9.0": False, "0.9.1": True},
    "openrlhf": {"0.11.0": True, "0.11.1": True, "0.11.2": True},
}
"""And whether their contracts hold."""


@dataclass(frozen=True)
class Result:
    """What a version's contract tests said.

    Attributes:
        summary: pytest's last line, or why there is none.
        moved: the tests that failed, which name what is another than it was.
    """

    version: str
    holds: bool
    summary: str
    moved: tuple[str, ...] = ()


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


def run(name: str, version: str, folder: Path) -> Result:
    """The contract tests with that version, which is in ``folder``, first on the path."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    where = [sys.executable, "-c", f"from importlib.util import find_spec as f; print(f('{name}').origin)"]
    found = subprocess.run(where, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    if found.stdout.strip() != str(folder / name / "__init__.py"):
        return Result(version, False, f"another one was imported: {found.stdout.strip()}")
    tests = [sys.executable, "-m", "pytest", "-q", "--no-header", f"tests/unit/{name}_ext/test_contracts.py"]
    done = subprocess.run(tests, env=environment, cwd=ROOT, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines()
    moved = tuple(line.partition("::")[2] for line in lines if line.startswith(("FAILED", "ERROR")))
    return Result(version, done.returncode == 0, lines[-1], moved)


def table(name: str, supported: str, results: list[Result]) -> list[str]:
    """One line per version, and one for each seam that moved."""
    lines = []
    for result in results:
        known = result.version in VERSIONS[name]
        ours = known and SpecifierSet(supported).contains(result.version)
        refused = f"not supported ({name}{supported}): a run is refused"
        status = "supported" if ours else refused if known else "a checkout"
        contracts = "hold" if result.holds else "broken"
        lines.append(f"{name} {result.version:8} contracts {contracts:7} {status:12} [{result.summary}]")
        lines += [f"    {seam}" for seam in result.moved]
    return lines


def main() -> int:
    """Status 1 where a version's contracts are not as `VERSIONS` says, or a checkout's are broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("framework", choices=VERSIONS)
    parser.add_argument("--ref", type=Path, help="folder of a source checkout, instead of the known versions")
    asked = parser.parse_args()
    name, expected = asked.framework, VERSIONS[asked.framework]
    supported: str = importlib.import_module(f"{name}_ext.seams").SUPPORTED.versions[name]
    if asked.ref is None:
        results = [run(name, version, install(name, version)) for version in expected]
    elif (asked.ref / name / "__init__.py").is_file():
        results = [run(name, str(asked.ref), asked.ref.resolve())]
    else:
        parser.error(f"--ref {asked.ref} has no {name}/__init__.py: give the folder of a checkout")
    print("\n".join(table(name, supported, results)))
    return int(any(result.holds != expected.get(result.version, True) for result in results))


if __name__ == "__main__":
    sys.exit(main())
