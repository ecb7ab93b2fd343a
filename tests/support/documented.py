"""The Python files that a document shows, as modules."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.root import ROOT

FILE = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def write_files(document: str, folder: Path) -> list[str]:
    """Every block of Python that begins with a file's name, written there; their names."""
    found = FILE.findall((ROOT / document).read_text(encoding="utf-8"))
    for name, text in found:
        (folder / name).write_text(text, encoding="utf-8")
    return [name for name, _ in found]
