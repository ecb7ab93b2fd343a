"""A toy problem's worked solution, sequential or in threads."""

from __future__ import annotations

from tw_plugins.toy.digits import GROUP_NAMES, RESULT_NAMES, Problem


def solution(problem: Problem, parallel: bool) -> str:
    r"""The response text, from ``<think>`` to ``\boxed{…}``, without an end-of-sequence token.

    With ``parallel`` every group is a thread of one block (grammar: P4).

    Raises:
        ValueError: ``parallel`` for a chain problem, whose groups need one another.
    """
    if parallel and problem.kind == "chain":
        raise ValueError("a chain problem has no parallel solution: its groups need one another's results")
    lines = group_lines(problem)
    working = _block(lines) if parallel else "".join(f"{line}\n" for line in lines)
    return f"<think>\n{working}{_combination(problem)}</think>\n\\boxed{{{problem.answer}}}"


def group_lines(problem: Problem) -> list[str]:
    """One line of working per group: its name, start value, steps, and its result under a name of its own."""
    lines = []
    value = 0
    for name, result_name, group in zip(GROUP_NAMES, RESULT_NAMES, problem.lettered, strict=False):
        value = value if problem.kind == "chain" else 0
        line = f"{name}:{value}"
        for letter, digit in group:
            line += f"{letter}{digit}-{value}={abs(digit - value)}"
            value = abs(digit - value)
        lines.append(f"{line}{result_name}{value}")
    return lines


def _block(lines: list[str]) -> str:
    outlines = "".join(f"<Outline>{i}: {line[0]}</Outline>\n" for i, line in enumerate(lines, 1))
    threads = "".join(f"<Thread>\n{i}: {line}\n</Thread>" for i, line in enumerate(lines, 1))
    return f"<Parallel>\n<Outlines>\n{outlines}</Outlines>\n{threads}\n</Parallel>\n"


def _combination(problem: Problem) -> str:
    """``U2V5=3W1=2`` and a newline: the groups' results folded. A chain has nothing to combine."""
    if problem.kind == "chain":
        return ""
    value, *rest = problem.results
    text = f"{RESULT_NAMES[0]}{value}"
    for name, result in zip(RESULT_NAMES[1:], rest, strict=False):
        value = abs(result - value)
        text += f"{name}{result}={value}"
    return text + "\n"
