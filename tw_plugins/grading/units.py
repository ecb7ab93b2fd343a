r"""Units, money and percent signs: what they are, and the answer without them.

A text after a value is a unit, whatever it says, unless it changes the value (``5 \text{ or more}``). Bare
words are units if they are known. A letter that stands alone is a variable, never a unit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Bare", "bare"]

_NAMES_OF = {
    "mm": "millimeter millimetre", "cm": "centimeter centimetre", "m": "meter metre", "g": "gram",
    "km": "kilometer kilometre", "in": "inch inche", "ft": "foot feet", "yd": "yard", "mi": "mile",
    "kg": "kilogram", "lb": "pound", "oz": "ounce", "l": "liter litre", "s": "sec second", "minute": "min",
    "hour": "hr h", "degree": "deg", "radian": "rad", "dollar": "usd buck", "square": "sq", "cubic": "cu",
    "kmh": "kph", "euro": "eur",
}  # fmt: skip
_SAME = {other: name for name, others in _NAMES_OF.items() for other in others.split()}
_MORE = (
    "dm mg ml ton tonne gallon day week month year cent euro rupee yen unit mph hz khz joule watt volt ohm "
    "newton people person student way point apple coin ticket time"
)
_KNOWN = {*(name for name in (*_SAME, *_NAMES_OF) if len(name) > 1), *_MORE.split()}
# Words that change what a number says: then the text stays, and the answer is another one.
_CHANGES = (
    "or and not no more less least most than except but if where with remainder mod plus minus hundred "
    "thousand million billion trillion dozen half quarter double twice factorial choose about over "
    "under above below between squared cubed root base is are to from even odd none undefined negative "
    "positive approximately percent"
)
_NO_UNIT = frozenset(_CHANGES.split())
_SCALE = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_MONEY = {"\\$": "dollar", "€": "euro", "£": "lb", "\\pounds": "lb", "¥": "yen", "₹": "rupee"}

_POWER = r"(?:\s*\^\s*(?:\{\s*-?\d\s*\}|\d))?"
_ATOM = rf"\\text\{{[^{{}}\\]*\}}{_POWER}"
_OPERATORS = "land lor in cup cap cdot times le ge ne to approx setminus"
_NO_OPERATOR = "".join(rf"(?<!\\{name})" for name in _OPERATORS.split())
_NAMES = "|".join(sorted(_KNOWN, key=len, reverse=True))
_UNITS = [
    re.compile(pattern)
    for pattern in (
        rf"(?<=[\d}})])\s*\\frac\{{\s*({_ATOM})\s*\}}\{{\s*({_ATOM})\s*\}}",
        rf"(?<=[\d}}])\s*\(\s*{_ATOM}\s*\)",
        rf"(?<=[\w}})!|]){_NO_OPERATOR}\s*{_ATOM}(?:\s*(?:\\cdot|/|\\times)?\s*{_ATOM})*|(?<=[\w}})])\s*/\s*{_ATOM}",
        rf"(?<=[\d}}])(?:\s*(?:(?:{_NAMES})s?|USD|EUR)(?![A-Za-z(\\_]))+{_POWER}\.?\s*(?=$|[,;])",
    )
]
_DEGREE = re.compile(r"\s*\^\\circ\s*(?:\\?(?:text\{)?\s*([CF])\s*\}?(?![A-Za-z]))?")
_SIGN = re.compile(r"(\\\$|\\pounds(?![A-Za-z])|[€£¥₹])\s*(?=[\d.\-]|\\frac|$)")
_PERCENT = re.compile(
    r"\s*(?:\\?%|(?:\\text\{\s*)?(?<![A-Za-z])(?:percentage|per ?cent|pct)(?![A-Za-z])\s*\}?)"
)
_SCALED = re.compile(rf"(?<=\d)\s*(?:\\text\{{\s*)?({'|'.join(_SCALE)})(?![a-z])\s*\}}?")


@dataclass(frozen=True)
class Bare:
    """A text without what it carries."""

    text: str
    units: frozenset[str]
    percent: bool


def bare(text: str) -> Bare:
    r"""The value of ``\$5``, ``5 \text{ cm}^2``, ``25\%`` or ``90^\circ`` beside what it carries."""
    percent = bool(_PERCENT.search(text))
    text = _SCALED.sub(lambda scale: rf"\times 10^{{{_SCALE[scale[1]]}}}", text)
    text = _PERCENT.sub(" ", text)
    units: set[str] = set()

    def take(found: re.Match[str]) -> str:
        name = _name(found[0])
        units.update({name} if name else ())
        return found[0] if name is None else " "

    stripped = _SIGN.sub(take, _DEGREE.sub(take, text))
    for pattern in _UNITS:
        stripped = pattern.sub(take, stripped)
    # Several units are parts of one value: 2 hours 30 minutes.
    kept = text if len(units) > 1 else stripped
    return Bare(re.sub(r"\s+", " ", kept).strip().rstrip("."), frozenset(units), percent)


def _name(text: str) -> str | None:
    """One name for each unit, with its powers; empty for no word, None for what is no unit."""
    if sign := _SIGN.match(text):
        return _MONEY[sign[1]]
    if degree := _DEGREE.match(text):
        return f"degree {degree[1] or ''}".strip()
    words = re.findall(r"[A-Za-z]+", re.sub(r"\\[a-z]+", " ", text).lower())
    if _NO_UNIT.intersection(words):
        return None
    names = [_singular(word) for word in words]
    powers = [*re.findall(r"\^\s*\{?\s*(-?\d)", text), *("2" for name in names if name == "square")]
    powers += ["3" for name in names if name == "cubic"]
    per = ["/"] if "/" in text or "\\frac" in text or "per" in names else []
    return " ".join([*(name for name in names if name not in {"square", "cubic", "per"}), *powers, *per])


def _singular(word: str) -> str:
    word = word if word in _SAME or len(word) < 3 else word.removesuffix("s")
    return _SAME.get(word, word)
