"""math-verify as its users call it, for comparison."""

from __future__ import annotations


def math_verify_equal(answer: str, reference: str) -> bool:
    """In this process, one second for each step; by SIGALRM, so in the main thread alone."""
    from math_verify import parse, verify

    right, given = (parse(f"\\boxed{{{text}}}", parsing_timeout=1) for text in (reference, answer))
    return bool(verify(right, given, timeout_seconds=1))
