"""How many trajectories are decoded at a time: what is more is refused at once, and does not wait unseen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tw_plugins.serve.errors import RequestError

__all__ = ["Admission"]

AGAIN_S = 1  # the clients' own pauses grow from there


class Admission:
    """
    Args:
        most: trajectories at a time.

    Attributes:
        running: trajectories that are under way.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.running = 0

    @contextmanager
    def room_for(self, count: int) -> Iterator[None]:
        """Holds room for so many trajectories.

        Raises:
            RequestError: 429, there is none for now; 400, there never is.
        """
        if count > self._most:
            raise RequestError(
                400, f"n: {count} answers are asked for, this server decodes {self._most} at a time", "n"
            )
        if self.running + count > self._most:
            raise RequestError(
                429,
                f"{self.running} answers of at most {self._most} are under way: ask again in a while",
                code="overloaded",
                headers={"Retry-After": str(AGAIN_S)},
            )
        self.running += count
        try:
            yield
        finally:
            self.running -= count
