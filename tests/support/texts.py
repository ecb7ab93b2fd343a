"""Trajectories from threads' texts."""

from __future__ import annotations

from tw_plugins.trajectory import Block, Outline, Thread, Trajectory, render

TEN = "one two three four five six seven eight nine ten"


def block(*threads: str, outlines: tuple[str, ...] | None = None) -> Block:
    plans = outlines or tuple("do it" for _ in threads)
    return Block(
        tuple(Outline(number, text) for number, text in enumerate(plans, 1)),
        tuple(Thread(number, text) for number, text in enumerate(threads, 1)),
    )


def text_of(*parts: str | Block) -> str:
    return render(Trajectory(parts))
