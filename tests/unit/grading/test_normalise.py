from __future__ import annotations

from fractions import Fraction

import pytest

from tw_plugins.grading.affixes import readings
from tw_plugins.grading.normalise import normalise
from tw_plugins.grading.numbers import Number, plain_number


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("7.", "7"),
        ("√2", r"\sqrt{2}"),
        ("√12", r"\sqrt{12}"),
        ("3½", r"3\frac{1}{2}"),
        ("90°", r"90^\circ"),
        ("（１，２）", "(1,2)"),  # noqa: RUF001
        ("x²³", "x^{23}"),
        ("a₁", "a_{1}"),
        (r"1\,234", "1234"),
        (r"1{,}234", "1,234"),
        ("1 234", "1234"),
        ("1, 234", "1, 234"),
        (r"\bigl(x\bigr)", "(x)"),
        (r"\left. x \right|", " x |".strip()),
        (r"\mathrm{cm}", r"\text{cm}"),
        (r"\text{7}", "7"),
        (r"\mathrm{e}^x", "e^x"),
        ("7e37", r"7\times 10^{37}"),
        ("**7**", "7"),
        ("$7$", "7"),
        ("$5", r"\$5"),
        (r"p\leqq2", r"p\le 2"),
        (r"\varnothing", r"\emptyset"),
        (r"2 \text{ or } 3", r"2 \lor 3"),
        ("for", "for"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ],
)
def test_one_way_of_writing(text: str, normal: str) -> None:
    assert normalise(text) == normal
    assert normalise(normal) == normal, "what is normal stays"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-1,234.5", Fraction(-12345, 10)),
        (".4", Fraction(2, 5)),
        (r"3\frac{1}{2}", Fraction(7, 2)),
        ("3 1/2", Fraction(7, 2)),
        (r"-\frac12", Fraction(-1, 2)),
        (r"0.1\overline{6}", Fraction(1, 6)),
        (r"0.\dot{1}4285\dot{7}", Fraction(1, 7)),
        (r"0.1666\ldots", Fraction(1, 6)),
        (r"1.5\times 10^{-3}", Fraction(3, 2000)),
        ("2/(-3)", Fraction(-2, 3)),
        ("(7)", Fraction(7)),
        (r"0.31\ldots", None),
        ("1/0", None),
        ("1/2/3", None),
        ("--1", None),
        ("12,34", None),
        (r"10^{1000000}", None),
        ("x", None),
        ("", None),
    ],
)
def test_numbers_are_read_exactly(text: str, value: Fraction | None) -> None:
    number = plain_number(text)
    assert (number and number.value) == value


def test_the_unit_of_the_last_digit() -> None:
    assert plain_number("1.50") == Number(Fraction(3, 2), Fraction(1, 100))
    assert plain_number("150") == Number(Fraction(150))


@pytest.mark.parametrize(
    ("answer", "reference", "pairs"),
    [
        (r"5 \text{ cm}", "5", [("5", "5")]),
        (r"5 \text{ m}", r"5 \text{ km}", []),
        (r"25\%", "25", [("25", "25"), (r"\frac{25}{100}", "25")]),
        (r"\text{(B) }17", "B", [(r"\text{(B) }17", "B"), ("B", "B"), ("17", "B")]),
        (r"\text{(B) }17", r"\text{(C) }17", []),
        (r"2k, k \in \mathbb{Z}", "2k", [("2k", "2k")]),
        (r"x \ne 0, x \ne 1", r"x \ne 0", [(r"x \ne 0, x \ne 1", r"x \ne 0")]),
        (r"17 \text{ or more}", "17", [(r"17 \text{ or more}", "17")]),
        (
            r"2 \text{ h } 30 \text{ min}",
            "230",
            [(r"2 \text{ h } 30 \text{ min}", "230")],
        ),
    ],
)
def test_what_an_answer_carries(answer: str, reference: str, pairs: list[tuple[str, str]]) -> None:
    assert list(readings(answer, reference)) == pairs
