r"""What an answer carries beside its value: a unit, a percent sign, a choice's letter, a condition.

Each may be missing on one side: ``5 \text{ cm}`` is ``5``, ``25\%`` is ``25`` (or a quarter, where the other
side says so), ``\textbf{(B) }17`` is ``B`` or ``17``. Where both sides have one, the two must agree: metres are
no kilometres. A letter that stands alone is a variable, never a unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["readings"]

_UNITS = (
    "mm cm dm km ft feet foot yd yard in inch inche mi mile meter metre centimeter centimetre kilometer kilometre "
    "millimeter millimetre mg kg gram kilogram lb pound oz ounce ton tonne ml liter litre gallon sec second min "
    "minute hr hour day week month year degree deg radian rad dollar cent euro buck usd rupee yen unit mph kmh "
    "kph hz khz joule watt volt ohm newton people person student way point apple coin ticket time square cubic sq cu"
).split()
_SAME = {
    "feet": "ft", "foot": "ft", "yard": "yd", "inch": "in", "inche": "in", "mile": "mi", "meter": "m", "metre": "m",
    "centimeter": "cm", "centimetre": "cm", "kilometer": "km", "kilometre": "km", "millimeter": "mm",
    "millimetre": "mm", "gram": "g", "kilogram": "kg", "pound": "lb", "ounce": "oz", "liter": "l", "litre": "l",
    "sec": "s", "second": "s", "min": "minute", "hr": "hour", "h": "hour", "deg": "degree", "usd": "dollar",
    "buck": "dollar", "rad": "radian", "sq": "square", "cu": "cubic", "kph": "kmh",
}  # fmt: skip
# Words that change what a number says: no unit, so the text stays and the answer is another one.
_NO_UNIT = set(
    "or and not no more less least most than except but if where remainder mod plus minus hundred thousand million "
    "billion trillion dozen half quarter double twice about over under above below between squared cubed root base "
    "is are to from even odd none undefined negative positive approximately percent".split()
)
_SCALE = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}

_POWER = r"(?:\s*\^\s*(?:\{\s*-?\d\s*\}|\d))?"
_ATOM = rf"\\text\{{[^{{}}\\]*\}}{_POWER}"
_IN_TEXT = re.compile(
    rf"(?<=[\w}})!|])\s*{_ATOM}(?:\s*(?:\\cdot|/|\\times)?\s*{_ATOM})*|(?<=[\w}})])\s*/\s*{_ATOM}"
)
_FRACTION = re.compile(rf"(?<=[\d}})])\s*\\frac\{{\s*({_ATOM})\s*\}}\{{\s*({_ATOM})\s*\}}")
_BARE = re.compile(
    rf"(?<=[\d}}])(?:\s*(?:{'|'.join(sorted(_UNITS, key=len, reverse=True))})s?(?![A-Za-z(\\_]))+{_POWER}\.?\s*(?=$|[,;])"
)
_DEGREE = re.compile(r"\s*\^\\circ\s*(?:\\?(?:text\{)?\s*([CF])\s*\}?(?![A-Za-z]))?")
_MONEY = re.compile(r"(\\\$|\\pounds(?![A-Za-z])|[€£¥])\s*(?=[\d.\-]|\\frac|$)")
_PERCENT = re.compile(
    r"\s*(?:\\?%|(?:\\text\{\s*)?(?<![A-Za-z])(?:percentage|percent|pct)(?![A-Za-z])\s*\}?)"
)
_TURNING = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")

_CHOICE = re.compile(
    r"(?:\\text\{\s*\(?([A-J])[).:]+\s*\}|\(\s*([A-J])\s*\)|\(\\text\{\s*([A-J])\s*\}\)|([A-J])[).:](?=\s))[.:\s]*(.*)"
)
_CONDITION = re.compile(
    r"(?<![\s,;(])(?:[\s,;(]|\\text\{\s*,?\s*(?:where|for|with|and|for (?:any|all|some|every|each)(?: integers?)?)\s*\}|\\forall(?![a-z])|\\land)*"
    r"(?<![\\A-Za-z])([A-Za-z]\s*(?:\\in\s*\\mathbb\{[ZNQR]\}(?:\s*[_^]\s*(?:[+*0]|\{[^{}]*\}))?"
    r"|\\ne\s*[-\d\w,\s]+|\\in\s*\\text\{\s*integers?\s*\}))\s*\)?\s*$"
    r"|(?<![\s,;(])[\s,;(]*\\text\{\s*,?\s*\(?\s*(?:where|for|with|assuming|given|since|because|when|only)(?![a-z]).*$"
)


@dataclass(frozen=True)
class _Bare:
    """A text without what it carries."""

    text: str
    units: frozenset[str]
    percent: bool


def readings(answer: str, reference: str) -> Iterator[tuple[str, str]]:
    """Pairs of bare texts; the two are equivalent when those of any pair are. None where what they carry
    contradicts."""
    for given, wanted in _choices(*_without_conditions(answer, reference)):
        yield from _valued(*_radians(given, wanted))


def _without_conditions(answer: str, reference: str) -> tuple[str, str]:
    """A condition that only one side states, or both alike, goes: ``, k \\in \\mathbb{Z}``."""
    (given, one), (wanted, other) = map(_split_condition, (answer, reference))
    if one and other and one != other:
        return answer, reference
    return given, wanted


def _split_condition(text: str) -> tuple[str, str]:
    match = _CONDITION.search(text)
    if match is None or not text[: match.start()].strip():
        return text, ""
    return text[: match.start()].strip(), re.sub(r"[\s(),{}]", "", match[1] or match[0])


def _choices(answer: str, reference: str) -> Iterator[tuple[str, str]]:
    given, wanted = _CHOICE.fullmatch(answer), _CHOICE.fullmatch(reference)
    letters = [
        next((group for group in match.groups()[:4] if group), "") if match else ""
        for match in (given, wanted)
    ]
    contents = [match[5].strip() if match else "" for match in (given, wanted)]
    if all(letters):
        # Two choices: the letter says it, and where both say more, that must agree too.
        if letters[0] == letters[1]:
            yield (contents[0], contents[1]) if all(contents) else (letters[0], letters[1])
        return
    yield answer, reference
    if given and contents[0]:
        yield letters[0], reference
        yield contents[0], reference
    if wanted and contents[1]:
        yield answer, letters[1]
        yield answer, contents[1]


def _radians(answer: str, reference: str) -> tuple[str, str]:
    """Degrees within a sine, or against a number of π, are that many π/180."""
    one, other = (bool(_DEGREE.search(text)) for text in (answer, reference))
    texts = []
    for text, beside, marked in ((answer, reference, other), (reference, answer, one)):
        turned = _TURNING.search(text) or ("\\pi" in beside and not marked)
        texts.append(re.sub(r"(\d+(?:\.\d+)?)\s*\^\\circ", r"\\frac{\1\\pi}{180}", text) if turned else text)
    return texts[0], texts[1]


def _valued(answer: str, reference: str) -> Iterator[tuple[str, str]]:
    given, wanted = _bare(answer), _bare(reference)
    if given.units and wanted.units and given.units != wanted.units:
        return
    yield given.text, wanted.text
    # One percent sign: 25% is 25 where the question asks for percents, and a quarter where it does not.
    if given.percent and not wanted.percent:
        yield rf"\frac{{{given.text}}}{{100}}", wanted.text
    if wanted.percent and not given.percent:
        yield given.text, rf"\frac{{{wanted.text}}}{{100}}"


def _bare(text: str) -> _Bare:
    units: set[str] = set()

    def take(match: re.Match[str]) -> str:
        found = _unit_words(match[0])
        if found is None:
            return match[0]
        units.update(found)
        return " "

    def degrees(match: re.Match[str]) -> str:
        units.add(f"degree {match[1] or ''}".strip())
        return " "

    def money(match: re.Match[str]) -> str:
        units.add({"€": "euro", "£": "lb", "\\pounds": "lb", "¥": "yen"}.get(match[1], "dollar"))
        return " "

    percent = bool(_PERCENT.search(text))
    text = _PERCENT.sub(" ", _scaled(text))
    text = _MONEY.sub(money, _DEGREE.sub(degrees, text))
    for pattern in (_FRACTION, _IN_TEXT, _BARE):
        text = pattern.sub(take, text)
    return _Bare(re.sub(r"\s+", " ", text).strip().rstrip("."), frozenset(units), percent)


def _scaled(text: str) -> str:
    r"""``5 \text{ million}`` is ``5\times 10^{6}``."""
    pattern = rf"(?<=\d)\s*(?:\\text\{{\s*)?({'|'.join(_SCALE)})(?![a-z])\s*\}}?"
    return re.sub(pattern, lambda match: rf"\times 10^{{{_SCALE[match[1]]}}}", text)


def _unit_words(text: str) -> set[str] | None:
    """The words of a unit with their powers, as one; None where it is no unit."""
    words = [word.lower() for word in re.findall(r"[A-Za-z]+", re.sub(r"\\[a-z]+", " ", text))]
    if _NO_UNIT.intersection(words):
        return None
    if not words:
        return set()
    names = []
    for word in words:
        singular = word if word in _SAME or len(word) < 3 else word.removesuffix("s")
        names.append(_SAME.get(singular, singular))
    # m^2 is no m; where the power stands in words, it is one of them
    powers = re.findall(r"\^\s*\{?\s*(-?\d)", text)
    per = ["/"] if "/" in text or "\\frac" in text or "per" in names else []
    kept = [name for name in names if name not in {"square", "cubic", "per"}]
    powers += [{"square": "2", "cubic": "3"}[name] for name in names if name in {"square", "cubic"}]
    return {" ".join([*kept, *powers, *per])}
