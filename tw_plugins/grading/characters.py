r"""Unicode as LaTeX: ``√2 ½ ∞ 90°`` become ``\sqrt{2} \frac{1}{2} \infty 90^\circ``."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["as_latex"]

_LATEX = {
    "∞": r"\infty", "°": r"^\circ", "π": r"\pi", "θ": r"\theta", "α": r"\alpha", "β": r"\beta",
    "γ": r"\gamma", "λ": r"\lambda", "φ": r"\phi",
    "ω": r"\omega", "×": r"\times", "·": r"\cdot", "⋅": r"\cdot", "±": r"\pm",
    "∓": r"\mp", "≤": r"\le", "⩽": r"\le", "≦": r"\le", "≥": r"\ge", "⩾": r"\ge", "≧": r"\ge", "≠": r"\ne",
    "≈": r"\approx", "∈": r"\in", "∪": r"\cup", "∩": r"\cap", "∅": r"\emptyset", "∖": r"\setminus",
    "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}",
    "∠": r"\angle", "△": r"\triangle", "…": r"\ldots", "⌊": r"\lfloor", "⌋": r"\rfloor", "⌈": r"\lceil",
    "⌉": r"\rceil", "÷": "/", "⁄": "/", "∕": "/", "−": "-", "–": "-", "∗": "*", "，": ",", "、": ",",
    "。": ".", "′": "'", "’": "'", "⟨": "(", "⟩": ")",
}  # fmt: skip
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉ₙ", "0123456789n")


def as_latex(text: str) -> str:
    """The same text in ASCII, as far as its characters have one meaning. NFKC alone would make 31/2 of 3½."""
    if text.isascii():
        return text
    text = re.sub(r"√\s*([0-9]+|[A-Za-zπ])", r"\\sqrt{\1}", text).replace("√", r"\sqrt ")
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+", lambda raised: f"^{{{raised[0].translate(_RAISED)}}}", text)
    text = re.sub("[₀₁₂₃₄₅₆₇₈₉ₙ]+", lambda lowered: f"_{{{lowered[0].translate(_LOWERED)}}}", text)
    text = "".join(map(_one, text))
    return "".join(map(_one, unicodedata.normalize("NFKC", text)))


def _one(character: str) -> str:
    latex = _LATEX.get(character)
    if latex:
        return f"{latex} " if latex[-1].isalpha() else latex
    if character.isascii() or not unicodedata.decomposition(character).startswith("<fraction>"):
        return character
    above, _, below = unicodedata.normalize("NFKC", character).partition("⁄")
    return rf"\frac{{{above}}}{{{below}}}"
