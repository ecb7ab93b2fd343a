"""verl's own scorers by `data_source`: gsm8k, MATH, DAPO, AIME and the others of `default_compute_score`.

Seam: `default_compute_score` (`verl/utils/reward_score/__init__.py`). It runs in a process of the verifier's
pool, since some of them evaluate what a model wrote. Those of code would run it: their sources go to our
sandbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from verl.utils.reward_score import default_compute_score

from tw_plugins.verifiers import code

__all__ = ["verify"]

CODE = ("codecontests", "apps", "codeforces", "taco")
"""Sources whose scorer runs programs in its own process (`prime_code`), without a sandbox."""


def verify(prompt: str, text: str, reference: Any, extra: Mapping[str, Any], seconds: float = 60.0) -> float:
    """`acc` where the scorer's result has one, since DAPO's and AIME's scores are −1 and 1; else the score.

    Of code, whether the program passes all cases, where verl's scorer gives the share of the first ten.

    Args:
        seconds: for a program.

    Raises:
        NotImplementedError: a source that verl does not know.
    """
    source = extra["data_source"]
    if source in CODE:
        return float(code.verify(prompt, text, reference, extra, seconds))
    # Published GSM8K has its answers behind the working, verl's own files the answer alone.
    reference = reference.rpartition("####")[2].strip() if isinstance(reference, str) else reference
    result = default_compute_score(source, text, reference, dict(extra))
    if isinstance(result, dict):
        result = result["acc"] if "acc" in result else result["score"]
    return float(result)


def check(sources: Iterable[str]) -> None:
    """
    Raises:
        ValueError: every source that verl has no scorer for, or whose scorer lacks a package; or there are
            programs to run, and no sandbox.
    """
    sources = set(sources)
    if programs := sorted(sources & set(CODE)):
        try:
            code.check()
        except ValueError as error:
            raise ValueError(f"data_source {', '.join(programs)}: {error}") from error
    problems = []
    for source in sorted(sources - set(CODE)):
        try:
            with suppress(AttributeError, IndexError, KeyError, TypeError, ValueError):  # of the empty answer
                default_compute_score(source, "", "")
        except NotImplementedError:
            problems.append(f"verl has no scorer for data_source {source}")
        except ImportError as error:
            problems.append(f"verl's scorer of data_source {source} needs a package: {error}")
    if problems:
        raise ValueError("; ".join(problems))


verify.check = check  # type: ignore[attr-defined]  # asked at the start with all sources of the data
