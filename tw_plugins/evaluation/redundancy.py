r"""What sibling threads do twice: threads cannot see each other, so they may work out the same thing.

Of every block, against its **context** (what all its threads saw: the prompt, the text and the blocks before
the fork, the outlines):

- *shared n-grams*: the share of a thread's n-grams (n = 8 words) that an earlier sibling has too and the
  context has not. The first thread has no earlier sibling and does not count; nor does a thread of fewer than
  n words. A word is what stands between white space. Where the threads of a trajectory have more than 20
  characters per word on average (Chinese, strings of symbols), single characters that are no white space take
  the place of words.
- *repeated results*: equations ``lhs = value`` (`evaluation.equations`) that at least two siblings have
  and the context has not, counted and as a share of all equations that the block's threads have worked out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from tw_plugins.evaluation.equations import Equation, equations
from tw_plugins.trajectory import Block, parse

__all__ = ["BlockRedundancy", "N", "Redundancy", "measure_redundancy"]

N = 8
MAX_WORD = 20  # characters per word, on average, up to which text counts as words

Ngrams = list[tuple[str, ...]]
Split = Callable[[str], list[str]]


@dataclass(frozen=True)
class BlockRedundancy:
    """One block.

    Args:
        ngram_share: mean over threads, 0..1; None where no thread counts.
        equations: different equations in the threads that the context has not.
        repeated: those of them that at least two threads have.
    """

    ngram_share: float | None
    equations: int
    repeated: int

    @property
    def equation_share(self) -> float | None:
        """``repeated / equations``; None without equations."""
        return self.repeated / self.equations if self.equations else None


@dataclass(frozen=True)
class Redundancy:
    """One trajectory."""

    blocks: tuple[BlockRedundancy, ...]

    @property
    def ngram_share(self) -> float | None:
        """Mean over the blocks that have one; None without."""
        return _mean(block.ngram_share for block in self.blocks)

    @property
    def equation_share(self) -> float | None:
        """Mean over the blocks that have one; None without."""
        return _mean(block.equation_share for block in self.blocks)

    @property
    def repeated(self) -> int:
        """Repeated results over all blocks."""
        return sum(block.repeated for block in self.blocks)


def measure_redundancy(text: str, prompt: str = "", n: int = N) -> Redundancy:
    """Measures a trajectory.

    Args:
        text: the joined response, control tokens included.
        prompt: what stood before it.
        n: words, or characters, of an n-gram.

    Raises:
        TrajectoryError: the text is malformed: which thread said what is a guess then.
    """
    trajectory = parse(text)
    if not trajectory.blocks:
        return Redundancy(())
    split = _splitting(thread.text for block in trajectory.blocks for thread in block.threads)
    context = _Context(split, n)
    context.add([prompt])
    blocks = []
    for part in trajectory.parts:
        if isinstance(part, str):
            context.add([part])
            continue
        context.add(outline.text for outline in part.outlines)
        blocks.append(_block(part, context, split, n))
        context.add([*(thread.text for thread in part.threads), part.conclusion or ""])
    return Redundancy(tuple(blocks))


class _Context:
    """What threads saw before they began."""

    def __init__(self, split: Split, n: int) -> None:
        self.ngrams: set[tuple[str, ...]] = set()
        self.equations: set[Equation] = set()
        self._split, self._n = split, n

    def add(self, pieces: Iterable[str]) -> None:
        for piece in pieces:
            self.ngrams.update(_ngrams(self._split(piece), self._n))
            self.equations |= equations(piece)


def _block(block: Block, context: _Context, split: Split, n: int) -> BlockRedundancy:
    threads = [_ngrams(split(thread.text), n) for thread in block.threads]
    found = Counter(
        equation for thread in block.threads for equation in equations(thread.text) - context.equations
    )
    return BlockRedundancy(
        ngram_share=_mean(_shares(threads, context.ngrams)),
        equations=len(found),
        repeated=sum(count > 1 for count in found.values()),
    )


def _shares(threads: Sequence[Ngrams], known: set[tuple[str, ...]]) -> Iterator[float]:
    """Of each thread but the first: share of its n-grams that earlier ones have and ``known`` has not."""
    earlier = set(threads[0])
    for ngrams in threads[1:]:
        if ngrams:
            yield fmean(ngram in earlier and ngram not in known for ngram in ngrams)
        earlier.update(ngrams)


def _ngrams(units: Sequence[str], n: int) -> Ngrams:
    return [tuple(units[start : start + n]) for start in range(len(units) - n + 1)]


def _splitting(threads: Iterable[str]) -> Split:
    """Into words, or into characters where words are too long to be words."""
    words = [word for thread in threads for word in thread.split()]
    return _characters if words and fmean(map(len, words)) > MAX_WORD else str.split


def _characters(text: str) -> list[str]:
    return list("".join(text.split()))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
