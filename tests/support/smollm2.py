"""Tests on real weights need the package that ships them: skipped without, as `make test` says at its end."""

from __future__ import annotations

import pytest

from recipes.smollm2.model import NoModel, gguf_file


def problem() -> str | None:
    """Why there are no weights here; None where there are."""
    try:
        gguf_file()
    except NoModel as missing:
        return str(missing)
    return None


PROBLEM = problem()
REASON = f"NO PRETRAINED MODEL, nothing was run on one: {PROBLEM}"
needs_smollm2 = pytest.mark.skipif(PROBLEM is not None, reason=REASON)

if __name__ == "__main__" and PROBLEM:
    print(f"make test: {REASON}")
