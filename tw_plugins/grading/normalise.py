r"""One way to write each thing: Unicode, spacing and other dress of LaTeX, before two answers are compared.

Text to text, by one table that is read from top to bottom. Nothing here says whether two answers are equal,
and nothing changes a value: what has one (a unit, a percent sign, a choice's letter) is `grading.affixes`'s.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["normalise"]

_UNICODE = {
    "∞": r"\infty ", "°": r"^\circ ", "π": r"\pi ", "×": r"\times ",
    "·": r"\cdot ", "⋅": r"\cdot ", "÷": "/", "⁄": "/", "∕": "/", "−": "-", "–": "-", "±": r"\pm ",
    "∓": r"\mp ", "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ",
    "∈": r"\in ", "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ", "∖": r"\setminus ", "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}", "，": ",", "、": ",",
    "。": ".", "′": "'", "’": "'", "≦": r"\le ", "≧": r"\ge ", "∠": r"\angle ", "△": r"\triangle ", "…": r"\ldots ",
    "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "λ": r"\lambda ", "φ": r"\phi ",
    "ω": r"\omega ", "⟨": "(", "⟩": ")", "∗": "*", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
}  # fmt: skip
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉ₙ", "0123456789n")

_DRESS = r"text|textbf|textit|textrm|textnormal|textsf|texttt|emph|mathrm|mathbf|mathit|mathsf|mathtt|boldsymbol|bm|mbox|hbox"
_TABLE = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"[\s\u200b\ufeff]+", " "),
        (r"^\s*\*\*(.*)\*\*\s*$", r"\1"),  # bold Markdown
        (r"(?<!\\)(?:\$|\\[()\[\]])", ""),
        (r"\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|mathstrut|strut|phantom\{[^{}]*\})(?![A-Za-z])", " "),
        (r"\\(?:middle|[mM]?left|[mM]?right|[bB]igg?[lrm]?)(?![A-Za-z])\s*\.?", ""),
        # Digit groups, before spaces are all alike.
        (r"(?<=\d),?\\!\s*,?\s*(?=\d{3}(?!\d))", ""),
        (r"(?<=\d)\s*\{,\}\s*(?=\d)", ","),
        (r"(?<![\d.,^_])(\d{1,3})((?:(?:\\[,;: ]|~|\{\\,\})\s*\d{3})+)(?!\d)", lambda m: m[1] + re.sub(r"\D", "", m[2])),
        (r"(?<![\d.,^_/ ])(\d{1,3})((?: \d{3})+)(?![\d/])", lambda m: m[1] + m[2].replace(" ", "")),
        (r"(?<!\\)\\[,;:!> ]|\\(?:quad|qquad|hspace\{[^{}]*\}|hfill|thinspace|enspace|nobreakspace)(?![A-Za-z])|(?<!\\)~", " "),
        (r"\{\s*\\(?:rm|bf|it|sf)\s+([^{}]*)\}", r"\\text{\1}"),
        (rf"\\(?:{_DRESS})\s*\{{", r"\\text{"),
        (r"\\text\{\s*([eid])\s*\}", r"\1"),
        (r"\\text\{\s*((?:[-+]?\d[\d.,/]*)|)\s*\}", r"\1"),
        (r"\\operatorname\*?\s*\{\s*(sin|cos|tan|cot|sec|csc|ln|log|exp|max|min|gcd|arcsin|arccos|arctan|sinh|cosh|tanh)\s*\}", r"\\\1 "),
        (r"\\[dtc]frac", r"\\frac"),
        (r"\\dbinom|\\tbinom", r"\\binom"),
        (r"\\(?:lt|less)(?![A-Za-z])", "<"),
        (r"\\(?:gt)(?![A-Za-z])", ">"),
        # Not followed by a letter, or by the letter that somebody forgot a space before.
        (r"\\(?:leqslant|leqq|leq|le)(?![a-z]{2})(?!ft)", r"\\le "),
        (r"\\(?:geqslant|geqq|geq|ge)(?![a-z]{2})", r"\\ge "),
        (r"<=|=<", r"\\le "),
        (r">=", r"\\ge "),
        (r"!=|\\neq(?![A-Za-z])|\\not\s*=", r"\\ne "),
        (r"~=|\\(?:approxeq|simeq|thickapprox|doteq)(?![A-Za-z])", r"\\approx "),
        (r"\\(?:varnothing|O(?=\s*$))(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset "),
        (r"\\(?:lbrace)(?![A-Za-z])", r"\\{"),
        (r"\\(?:rbrace)(?![A-Za-z])", r"\\}"),
        (r"\\(?:langle|lparen)(?![A-Za-z])", "("),
        (r"\\(?:rangle|rparen)(?![A-Za-z])", ")"),
        (r"\\lbrack(?![A-Za-z])", "["),
        (r"\\rbrack(?![A-Za-z])", "]"),
        (r"\\(?:[lr]?vert|mid)(?![A-Za-z])", "|"),
        (r"\\(?:backslash|smallsetminus)(?![A-Za-z])|\\setminus(?=[A-Za-z])", r"\\setminus "),
        (r"\\mathbb\s*([A-Z])(?![A-Za-z])", r"\\mathbb{\1}"),
        (r"\\mathbf\s*([RZNQC])(?![A-Za-z])", r"\\mathbb{\1}"),
        (r"\^\s*\{\s*\\(?:circ|degree)\s*\}|\^\s*\\circ(?![A-Za-z])|\\(?:degree|degrees|textdegree)(?![A-Za-z])", r"^\\circ "),
        (r"\\(?:imath)(?![A-Za-z])", "i"),
        (r"\\lg(?![A-Za-z])", r"\\log_{10}"),
        (r"\\(?:bmod|pmod)(?![A-Za-z])", r"\\mod "),
        (r"(?<![A-Za-z\\])(?:infinity|infty|oo)(?![A-Za-z])", r"\\infty "),
        (r"(?<![A-Za-z\\])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"(?<![A-Za-z\\])pi(?![A-Za-z])", r"\\pi "),
        (r"(?<![A-Za-z\\])(arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|ln|log|exp)(?=\s*[({^\d])", r"\\\1"),
        (r"\\sqrt\s*([A-Za-z0-9])", r"\\sqrt{\1}"),
        (r"\\sqrt\s*(\\pi|\\[a-z]+)(?=[^A-Za-z{\[]|$)", r"\\sqrt{\1}"),
        (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"(?<=\d)[eE]([+-]?\d+)(?![\d.])(?=\s*(?:$|[,;)\]}]))", r"\\times 10^{\1}"),
        (r"\\(?:ldots|dots|cdots|dotsc|dotsb)(?![A-Za-z])|\.\.\.", r"\\ldots "),
        (r",?\s*\\text\{\s*,?\s*(?:or|OR|Or)\s*,?\s*\}\s*|,?(?<![A-Za-z\\])\s*or(?![A-Za-z])|\\(?:lor|vee)(?![A-Za-z])", r" \\lor "),
        (r",?\s*\\text\{\s*,?\s*(?:and|AND|And|&)\s*,?\s*\}\s*|,?(?<![A-Za-z\\])\s*and(?![A-Za-z])|(?<!\\)\\(?:land|wedge|&)(?![A-Za-z])", r" \\land "),
        (r"\\(?:checkmark|blacksquare|square|qed|Box|hfill)(?![A-Za-z])|[✓✔■□]", ""),
        (r"\s+", " "),
    )
]  # fmt: skip
_EMPTY_TEXT = re.compile(r"\\text\{[\s.,;:]*\}$")


def normalise(text: str) -> str:
    r"""The same answer in the one way of writing that the comparison knows.

    ``√2`` becomes ``\sqrt{2}``, ``\tfrac12`` ``\frac12``, ``１，２`` ``1,2``, ``1\,234`` ``1234``,
    ``\bigl(`` ``(``, ``\mathrm{cm}`` ``\text{cm}``; a full stop or comma at the end goes.
    """
    text = _plain_characters(text)
    for pattern, replacement in _TABLE:
        text = pattern.sub(replacement, text)
    return _EMPTY_TEXT.sub("", text.rstrip(" .,;:")).rstrip(" .,;:").strip()


def _plain_characters(text: str) -> str:
    """ASCII for every character that has one meaning; NFKC after our table, since it takes ``½`` apart."""
    if text.isascii():
        return text
    text = re.sub(r"√\s*([0-9]+|[A-Za-zπ])", r"\\sqrt{\1}", text).replace("√", r"\sqrt ")
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+", lambda m: "^{" + m[0].translate(_RAISED) + "}", text)
    text = re.sub("[₀₁₂₃₄₅₆₇₈₉ₙ]+", lambda m: "_{" + m[0].translate(_LOWERED) + "}", text)
    text = "".join(_vulgar(character) for character in text)
    text = "".join(_UNICODE.get(character, character) for character in text)
    text = unicodedata.normalize("NFKC", text)
    return "".join(_UNICODE.get(character, character) for character in text)


def _vulgar(character: str) -> str:
    r"""``½`` is ``\frac{1}{2}``."""
    if not unicodedata.decomposition(character).startswith("<fraction>"):
        return character
    above, _, below = unicodedata.normalize("NFKC", character).partition("⁄")
    return rf"\frac{{{above}}}{{{below}}}"
