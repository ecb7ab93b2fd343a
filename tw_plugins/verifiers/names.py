"""The verifiers by name, and where the function of each stands."""

from __future__ import annotations

import re
from pathlib import Path

from tw_plugins.errors import UserError
from tw_plugins.settings import closest

__all__ = [
    "ALLOWED",
    "CHOICE",
    "CODE",
    "MATH",
    "VerifierError",
    "check_name",
    "from_anywhere",
    "is_remote",
    "shown",
    "target_of",
]

MATH = "math"
CHOICE = "choice"
CODE = {
    "code": "tw_plugins.verifiers.code:verify",
    "code_without_sandbox": "tw_plugins.verifiers.code:verify_without_sandbox",
}
FUNCTIONS = {
    **CODE,
    CHOICE: "tw_plugins.verifiers.choice:verify",
    "verl": "verl_ext.verifier:verify",
    "reasoning_gym": "tw_plugins.verifiers.gym:verify",
}
"""Name → `module:function`."""
ALLOWED = ", ".join((MATH, *FUNCTIONS, "pkg.module:function, path/to/file.py:function or http://…"))
REMOTE = ("http://", "https://")
_TARGET = re.compile(r"(?:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*|.+\.py):[A-Za-z_]\w*", re.DOTALL)

_SECRET = re.compile(r"(?<=://)(?:[^,]*|[^/]*)@|\?[^,]*")


class VerifierError(UserError, ValueError):
    """A verifier that there is not, or that cannot be used."""


def check_name(verifier: str, setting: str) -> None:
    """
    Raises:
        ValueError: neither a name nor a function's place.
    """
    if verifier == MATH or verifier in FUNCTIONS or is_remote(verifier) or _TARGET.fullmatch(verifier):
        return
    meant = closest(verifier, (MATH, *FUNCTIONS))
    hint = f"did you mean {meant}? " if meant else ""
    raise ValueError(f"{setting}={shown(verifier)!r}: there is none of that name; {hint}Give {ALLOWED}")


def is_remote(verifier: str) -> bool:
    """Whether it is a server's address, or several with commas."""
    return all(url.strip().startswith(REMOTE) for url in verifier.split(","))


def shown(verifier: str) -> str:
    """As it may be shown and kept: an address without name, password and query, which may hold a key."""
    return _SECRET.sub("", verifier) if "://" in verifier else verifier


def from_anywhere(verifier: str) -> str:
    """The same verifier for a process that works in another folder: a file by its absolute path."""
    place, separator, name = verifier.rpartition(":")
    return f"{Path(place).absolute()}:{name}" if separator and place.endswith(".py") else verifier


def target_of(verifier: str) -> str:
    """`module:function` or `file.py:function` of a verifier that is not `math`."""
    return FUNCTIONS.get(verifier, verifier)
