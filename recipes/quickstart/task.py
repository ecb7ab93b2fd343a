"""What the toy's problems are, for people who read the report: in words, and one worked out."""

from __future__ import annotations

from typing import Any

from tw_plugins.toy.digits import Problem
from tw_plugins.toy.working import solution

__all__ = ["EXAMPLE", "task"]

EXAMPLE = Problem("decomposable", ((3, 5), (1, 4)))
LINES = (
    "A problem is groups of lettered digits, {prompt}: group A has the digits a = {a} and b = {b}, "
    "group B has c = {c} and d = {d}. It asks for one digit.",
    "In a group a running value, 0 at first, becomes its distance from the next digit, |digit − value|, "
    "letter by letter. Group A: |{a} − 0| = {one}, |{b} − {one}| = {first}. Group B: |{c} − 0| = {two}, "
    "|{d} − {two}| = {second}.",
    "The model writes this as A:0a{a}-0={one}b{b}-{one}={first}U{first}, "
    "and calls the groups' results U, V, …",
    "+ between groups: none needs another, so each can be a thread, and the results are combined by the "
    "same rule, |{second} − {first}| = {answer}. > between groups: each begins with the result of the one "
    "before, and there is nothing to fork.",
)


def task() -> dict[str, Any]:
    """As `tw_plugins.pages.report` shows it."""
    (a, b), (c, d) = EXAMPLE.groups
    first, second = EXAMPLE.results
    figures = {"a": a, "b": b, "c": c, "d": d, "one": a, "two": c, "first": first, "second": second}
    prompt = EXAMPLE.prompt.strip()
    lines = [line.format(prompt=prompt, answer=EXAMPLE.answer, **figures) for line in LINES]
    return {"lines": lines, "prompt": prompt, "text": solution(EXAMPLE, parallel=True)}
