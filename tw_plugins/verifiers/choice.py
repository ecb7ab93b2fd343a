r"""Multiple choice: the letter as people publish it (`B`, `(B)`, `B.`, `\textbf{(B)}`), or what it says.

The choices are read from the prompt, each on a line (`B. Paris`, `(B) Paris`) or in a row (`(A) 3 (B) 5`).
Where an answer gives a letter and a text, both must be right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tw_plugins.grading import extract_answer

__all__ = ["answer_in", "choices_in", "verify"]

_STYLE = re.compile(r"\\(?:text|textbf|textit|mathbf|mathrm|mathit|textrm|boldsymbol)\s*(?=\{)")
_SPACE = re.compile(r"\\(?:qquad|quad|[ ,;:!])|~|\s+")
_LABEL = re.compile(r"\(?\s*([A-Z]|\d)\s*(?:[.:)]\s*)*")
_LABELLED = re.compile(r"(?:\(\s*([A-Z]|\d)\s*\)|([A-Z]|\d)\s*[.:)])[.:]?\s*(.+)")
_LINE = re.compile(r"^[ \t]*[-*]?[ \t]*(?:\(([A-Z])\)|([A-Z])[.:)])[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_IN_A_ROW = re.compile(r"\(([A-Z])\)[ \t]*([^()\n]+?)[ \t]*(?=\([A-Z]\)|$)", re.MULTILINE)
_SAID = re.compile(
    r"(?i:answer(?:\s+is)?)\s*:?\s*[*$]*\(?([A-Z]|\d)\)?(?![\w')])"
    r"(?!\s*(?:or|and|,|/)\s*\(?(?:[A-Z]|\d)\b)"  # of two letters neither
)
_SHOWN = 20_000  # characters at the end of a text in which a sentence is looked for


def verify(prompt: str, text: str, reference: Any, extra: Mapping[str, Any]) -> bool:
    """Whether the final answer is the right choice: the last box, `Answer: B`, or `the answer is (B)`.

    Raises:
        ValueError: the reference is none of the choices.
    """
    choices = choices_in(prompt)
    right = _read(str(reference), choices)
    if choices and right[0] not in choices:
        raise ValueError(
            f"reference {reference!r} is none of the choices {', '.join(choices)}: give the letter"
        )
    answer = answer_in(text)
    if answer is None:
        return False
    label, content = _read(answer, choices)
    if label and right[0]:
        return label == right[0]
    return bool(content) and content == right[1]


def answer_in(text: str) -> str | None:
    """The last box or last line ``Answer: …``, else the last letter that is said to be the answer."""
    return extract_answer(text, answer_line=True) or _last_said(text)


def choices_in(prompt: str) -> dict[str, str]:
    """Letter → what it says, of the choices that a prompt lists from A on; empty for none."""
    plain = _bare(prompt, lines=True)
    for pattern in (_LINE, _IN_A_ROW):
        found = [
            (next(filter(None, match.groups()[:-1])), match[match.re.groups])
            for match in pattern.finditer(plain)
        ]
        starts = [place for place, (letter, _) in enumerate(found) if letter == "A"]
        choices = dict(found[starts[-1] :]) if starts else {}  # the last list: the one that is asked about
        if len(choices) > 1 and list(choices) == [chr(ord("A") + place) for place in range(len(choices))]:
            return {letter: _plain(said) for letter, said in choices.items()}
    return {}


def _last_said(text: str) -> str | None:
    said = _SAID.findall(text.rpartition("</think>")[2][-_SHOWN:])
    return said[-1] if said else None


def _read(text: str, choices: Mapping[str, str]) -> tuple[str, str]:
    """Letter and content of an answer; "" for what it does not give, or where the two disagree."""
    bare = _bare(text)
    if (match := _LABEL.fullmatch(bare)) and (not choices or match[1] in choices):
        return match[1], choices.get(match[1], "")
    label, content = "", _plain(bare)
    if match := _LABELLED.fullmatch(bare):
        label, content = match[1] or match[2], _plain(match[3])
    if not choices:
        return label, content
    says = [letter for letter, said in choices.items() if said == content]
    if label and choices.get(label) != content:
        return "", ""
    return (label or (says[0] if len(says) == 1 else "")), content


def _bare(text: str, lines: bool = False) -> str:
    """Without markup; with `lines`, line breaks stay."""
    text = _STYLE.sub("", text).translate({ord(mark): None for mark in "{}$*"})
    rows = [_SPACE.sub(" ", row).strip() for row in text.split("\n")]
    return "\n".join(rows) if lines else " ".join(filter(None, rows))


def _plain(text: str) -> str:
    return _bare(text).rstrip(". ").casefold()
