"""Text of others (a server's answer, a library's exception) that may repeat what must not be shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["Secrets"]

PART = 6  # characters of a secret that are never shown in a row
LONG = 12  # characters of a secret that is in no text by chance
HIDDEN = "***"
_READ = 10_000  # of a text; nobody is shown more


class Secrets:
    """Keys and passwords, hidden in any text: whole, and every part of `PART` characters of them."""

    def __init__(self, secrets: Sequence[str | None]) -> None:
        """
        Args:
            secrets: None is left out, and what is shorter than 4 characters: no secret, part of many a word.
        """
        self._long = [secret for secret in secrets if secret and len(secret) >= LONG]
        self._windows = {part for secret in secrets if secret for part in _parts(secret.lower())}

    def take_out(self, text: str) -> str:
        """The text without the long ones that are whole in it; it is otherwise as it was."""
        for secret in self._long:
            text = text.replace(secret, HIDDEN)
        return text

    def hide(self, text: str, shown: int) -> str:
        """The first `shown` characters on one line, what a terminal might obey left out."""
        text = text[:_READ]
        hidden = bytearray(len(text))
        lower = "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text)
        for size in {len(part) for part in self._windows}:
            for start in range(len(text) - size + 1):
                if lower[start : start + size] in self._windows:
                    hidden[start : start + size] = b"\1" * size
        kept = "".join(_pieces(text, hidden))
        return " ".join("".join(c if c.isprintable() else " " for c in kept).split())[:shown]


def _parts(secret: str) -> Iterator[str]:
    size = min(PART, len(secret))
    if size >= 4:
        yield from (secret[start : start + size] for start in range(len(secret) - size + 1))


def _pieces(text: str, hidden: bytearray) -> Iterator[str]:
    for place, letter in enumerate(text):
        if not hidden[place]:
            yield letter
        elif not place or not hidden[place - 1]:
            yield HIDDEN
