"""A forked answer in pieces, and a record of it."""

from __future__ import annotations

from tests.support.fakes import EOS, control_tokens
from tw_plugins.evaluation.records import EvalRecord, Span

TAGS = control_tokens()
OPEN = "<think><Parallel>\n<Outlines>\n<Outline>1: a</Outline>\n<Outline>2: b</Outline>\n</Outlines>"
THREADS = (" aa\n</Thread>", " bbbb\n</Thread>")
CLOSE = "</Parallel>\n</think>\\boxed{7}" + EOS
RECORD = EvalRecord(
    index=0, kind="decomposable", mode="parallel", prompt="?", text="", correct=True, well_formed=True,
    total=40, longest=20, blocks=1, threads=2, wall_s=None, limits_hit={},
    spans=(Span(None, None, 10), Span(1, 1, 10)),
)  # fmt: skip
