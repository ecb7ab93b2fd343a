"""Generated trajectories through state machine, row, mask, reward and metrics, every invariant checked.

    python -m tests.fuzz --rollouts 1000000 --jobs 2 --seed 0

Ends with status 0 and a summary, or with status 1, the seed and number of the case that broke, and the
shortest case that shows it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

import torch
from tqdm import tqdm

from tests.fuzz.cases import Case, Reply, draw
from tests.fuzz.invariants import Broken, play
from tests.fuzz.rewards import GROUP, check_group
from tests.fuzz.shrink import shortest

CHUNK = 500


class Found(Exception):
    """A case that breaks an invariant; the message has all that is needed to repeat it."""


def fuzz(seed: int, numbers: range) -> Counter[str]:
    """Plays cases one after the other.

    Returns:
        What they were examples of.

    Raises:
        Found: the first that breaks an invariant.
    """
    seen: Counter[str] = Counter()
    group: list[dict[str, float]] = []
    torch.set_num_threads(1)
    with asyncio.Runner() as runner:
        for number in numbers:
            case = draw(seed, number)
            try:
                examples, scores = play(case, runner)
            except Broken as error:
                raise Found(describe(seed, number, case, str(error), runner)) from error
            seen += examples
            group += [scores] if scores else []
            if len(group) == GROUP:
                seen += Counter(
                    {"groups": 1, "groups with a bonus": _group(seed, numbers.start, number, group)}
                )
                group = []
    return seen


def _group(seed: int, first: int, last: int, group: list[dict[str, float]]) -> int:
    """Checks what a group adds to scores; whether anything. ``last`` is the number of its last case."""
    try:
        return check_group(group)
    except Exception as error:
        raise Found(
            f"{GROUP} trajectories up to case {last} of seed {seed} break: {type(error).__name__}: {error}"
            f"\nrepeat it: python -m tests.fuzz --seed {seed} --first {first} --rollouts {last + 1 - first}"
        ) from error


def reason_of(case: Case, runner: asyncio.Runner) -> str | None:
    """The invariant that a case breaks, or None."""
    try:
        play(case, runner)
    except Broken as error:
        return str(error)
    return None


def describe(seed: int, number: int, case: Case, reason: str, runner: asyncio.Runner) -> str:
    """How to repeat a broken case, and its shortest form."""
    small = shortest(case, lambda smaller: reason_of(smaller, runner) is not None)
    return "\n".join(
        [
            f"case {number} of seed {seed} breaks: {reason}",
            f"repeat it: python -m tests.fuzz --seed {seed} --first {number} --rollouts 1",
            f"shortest form ({small.size} of {case.size} ids): {reason_of(small, runner)}",
            *_lines(small),
        ]
    )


def _lines(case: Case) -> Iterator[str]:
    yield f"  {case.mode}, {case.limits}"
    yield f"  polite={case.polite} keeps_stop={case.keeps_stop} truth={case.truth!r} reward={case.reward}"
    for name, replies in (("segment", case.segments), ("thread", case.threads)):
        for reply in replies:
            yield f"  {name} {case.tags.decode(reply.ids)!r} {_marks(reply)}"


def _marks(reply: Reply) -> str:
    return f"reason={reply.reason} logprobs={reply.logprobs} delay={reply.delay} fault={reply.fault}"


def chunks(first: int, rollouts: int) -> list[range]:
    """The numbers ``first … first + rollouts - 1`` in pieces."""
    stop = first + rollouts
    return [range(start, min(start + CHUNK, stop)) for start in range(first, stop, CHUNK)]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=20_000, help="how many (default: 20000)")
    parser.add_argument("--seed", type=int, default=0, help="of the run (default: 0)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    given = parser.parse_args()
    seen: Counter[str] = Counter()
    begun = time.monotonic()
    with ProcessPoolExecutor(given.jobs) as pool, tqdm(total=given.rollouts, unit=" rollouts") as bar:
        futures = [pool.submit(fuzz, given.seed, numbers) for numbers in chunks(given.first, given.rollouts)]
        for future in as_completed(futures):
            try:
                done = future.result()
            except Found as found:
                pool.shutdown(cancel_futures=True)
                bar.close()
                print(found)
                return 1
            seen += done
            bar.update(done["rollouts"])
    seconds = time.monotonic() - begun
    for name in sorted(seen):
        print(f"{seen[name]:>12,} {name}")
    print(f"seed {given.seed}: no invariant broken in {seen['rollouts']:,} rollouts, {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
