"""How long to wait before a server is asked again.

Not httpx-retries (0.6), a transport: it ends where the headers come, so an answer that breaks off in its
body is not asked for again; it cuts a longer ``Retry-After`` down to its cap and asks too early, where we
say how long; and a client that is given a transport no longer goes through the proxies of the environment.
"""

from __future__ import annotations

import time
from datetime import UTC
from email.utils import parsedate_to_datetime

__all__ = ["LONGEST_ASKED_S", "pause_s"]

LONGEST_PAUSE_S = 30.0  # of our own
LONGEST_ASKED_S = 600.0  # of the server's
_FOR_EVER_S = 365 * 86_400.0  # longer ones are said to be this long


def pause_s(retry_after: str | None, attempt: int) -> float:
    """Seconds until the next attempt: what the server asks for, else 1, 2, 4, … and at most 30.

    Args:
        retry_after: the header ``Retry-After``, seconds or a date (RFC 9110, 10.2.3). What is neither, or a
            number below 0 or that is none, asks for nothing; a date that is past asks for 0.
        attempt: 0 after the first.
    """
    asked = _asked_s(retry_after) if retry_after else None
    return min(2.0 ** min(attempt, 9), LONGEST_PAUSE_S) if asked is None else min(asked, _FOR_EVER_S)


def _asked_s(retry_after: str) -> float | None:
    """None where it is neither a number nor a date."""
    try:
        seconds = float(retry_after)
    except ValueError:
        return _until_s(retry_after)
    return seconds if seconds >= 0 else None  # NaN is not


def _until_s(date: str) -> float | None:
    """Seconds from now, 0 for what is past; a date without a zone is one of UTC."""
    try:
        when = parsedate_to_datetime(date)
        return max((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError, TypeError, IndexError):  # what it raises of odd texts
        return None
