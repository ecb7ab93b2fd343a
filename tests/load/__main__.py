"""The real server under load, faults among it, and told to stop in the middle of it.

    python -m tests.load --minutes 10 --clients 64

Every answer is held against what `fork_join` made of the same prompt on the same engine before. Ends with
status 0 and the figures, or with status 1 and what was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.load.clients import load
from tests.support.forking_model import save_forking
from tests.support.real_server import real_server

ROOM = 128  # trajectories at once: what a client that asks for too many asks for
SHOWN = 20


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.load", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10, help="of load (default: 10)")
    parser.add_argument("--clients", type=int, default=64, help="at once (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="of what is asked (default: 0)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print("a model that forks is trained, and vLLM starts", flush=True)
        with real_server(save_forking(Path(folder)), "--max-concurrent", str(ROOM)) as server:
            figures = asyncio.run(load(server, given.clients, 60 * given.minutes, given.seed))
            if left := server.metric("running"):
                figures.problems.append(f"{left:g} trajectories are under way when all clients are done")
            server.process.terminate()
            if status := server.process.wait(60):
                figures.problems.append(f"told to stop, the server ended with status {status}")
    print("\n".join(figures.lines()))
    problems = list(figures.judge())
    print("\n".join(problems[:SHOWN]) or f"seed {given.seed}: nothing wrong in {given.minutes:g} minutes")
    return bool(problems)


if __name__ == "__main__":
    raise SystemExit(main())
