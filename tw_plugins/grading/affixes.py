r"""What an answer carries beside its value: a unit, a percent sign, a choice's letter, a condition.

Each may be missing on one side: ``5 \text{ cm}`` is ``5``, ``25\%`` is ``25`` (or a quarter, where the other
side says so), ``\textbf{(B) }17`` is ``B`` or ``17``. Where both sides have one, the two must agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tw_plugins.grading.conditions import without_conditions
from tw_plugins.grading.units import bare

__all__ = ["readings"]

_CHOICE = re.compile(
    r"(?:\\text\{\s*\(?([A-J])[).:]+\s*\}|\(\s*([A-J])\s*\)|\(\\text\{\s*([A-J])\s*\}\)|([A-J])[).](?=\s))"
    r"[.:\s]*(.*)"
)
_MODULUS = re.compile(r"\(?\s*(?:\\mod|(?<![A-Za-z\\])mod)(?![A-Za-z])\s*\{?\s*([^{}()]+?)\s*\}?\s*\)?$")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*\^\\circ")
_TURNING = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")


def readings(answer: str, reference: str) -> Iterator[tuple[str, str]]:
    """Pairs of bare texts; the two are equivalent when those of any pair are."""
    (answer, modulus), (reference, other) = _modulus(answer), _modulus(reference)
    if modulus != other:
        return
    for given, wanted in _choices(*without_conditions(answer, reference)):
        yield from _values(*_in_radians(given, wanted))


def _modulus(text: str) -> tuple[str, str]:
    r"""The modulus of ``3 \pmod 5`` is part of what it says; empty where there is none."""
    match = _MODULUS.search(text)
    return (text[: match.start()].strip(), match[1].strip()) if match else (text, "")


def _choices(answer: str, reference: str) -> Iterator[tuple[str, str]]:
    (letter, content), (right, wanted) = _choice(answer), _choice(reference)
    if letter and right:
        # The letter says it, and where both say more, that must agree too.
        if letter == right:
            yield (content, wanted) if content and wanted else (letter, right)
        return
    yield answer, reference
    if content:
        yield letter, reference
        yield content, reference
    if wanted:
        yield answer, right
        yield answer, wanted


def _choice(text: str) -> tuple[str, str]:
    """Letter and content of ``(B) 17``; both empty for anything else."""
    match = _CHOICE.fullmatch(text)
    return (next(filter(None, match.groups()[:4])), match[5].strip()) if match else ("", "")


def _in_radians(answer: str, reference: str) -> tuple[str, str]:
    """Degrees within a sine, or against a number of π, are that many π/180."""

    def turned(text: str, beside: str) -> str:
        against_pi = "\\pi" in beside and not _DEGREES.search(beside)
        return _DEGREES.sub(r"\\frac{\1\\pi}{180}", text) if against_pi or _TURNING.search(text) else text

    return turned(answer, reference), turned(reference, answer)


def _values(answer: str, reference: str) -> Iterator[tuple[str, str]]:
    given, wanted = bare(answer), bare(reference)
    if given.units and wanted.units and given.units != wanted.units:
        return
    yield given.text, wanted.text
    # One percent sign: 25% is 25 where the question asks for percents, and a quarter where it does not.
    if given.percent and not wanted.percent:
        yield rf"\frac{{{given.text}}}{{100}}", wanted.text
    if wanted.percent and not given.percent:
        yield given.text, rf"\frac{{{wanted.text}}}{{100}}"
