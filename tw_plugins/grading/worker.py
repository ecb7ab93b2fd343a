"""The program of one grading process: JSON lines in, JSON lines out, math-verify in between.

Started by `grading.process` as a script: the only place where SymPy meets text that a model wrote. It may
hang or die on such text. So it compares in a child, a copy of itself with everything imported, which the
kernel kills at the deadline and whose successor is there at once. Two more guards: memory is bounded, and
nothing is evaluated. SymPy turns a string into an expression by `eval` (in `eval_expr`). LaTeX is parsed by a
grammar, which needs that function only for literal numbers and symbols: here it builds those and no more.

    → {"answer": "\\frac{1}{2}", "reference": "0.5", "tolerance": 0, "seconds": 5}
    ← {"equal": true, "swollen": false} or {"late": true} or {"died": true}

An answer of null asks whether the reference can be read.

``swollen``: the child has used so much memory that the process should be replaced. What runs out of memory
is not equivalent; math-verify takes that for any other failure.
"""

from __future__ import annotations

import importlib
import json
import logging
import mmap
import os
import re
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

MEMORY_BYTES = 2 << 30
SWOLLEN_BYTES = 1 << 30
Equal = Callable[[str | None, str, float], bool]
_LITERAL = re.compile(r"\s*([+-]?)\s*(Integer|Float|Symbol)\s*\(\s*'?([\w.+-]+)'?\s*\)\s*")


def build_literal(code: str, *_: object) -> Any:
    """Stands in for SymPy's `eval_expr`: builds ``Integer (7 )``, ``Float ('0.5' )`` or ``Symbol ('x' )``.

    A quotient of two such numbers too: SymPy's own tables of sums are written with them (``S('3/2')``).

    Raises:
        ValueError: ``code`` is anything else.
    """
    import sympy

    above, quotient, below = code.partition("/")
    if quotient and "Symbol" not in code and "/" not in below:
        return build_literal(above) / build_literal(below)
    match = _LITERAL.fullmatch(code)
    if match is None:
        raise ValueError("not a literal, and text is never evaluated here")
    sign, kind, text = match.groups()
    value = getattr(sympy, kind)(text)
    return -value if sign == "-" else value


def is_swollen() -> bool:
    """Whether this process has ever used more memory than honest answers need."""
    return peak_bytes() > SWOLLEN_BYTES


def peak_bytes() -> int:
    """The most memory that this process has used.

    Linux: not `getrusage`, whose figure begins with that of the process that started this one.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def load_equal() -> Equal:
    """Imports math-verify's grammar, takes `eval` away from SymPy, and returns the comparison."""
    import sympy.parsing.sympy_parser as sympy_parser

    # simplify() loads the units late, and loading them needs the real eval_expr, for SymPy's own constants.
    importlib.import_module("sympy.physics.units")
    # Of this copy of the package, whatever else is installed or stands in the working folder.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tw_plugins.grading.affixes import readings
    from tw_plugins.grading.compare import are_equivalent
    from tw_plugins.grading.leaves import are_same_leaves, can_be_read
    from tw_plugins.grading.plain import compare_plainly

    del sys.path[0]
    sympy_parser.eval_expr = build_literal

    def equal(answer: str | None, reference: str, tolerance: float = 0.0) -> bool:
        if answer is None:
            pairs_of_itself = readings(reference, reference)
            return any(are_equivalent(*pair, lambda text, _: can_be_read(text)) for pair in pairs_of_itself)
        same = partial(are_same_leaves, tolerance=tolerance)
        pairs = [(pair, compare_plainly(*pair, tolerance)) for pair in readings(answer, reference)]
        return any(are_equivalent(*pair, same) if said is None else said for pair, said in pairs)

    return equal


def serve(requests: IO[str], replies: IO[str], equal: Equal, owed: mmap.mmap) -> None:
    """Answers one request per line until the input ends; a request that takes too long ends the process.

    Args:
        owed: one byte, set while a reply is owed.
    """
    for line in requests:
        owed[0] = 1
        request = json.loads(line)
        # Without a handler, which Python would run only between bytecodes: the kernel ends this process in
        # whatever C code it hangs.
        signal.setitimer(signal.ITIMER_REAL, request["seconds"])
        try:
            reply: dict[str, object] = {
                "equal": equal(request["answer"], request["reference"], request["tolerance"])
            }
        except (Exception, MemoryError, RecursionError) as error:
            reply = {"equal": False, "error": type(error).__name__}
        signal.setitimer(signal.ITIMER_REAL, 0)
        reply["swollen"] = is_swollen()
        # Paid before it is sent: a death in between costs a reply, the other order could send two.
        owed[0] = 0
        print(json.dumps(reply), file=replies, flush=True)


def supervise(requests: IO[str], replies: IO[str], equal: Equal) -> None:
    """Serves in one child after the other; says what became of a request that a child died on."""
    owed = mmap.mmap(-1, 1)  # shared with the children
    while True:
        child = os.fork()
        if child == 0:
            try:
                serve(requests, replies, equal, owed)
            finally:
                # No clean-up: buffers and exit handlers are copies of the parent's.
                os._exit(0)
        status = os.waitpid(child, 0)[1]
        if owed[0]:
            late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM
            owed[0] = 0
            print(json.dumps({"late" if late else "died": True}), file=replies, flush=True)
        # Killed between two requests, by the kernel or by hand: nobody waits, the next child serves.
        elif os.WIFEXITED(status):
            return  # the input ended


def main() -> None:
    """Says ready (or why not) in one line, then serves. What a library prints cannot reach the protocol."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        equal = load_equal()
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=replies, flush=True)
        return
    for answer in (r"\frac{1}{2}", r"\sqrt{x}", r"\text{a}", "(1, 2]"):
        equal(answer, "0.5", 0.0)  # the parser's tables fill with use, and children start with ours
    print(json.dumps({"ready": True}), file=replies, flush=True)
    supervise(sys.stdin, replies, equal)


if __name__ == "__main__":
    main()
