r"""The outer form of an answer: lists, tuples, sets, intervals, unions, relations; what is left is a leaf.

    x = 2 \lor x = 3     List(Relation(x, =, 2), Relation(x, =, 3))
    (-\infty, 1] \cup \{2\}     Union(Brackets("(", "]", …), Brackets("{", "}", …))

LaTeX's own grammar is left to `grading.latex`, which reads the leaves: in its reading ``(3,\pi)`` is an
interval, ``{1,2}`` a set and ``1:2`` a number, whatever stands beside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Brackets", "Leaf", "List", "Matrix", "Node", "Ratio", "Relation", "SetOperation", "parse"]

MOST_SIGNS = 3  # ± in one answer; each makes two of it
_OPEN = re.compile(r"\\\{|\\lfloor(?![a-z])|\\lceil(?![a-z])|[({\[]")
_CLOSE = re.compile(r"\\\}|\\rfloor(?![a-z])|\\rceil(?![a-z])|[)}\]]")
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[^\\]", re.DOTALL)
_RELATIONS = {
    "=": "=", "<": "<", ">": ">", "\\le": "<=", "\\ge": ">=", "\\ne": "!=", "\\in": "in", "\\approx": "~",
    "\\equiv": "=", "\\subset": "sub", "\\subseteq": "sub", "\\implies": "=>", "\\Rightarrow": "=>",
    "\\Leftrightarrow": "=>", "\\iff": "=>", "\\to": "->", "\\rightarrow": "->", "\\perp": "perp",
    "\\parallel": "par",
    "\\cong": "cong", "\\sim": "sim", "\\notin": "notin",
}  # fmt: skip
_SETS = {"\\cup": "union", "\\cap": "intersection", "\\setminus": "minus"}
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_BUILDER = re.compile(
    r"(?:(.+?)\s*[:|]\s*([a-z]\s*\\in\s*\\mathbb\{Z\})|[a-z]\s*(?:\\in\s*\\mathbb\{R\})?\s*[:|]\s*(.+))"
)
_MATRIX = re.compile(r"\\begin\{([bpvBV]?matrix|array)\}(?:\{[lcr| ]*\})?(.*)\\end\{\1\}")


@dataclass(frozen=True)
class Leaf:
    """One expression, as text."""

    text: str


@dataclass(frozen=True)
class List:
    """Answers side by side, joined by commas (``,``), by "and" or by "or"."""

    items: tuple[Node, ...]
    joint: str = ","


@dataclass(frozen=True)
class Brackets:
    r"""``(a, b)``, ``[a, b)``, ``\{a, b\}``; of ``{`` the order does not count."""

    opening: str
    closing: str
    items: tuple[Node, ...]


@dataclass(frozen=True)
class SetOperation:
    """A union, an intersection or a difference of two sets."""

    kind: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Relation:
    """``sides[0] operators[0] sides[1] …``"""

    sides: tuple[Node, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True)
class Ratio:
    """``a : b : c``."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Matrix:
    """Rows of entries."""

    rows: tuple[tuple[Node, ...], ...]


Node = Leaf | List | Brackets | SetOperation | Relation | Ratio | Matrix


def parse(text: str) -> Node:
    """The form of a normalised answer."""
    text = _unbraced(text.strip())
    for outer, joint in (("\\lor", "or"), (";", ","), ("\\land", "and")):
        parts = _split(text, {outer})[0]
        if len(parts) > 1:
            return _joined([part for part in parts if part.strip()], joint)
    if not _THOUSANDS.fullmatch(text):
        parts = [signed for part in _split(text, {","})[0] if part.strip() for signed in _signs(part)]
        if len(parts) > 1:
            return List(tuple(_relation(part) for part in parts))
    return _relation(text)


def _joined(parts: list[str], joint: str) -> Node:
    """Lists of one length ≥ 2 are tuples (``p=5,q=2; p=7,q=2``), others one list (``1, 2 and 3``)."""
    nodes = [parse(part) for part in parts]
    sizes = {len(node.items) if isinstance(node, List) else 1 for node in nodes}
    if len(nodes) > 1 and len(sizes) == 1 and sizes != {1}:
        return List(tuple(Brackets("(", ")", node.items) for node in nodes if isinstance(node, List)), joint)
    flat = [item for node in nodes for item in (node.items if isinstance(node, List) else (node,))]
    return flat[0] if len(flat) == 1 else List(tuple(flat), joint)


def _signs(text: str) -> Iterator[str]:
    r"""Every reading of ``\pm``: alike where there is a ``\mp``, else each by itself."""
    places = len(re.findall(r"\\[pm][mp](?![a-z])", text))
    if not places or places > MOST_SIGNS:
        yield text
        return
    together = "\\mp" in text or places == 1
    for number in range(2 if together else 2**places):
        bits = iter([number & 1] * places if together else [number >> place & 1 for place in range(places)])
        yield re.sub(r"\\([pm])[mp](?![a-z])", lambda sign: "+-"[next(bits) ^ (sign[1] == "m")], text)  # noqa: B023


def _relation(text: str) -> Node:
    sides, operators = _split(text, set(_RELATIONS))
    if len(sides) == 1 or not all(side.strip() for side in sides):
        return _set(text)
    return Relation(tuple(_set(side) for side in sides), tuple(_RELATIONS[each] for each in operators))


def _set(text: str) -> Node:
    parts, operators = _split(text, set(_SETS))
    if len(parts) == 1 or not all(part.strip() for part in parts):
        return _ratio(text)
    node = _ratio(parts[0])
    for operator, part in zip(operators, parts[1:], strict=True):
        node = SetOperation(_SETS[operator], node, _ratio(part))
    return node


def _ratio(text: str) -> Node:
    parts = _split(text, {":"})[0]
    if len(parts) == 1 or not all(part.strip() for part in parts):
        return _brackets(_unbraced(text.strip()))
    return Ratio(tuple(_brackets(part.strip()) for part in parts))


def _brackets(text: str) -> Node:
    if match := _MATRIX.fullmatch(text):
        rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?|\\cr(?![a-z])", match[2]) if row.strip()]
        return Matrix(tuple(tuple(_set(cell) for cell in row.split("&")) for row in rows))
    opening = next((each for each in ("\\{", "(", "[") if text.startswith(each)), None)
    closing = next((each for each in ("\\}", ")", "]") if text.endswith(each)), None)
    if not opening or not closing or _closing(text) != len(text):
        return Leaf(text)
    inner = text[len(opening) : -len(closing)].strip()
    parts = [signed for part in _split(inner, {",", ";"})[0] for signed in _signs(part)]
    if opening == "\\{" and closing == "\\}" and (built := _BUILDER.fullmatch(inner)):
        # {x | x > 3} is what its condition says, {2k : k ∈ Z} what it lists.
        return parse(built[1]) if built[2] else parse(built[3])
    if opening == "\\{" and closing == "\\}":
        return Brackets("{", "}", tuple(_relation(part) for part in parts))
    if len(parts) > 1 and all(part.strip() for part in parts):
        return Brackets(opening, closing, tuple(_relation(part) for part in parts))
    return parse(inner) if (opening, closing) in {("(", ")"), ("[", "]")} and inner else Leaf(text)


def _unbraced(text: str) -> str:
    """Without the braces of LaTeX around all of it."""
    while text.startswith("{") and _closing(text) == len(text):
        text = text[1:-1].strip()
    return text


def _closing(text: str) -> int:
    """Where the bracket that ``text`` begins with is closed, past its end, or 0. Any closes any."""
    depth, place = 0, 0
    for token in _TOKEN.findall(text):
        place += len(token)
        depth += bool(_OPEN.fullmatch(token)) - bool(_CLOSE.fullmatch(token))
        if depth <= 0:
            return place
    return 0


def _split(text: str, separators: set[str]) -> tuple[list[str], list[str]]:
    """The parts of ``text`` between separators outside all brackets, and the separators."""
    parts, found, depth = [""], [], 0
    pieces: list[str] = []
    for token in _TOKEN.findall(text):
        depth += bool(_OPEN.fullmatch(token)) - bool(_CLOSE.fullmatch(token))
        if depth <= 0 and token in separators:
            parts[-1] = "".join(pieces)
            pieces = []
            parts.append("")
            found.append(token)
        else:
            pieces.append(token)
    parts[-1] = "".join(pieces)
    return parts, found
