r"""Two answers part by part: which forms may stand for each other, and where the order counts.

A name before ``=`` or ``\in`` may be missing on one side, and must be the same where both have one. Lists and
sets have no order; tuples, and values of several names, have one. What is neither is compared as a set of
real numbers (`grading.real_sets`) or as an equation (`grading.relations`), and a leaf by its value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

from tw_plugins.grading.names import Named, is_name, named, same_name
from tw_plugins.grading.real_sets import are_same_sets, as_interval, is_known_set
from tw_plugins.grading.relations import are_same_relations, is_inequality
from tw_plugins.grading.structure import (
    Brackets,
    Leaf,
    List,
    Matrix,
    Node,
    Ratio,
    Relation,
    SetOperation,
    parse,
)

__all__ = ["are_equivalent"]

Same = Callable[[str, str], bool]
T = TypeVar("T")


def are_equivalent(answer: str, reference: str, same: Same) -> bool:
    """Whether two normalised answers say the same; ``same`` compares two leaves."""
    return _Comparison(same).equal(parse(answer), parse(reference))


class _Comparison:
    def __init__(self, same: Same) -> None:
        self.same = same

    def equal(self, given: Node, wanted: Node) -> bool:
        if isinstance(given, Leaf) and isinstance(wanted, Leaf):
            return self.same(given.text, wanted.text)
        one, other = named(given), named(wanted)
        if one and other and same_name(one.name, other.name):
            return self.equal(one.value, other.value)
        if one and not isinstance(wanted, Relation):
            return self.equal(one.value, wanted)
        if other and not other.composite and (not isinstance(given, Relation) or is_inequality(given)):
            return self.equal(given, other.value)
        if (
            isinstance(given, Relation)
            and isinstance(wanted, Relation)
            and are_same_relations(given, wanted, self.equal)
        ):
            return True
        if _is_region(given) or _is_region(wanted):
            return self._same_intervals(given, wanted) or are_same_sets(given, wanted)
        return self._parts(given, wanted)

    def _same_intervals(self, given: Node, wanted: Node) -> bool:
        """Also where the ends are no numbers: ``(a, b]``."""
        one, other = as_interval(given), as_interval(wanted)
        return isinstance(one, Brackets) and isinstance(other, Brackets) and self._brackets(one, other)

    def _parts(self, given: Node, wanted: Node) -> bool:
        match given, wanted:
            case List(), List():
                return self._lists(given, wanted)
            case Brackets(), Brackets():
                return self._brackets(given, wanted)
            case List() | Brackets(), List() | Brackets():
                return self._list_and_brackets(given, wanted)
            case Ratio(), Ratio():
                return self._ratios(given, wanted)
            case Matrix(), Matrix():
                return _shape(given) == _shape(wanted) and all(map(self._ordered, given.rows, wanted.rows))
        one, other = _single(given), _single(wanted)
        return (one, other) != (given, wanted) and self.equal(one, other)

    def _brackets(self, given: Brackets, wanted: Brackets) -> bool:
        if "{" in (given.opening, wanted.opening):
            return given.opening == wanted.opening and self._unordered(given.items, wanted.items)
        if len(given.items) == 2 and (given.opening, given.closing) != (wanted.opening, wanted.closing):
            return False
        return self._ordered(given.items, wanted.items)

    def _list_and_brackets(self, given: List | Brackets, wanted: List | Brackets) -> bool:
        one, other = _entries(given.items), _entries(wanted.items)
        brackets = given if isinstance(given, Brackets) else wanted
        if isinstance(brackets, Brackets) and brackets.opening == "{":
            return _count(one) <= 1 and _count(other) <= 1 and self._unordered(_values(one), _values(other))
        return self._ordered(_values(one), _values(other))

    def _lists(self, given: List, wanted: List) -> bool:
        joints = {given.joint, wanted.joint}
        if all(map(is_name, (*given.items, *wanted.items))) and joints != {"and", ","}:
            # Of names the order is the answer, unless "and" or "or" says that it is none.
            alike = self._ordered if joints == {","} else self._unordered
            return len(joints) == 1 and alike(given.items, wanted.items)
        same = self._same_entries(_entries(given.items), _entries(wanted.items))
        return same or (_has_inequality(given) and are_same_sets(given, wanted))

    def _same_entries(self, given: list[Named], wanted: list[Named]) -> bool:
        if len(given) != len(wanted):
            return False
        if _count(given) <= 1 and _count(wanted) <= 1:
            names = {each.name for each in (*given, *wanted) if each.name}
            return len(names) <= 1 and self._unordered(_values(given), _values(wanted))
        if _count(given) and _count(wanted):
            return self._match(
                given, wanted, lambda a, b: same_name(a.name, b.name) and self.equal(a.value, b.value)
            )
        return self._ordered(_values(given), _values(wanted))

    def _ordered(self, given: Sequence[Node], wanted: Sequence[Node]) -> bool:
        return len(given) == len(wanted) and all(map(self.equal, given, wanted))

    def _unordered(self, given: Sequence[Node], wanted: Sequence[Node]) -> bool:
        return self._match(given, wanted, self.equal)

    def _match(self, given: Sequence[T], wanted: Sequence[T], same: Callable[[T, T], bool]) -> bool:
        """Whether each has a partner; the first will do, for what equals it equals the others that do."""
        left = list(wanted)
        for each in given:
            partner = next((place for place, other in enumerate(left) if same(each, other)), None)
            if partner is None:
                return False
            del left[partner]
        return not left

    def _ratios(self, given: Ratio, wanted: Ratio) -> bool:
        """As quotients of neighbours: ``2:4:6`` is ``1:2:3``."""
        one, other = _quotients(given), _quotients(wanted)
        return len(one) == len(other) and all(map(self.same, one, other))


def _quotients(ratio: Ratio) -> list[str]:
    texts = [part.text if isinstance(part, Leaf) else "" for part in ratio.parts]
    return [rf"\frac{{{one}}}{{{other}}}" for one, other in pairwise(texts)]


def _single(node: Node) -> Node:
    """A set or list of one is that one; a ratio of two their quotient."""
    if isinstance(node, Brackets | List) and len(node.items) == 1:
        # Not of a name or a set: {a_n} is a sequence, and the set of the empty set is not empty.
        return node if is_known_set(node.items[0]) or is_name(node.items[0]) else node.items[0]
    return Leaf(_quotients(node)[0]) if isinstance(node, Ratio) and len(node.parts) == 2 else node


def _entries(items: Sequence[Node]) -> list[Named]:
    """Names and values; the second of ``x = 1, 2`` has the name of the first."""
    entries: list[Named] = []
    for item in items:
        found = named(item)
        before = entries[-1].name if entries else ""
        entries.append(found or Named(before if not isinstance(item, Relation) else "", item))
    return entries


def _values(entries: Sequence[Named]) -> list[Node]:
    return [each.value for each in entries]


def _count(entries: Sequence[Named]) -> int:
    return len({each.name for each in entries if each.name})


def _is_region(node: Node) -> bool:
    """Whether a node is a set of real numbers in words of order: ``x < 1``, ``A \\cup B``."""
    if is_known_set(node) or isinstance(node, SetOperation) or _has_inequality(node):
        return True
    return isinstance(node, Relation) and is_inequality(node)


def _has_inequality(node: Node) -> bool:
    return isinstance(node, List) and any(
        isinstance(item, Relation) and is_inequality(item) for item in node.items
    )


def _shape(matrix: Matrix) -> list[int]:
    return [len(row) for row in matrix.rows]
