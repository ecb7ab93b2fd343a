"""How long to wait before a server is asked again.

Not httpx-retries (0.6), a transport: it ends where the headers come, so an answer that breaks off in its
body is not asked for again; it cuts a longer ``Retry-After`` down to its cap and asks too early, where we
say how long; and a client that is given a transport no longer goes through the proxies of the environment.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

__all__ = ["LONGEST_ASKED_S", "pause_s"]

LONGEST_PAUSE_S = 30.0  # of our own
LONGEST_ASKED_S = 600.0  # of the server's


def pause_s(retry_after: str | None, attempt: int) -> float:
    """Seconds until the next attempt: what the server asks for, else 1, 2, 4, … and at most 30.

    Args:
        retry_after: the header ``Retry-After``, seconds or a date (RFC 9110, 10.2.3).
        attempt: 0 after the first.
    """
    asked = _asked_s(retry_after) if retry_after else None
    return min(2.0**attempt, LONGEST_PAUSE_S) if asked is None else max(asked, 0.0)


def _asked_s(retry_after: str) -> float | None:
    """None where it is neither a number nor a date."""
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return parsedate_to_datetime(retry_after).timestamp() - time.time()
    except ValueError:
        return None
