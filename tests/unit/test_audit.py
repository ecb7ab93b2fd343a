"""`make audit`: every list has its line, and what the advisories do not know is no failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.root import ROOT

SCRIPT = ROOT / "scripts" / "audit.py"
FAKE = """
import json, sys
name = sys.argv[sys.argv.index("-r") + 1]
if name == "unreachable.txt":
    sys.exit("Traceback\\nConnectionError: no route to host")
good = {"name": "torch", "version": "2.0", "vulns": []}
bad = {"name": "pillow", "version": "1.0", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]}
unknown = {"name": "absl-py", "skip_reason": "absl-py (2.5.1) not found on PyPI"}
packages = {"bad.txt": [good, bad, unknown], "unknown.txt": [good, unknown], "mirror.txt": [unknown]}[name]
print(json.dumps({"dependencies": packages, "fixes": []}))
sys.exit(int(bad in packages))
"""


def audited(folder: Path, *lists: str) -> tuple[int, list[str]]:
    (folder / "pip_audit.py").write_text(FAKE)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *lists],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


def test_every_list_has_its_line_whatever_the_others_say(tmp_path: Path) -> None:
    status, lines = audited(tmp_path, "bad.txt", "unreachable.txt", "unknown.txt")
    assert status == 2
    assert lines == [
        "bad.txt: 3 packages, 1 with known vulnerabilities: pillow 1.0 (PYSEC-1, PYSEC-2), "
        "1 not known to the advisories: absl-py",
        "unreachable.txt: not audited: ConnectionError: no route to host",
        "unknown.txt: 2 packages, 0 with known vulnerabilities, 1 not known to the advisories: absl-py",
    ]


def test_a_list_of_which_nothing_is_known_was_not_audited(tmp_path: Path) -> None:
    status, (line,) = audited(tmp_path, "mirror.txt")
    assert status == 1 and line.startswith(
        "mirror.txt: not audited: the advisories know none of its 1 packages"
    )


def test_a_package_that_is_not_known_is_no_failure(tmp_path: Path) -> None:
    assert audited(tmp_path, "unknown.txt")[0] == 0
