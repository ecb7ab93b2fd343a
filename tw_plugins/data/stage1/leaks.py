r"""Results in text: what one piece of reasoning finds, and another must not know before it.

Three kinds, each however it is written: values (``1,234`` is 1234, ``\frac{1}{2}`` is 0.5, "seven" is 7; -5
is not 5), equations (`tw_plugins.evaluation.equations`), and formulas behind "=" or "is" (``x = \sqrt{3}``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction

from tw_plugins.evaluation.equations import equations

__all__ = ["leaks"]

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDS = {word: number for number, word in enumerate(_SMALL.split())}
_WORDS |= {word: 10 * number for number, word in enumerate(_TENS.split(), 2)}
_SCALES = {"hundred": 100, "thousand": 1000, None: 1}
_STATES = r"(?:is|are|equals?|equal\s+to|be|gives?|yields?|makes?|gets?)"
_IN_WORDS = re.compile(
    rf"(?P<states>(?:\b{_STATES}|=)\s+)?\b(?P<tens>{'|'.join(_TENS.split())})?[-\s]?"
    rf"\b(?P<small>{'|'.join(_SMALL.split())})?\b(?:\s+(?P<scale>hundred|thousand)\b)?"
    r"(?P<ends>(?=\s*(?:[.,;:)]|$|and\b|so\b)))?",
    re.IGNORECASE | re.MULTILINE,
)
_LABEL = re.compile(r"\b(?:case|step|part|option|equation|line|thread|piece|method)s?\s*\(?\d+\)?", re.I)
_NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,300}(?!\d)|\d{1,1000})(?:\.\d{1,1000})?"  # Python reads 4,300 digits
_VALUE = re.compile(
    rf"(?P<sign>(?:^|(?<=[\s=(\[{{,;:<>+*/^]))-)?(?<![A-Za-z_\d.])(?P<over>{_NUMBER})"
    rf"(?:\s*/\s*(?P<under>{_NUMBER}))?",
    re.MULTILINE,
)
_FORMULA = re.compile(r"\\[A-Za-z]+|[\w)}][-+*/^][\w({\\]")


def leaks(text: str, threads: Iterable[str], shared: str, own: str = "") -> list[str]:
    """Results of a text that the threads have and that cannot be known before them, as they are written.

    Args:
        shared: everything before the threads.
        own: more that the writer knows; a number word in it (as in counting) is no result.
    """
    pieces = list(threads)
    text = _LABEL.sub(" ", text)
    known = _values(_digits(shared)) | _values(_plain(own))
    found = set[Fraction]().union(*(_values(_digits(piece)) for piece in pieces))
    values = [match[0] for match in _matches(_digits(text, stated=True))
              if (value := _value(match)) in found and value not in known]  # fmt: skip
    new = equations(text) - equations(shared) - equations(own)
    theirs = set().union(*map(equations, pieces))
    lines = [f"{equation.lhs} = {equation.value}" for equation in sorted(new & theirs)]
    before, after = f"{_compact(shared)}\n{_compact(own)}", "\n".join(map(_compact, pieces))
    formulas = [one for one in _formulas(text) if _stands_in(one, after) and not _stands_in(one, before)]
    return [*values, *lines, *formulas]


def _plain(text: str) -> str:
    """One way to write fractions, signs and spaces."""
    text = text.replace("−", "-").replace("{,}", ",")
    text = re.sub(r"\\[,!]", "", text)
    text = re.sub(r"\\left\b|\\right\b|\\[;: ()\[\]]|[$&]", " ", text)
    text = re.sub(r"\\[dt]?frac\s*(\d)\s*(\d)", r" \1/\2 ", text)
    text = re.sub(r"\\[dt]?frac\s*\{\s*([\d.,]+)\s*\}\s*\{\s*([\d.,]+)\s*\}", r"\1/\2", text)
    return re.sub(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"(\1)/(\2)", text)


def _digits(text: str, stated: bool = False) -> str:
    """The text with number words in digits.

    Args:
        stated: only those that end what "is" or "equals" begins, so "in two ways" stays.
    """

    def number(match: re.Match[str]) -> str:
        tens, small, scale = match["tens"], match["small"], match["scale"]
        if not (tens or small) or (stated and not (match["states"] and match["ends"] is not None)):
            return match[0]
        value = _WORDS.get((tens or "").lower(), 0) + _WORDS.get((small or "").lower(), 0)
        return f"{match['states'] or ' '}{value * _SCALES[scale and scale.lower()]}"

    return _IN_WORDS.sub(number, _plain(text))


def _matches(text: str) -> list[re.Match[str]]:
    return list(_VALUE.finditer(text))


def _value(match: re.Match[str]) -> Fraction:
    over, under = (Fraction((match[name] or "1").replace(",", "")) for name in ("over", "under"))
    value = over / under if under else over
    return -value if match["sign"] else value


def _values(text: str) -> set[Fraction]:
    """Values of a text; who knows -5 knows 5, and "100,200" may be two numbers."""
    values: set[Fraction] = set()
    for match in _matches(text):
        value = _value(match)
        values |= {value, abs(value)}
        values |= {Fraction(piece) for piece in match["over"].split(",")}
    return values


def _compact(text: str) -> str:
    """Formulas of a text without spaces, a line end where a word or a full stop is."""
    text = re.sub(rf"\b{_STATES}\b|\\boxed\b", "=", _plain(text))
    text = re.sub(r"(?<![\\A-Za-z])[A-Za-z]{2,}|[.;:?](?!\d)", "\n", text)
    return re.sub(r"[^\S\n]+", "", text)


def _formulas(text: str) -> list[str]:
    """What stands behind an equals sign, when it is more than a number or a letter."""
    sides = (side for line in _compact(text).splitlines() for side in line.split("=")[1:])
    cleaned = (side[1:-1] if side[:1] == "{" and side[-1:] == "}" else side for side in sides)
    stripped = (side.strip(",") for side in cleaned)
    return [side for side in stripped if _FORMULA.search(side) and not re.fullmatch(r"[-\d/.,%]+", side)]


def _stands_in(formula: str, compact: str) -> bool:
    return re.search(rf"(?<![\w.\\]){re.escape(formula)}(?!\w)", compact) is not None
