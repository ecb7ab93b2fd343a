"""`python -m tests.grading`: the audit of grading, beside raw math-verify's in the same run."""

from __future__ import annotations

import argparse
import logging

from tests.grading.audit import grade, share, table
from tests.grading.pairs import pairs, policy
from tests.grading.raw import math_verify_equal
from tw_plugins.grading import is_equivalent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.grading", description=__doc__)
    parser.add_argument("--ours", action="store_true", help="leave raw math-verify out")
    logging.disable(logging.CRITICAL)
    options = parser.parse_args()
    is_equivalent("x=1", "1")  # a process starts with the first one that needs it
    ours, seconds = grade(is_equivalent, pairs())
    graders, notes = {"ours": ours}, [f"ours {seconds:.1f} s"]
    if not options.ours:
        graders["math-verify"], seconds = grade(math_verify_equal, pairs())
        notes.append(f"math-verify {seconds:.1f} s")
    print(table(graders))
    print(f"\n{len(ours)} pairs that are no matter of policy: {', '.join(notes)}")
    of_policy, _ = grade(is_equivalent, policy())
    unpaid, paid = share(of_policy, True), share(of_policy, False)
    print(f"{len(of_policy)} pairs of the policy: {unpaid} unpaid, {paid} paid")
    for verdict in (*ours, *of_policy):
        if verdict.wrong:
            print(verdict)


if __name__ == "__main__":
    main()
