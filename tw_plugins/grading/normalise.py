r"""One way to write each thing: spacing, brackets and other dress of LaTeX, before two answers are compared.

Text to text, by tables that are read from top to bottom. Nothing here says whether two answers are equal, and
nothing changes a value: what has one (a unit, a percent sign, a choice's letter) is `grading.affixes`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from tw_plugins.grading.characters import as_latex

__all__ = ["normalise"]

Replacement = str | Callable[[re.Match[str]], str]

_FONT = (
    "text|textbf|textit|textrm|textnormal|textsf|texttt|emph|mathrm|mathbf|mathit|mathsf|mathtt|boldsymbol|bm"
    "|mbox|hbox"
)
_SIZE = "tiny|scriptsize|footnotesize|small|normalsize|large|Large|LARGE|huge|Huge"
_FUNCTION = "arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|ln|log|exp"
_SPACE = r"\\(?:quad|qquad|hspace\{[^{}]*\}|hfill|thinspace|enspace|nobreakspace)(?![A-Za-z])"

_DRESS: list[tuple[str, Replacement]] = [
    (r"[\s\u200b\ufeff]+", " "),
    (r"^\s*([*_]{1,3})(.*)\1\s*$", r"\2"),  # Markdown
    (r"^\s*(?:``|[\"“”`])(.*?)(?:''|[\"“”`])\s*$", r"\1"),
    (r"^\s*\$(?=\s*[\d.])(?!.*\$)", r"\\$"),  # money, not mathematics
    (r"(?<!\\)(?:\$|\\[()\[\]])", ""),  # mathematics in a text
    (r"\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|mathstrut|strut)(?![A-Za-z])", " "),
    (r"\\(?:middle|[mM]?left|[mM]?right|[bB]igg?[lrm]?)(?![A-Za-z])\s*\.?", ""),
    (r"\\(?:text)?color\s*\{[^{}]*\}|\\underline(?=\s*\{)", ""),
    (r"^\s*\\(?:boxed|fbox|framebox)\s*\{(.*)\}\s*$", r"\1"),
    (r"^\s*\\begin\{(aligned|align\*?|equation\*?|gathered|split)\}(.*)\\end\{\1\}\s*$", r"\2"),
    (r"\\(?:tag|label)\*?\s*\{[^{}]*\}|^\s*(?:\\therefore(?![A-Za-z])|∴)", ""),
    (rf"\\(?:{_SIZE})(?![A-Za-z])", " "),
    (r"^\s*\\text\s*\{[^{}]*(?i:answer)[^{}]*\}\s*:?", ""),
    (r"\\(?:checkmark|blacksquare|square|qed|Box)(?![A-Za-z])|[✓✔■□]", ""),
]
# Before all spaces are alike.
_DIGIT_GROUPS: list[tuple[str, Replacement]] = [
    (r"(?<=\d),?\\!\s*,?\s*(?=\d{3}(?!\d))", ""),
    (r"(?<=\d)\s*\{,\}\s*(?=\d)", ","),
    (r"(?<![\d.,^_])\d{1,3}(?:(?:\\[,;: ]|~|\{\\,\})\s*\d{3})+(?!\d)", lambda m: re.sub(r"\D", "", m[0])),
    (r"\.\d{3}(?:(?:\\[,;: ]|~|\{\\,\})\s*\d{3})+(?!\d)", lambda m: "." + re.sub(r"\D", "", m[0])),
    (r"(?<![\d.,^_/ ])\d{1,3}(?: \d{3})+(?![\d/])", lambda m: m[0].replace(" ", "")),
]
_SPACES_AND_TEXT: list[tuple[str, Replacement]] = [
    (rf"(?<!\\)\\[,;:!> ]|{_SPACE}|(?<!\\)~", " "),
    (r"\{\s*\\(?:rm|bf|it|sf)\s+([^{}]*)\}", r"\\text{\1}"),
    (rf"\\(?:{_FONT}|rm|bf|it|sf)\s*\{{", r"\\text{"),
    (r"\\(?:math(?:rm|bf|it|sf)|rm|bf|it|sf)(?![A-Za-z])\s*(?=[-+]?[\d.])", " "),
    (r"^\s*(?:\\text\{)?\s*(?i:option|choice)\s*(\(?[A-J]\)?)\s*\}?[\s.]*$", r"\1"),
    (r"\\text\{\s*([eid])\s*\}", r"\1"),
    (r"\\text\{\s*([A-J](?:\s*(?:,|and|or|,\s*and|,\s*or)\s*[A-J])+)\s*\}", r"\1"),
    (r"\\text\{\s*((?:[-+]?\d[\d.,/]*)|)\s*\}", r"\1"),
    (rf"\\operatorname\*?\s*\{{\s*({_FUNCTION}|max|min|gcd)\s*\}}", r"\\\1 "),
]
_SYNONYMS: list[tuple[str, Replacement]] = [
    (r"\\[dtc]frac", r"\\frac"),
    (r"\\[dt]binom", r"\\binom"),
    (r"\\(?:lt|less)(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    # Not followed by a letter, or by the one that somebody forgot a space before.
    (r"\\(?:leqslant|leqq|leq|le)(?![a-z]{2})|<=|=<", r"\\le "),
    (r"\\(?:geqslant|geqq|geq|ge)(?![a-z]{2})|>=", r"\\ge "),
    (r"!=|\\neq(?![A-Za-z])|\\not\s*=", r"\\ne "),
    (r"~=|\\(?:approxeq|simeq|thickapprox|doteq)(?![A-Za-z])", r"\\approx "),
    (r"\\varnothing(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset "),
    (r"\\lbrace(?![A-Za-z])", r"\\{"),
    (r"\\rbrace(?![A-Za-z])", r"\\}"),
    (r"\\(?:langle|lparen)(?![A-Za-z])", "("),
    (r"\\(?:rangle|rparen)(?![A-Za-z])", ")"),
    (r"\\lbrack(?![A-Za-z])", "["),
    (r"\\rbrack(?![A-Za-z])", "]"),
    (r"\\(?:[lr]?vert|mid)(?![A-Za-z])", "|"),
    (r"\\(?:backslash|smallsetminus)(?![A-Za-z])", r"\\setminus "),
    (r"\\mathbb\s*([A-Z])(?![A-Za-z])|\\mathbf\s*([RZNQC])(?![A-Za-z])", r"\\mathbb{\1\2}"),
    (r"\\([RZNQC])(?![A-Za-z])", r"\\mathbb{\1}"),
    (
        r"\^\s*\{\s*\\(?:circ|degree)\s*\}|\^\s*\\circ(?![A-Za-z])|\\(?:degrees?|textdegree)(?![A-Za-z])",
        r"^\\circ ",
    ),
    (r"\\imath(?![A-Za-z])", "i"),
    (r"\\lg(?![A-Za-z])", r"\\log_{10}"),
    (r"\\[bp]mod(?![A-Za-z])", r"\\mod "),
    (r"\\(?:ldots|dots|cdots|dotsc|dotsb)(?![A-Za-z])|\.\.\.", r"\\ldots "),
]
_PLAIN_NOTATION: list[tuple[str, Replacement]] = [
    (r"(?<![A-Za-z\\])(?:infinity|infty|oo)(?![A-Za-z])", r"\\infty "),
    (r"\\text\{\s*\\infty\s*\}", r"\\infty "),
    (r"(?<![A-Za-z\\])pi(?![A-Za-z])", r"\\pi "),
    (rf"(?<![A-Za-z\\])({_FUNCTION})(?=\s*[({{^\d])", r"\\\1"),
    (r"(?<![A-Za-z\\])sqrt\s*\(([^()]*)\)|\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1\2}"),
    (r"\\sqrt\s*([A-Za-z0-9])", r"\\sqrt{\1}"),
    (r"\\sqrt\s*(\\[a-z]+)(?=[^A-Za-z{\[]|$)", r"\\sqrt{\1}"),
    (r"(?<=\d)[eE]([+-]?\d+)(?![\d.])(?=\s*(?:$|[,;)\]}]))", r"\\times 10^{\1}"),
]
_AND_OR: list[tuple[str, Replacement]] = [
    (
        rf",?\s*\\text\{{\s*,?\s*(?i:{word})\s*,?\s*\}}\s*|,?(?<![A-Za-z\\])\s*{word}(?![A-Za-z])|{sign}",
        rf" \\{name} ",
    )
    for word, sign, name in (
        ("or", r"\\(?:lor|vee)(?![A-Za-z])", "lor"),
        ("and", r"\\(?:land|wedge)(?![A-Za-z])|(?<!\\)\\&", "land"),
    )
]
_TABLE = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        *_DRESS,
        *_DIGIT_GROUPS,
        *_SPACES_AND_TEXT,
        *_SYNONYMS,
        *_PLAIN_NOTATION,
        *_AND_OR,
        (r"\s+", " "),
    )
]
_EMPTY_TEXT = re.compile(r"\\text\{[\s.,;:]*\}$")
_MARKS = " .,;:\\"  # also half of a space, and the end of a line


@lru_cache(maxsize=1024)  # a reference comes with each trajectory of its group
def normalise(text: str) -> str:
    r"""The same answer in the one way of writing that the comparison knows.

    ``√2`` becomes ``\sqrt{2}``, ``\tfrac12`` ``\frac12``, ``1\,234`` ``1234``, ``\bigl(`` ``(``,
    ``\mathrm{cm}`` ``\text{cm}``; a full stop or comma at the end goes.
    """
    text = as_latex(text)
    for pattern, replacement in _TABLE:
        text = pattern.sub(replacement, text)
    return _EMPTY_TEXT.sub("", text.rstrip(_MARKS)).rstrip(_MARKS).strip()
