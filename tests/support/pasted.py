"""The commands that a document asks its reader to paste."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

BLOCK = re.compile(r"^```bash\n(.*?)^```|^((?: {4}\S.*\n)+)", re.MULTILINE | re.DOTALL)


def commands(document: Path) -> list[list[str]]:
    """Each command's words, of blocks fenced as bash and indented by four spaces; comments left out.

    Shell variables and substitutions stay as they are written.
    """
    blocks = (fenced or indented for fenced, indented in BLOCK.findall(document.read_text(encoding="utf-8")))
    lines = (line for block in blocks for line in block.replace("\\\n", " ").splitlines())
    return [words for line in lines if (words := _words(line))]


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a drawing
        return []
