"""Which framework versions an adapter's seams were checked against, and the one message for any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet

from tw_plugins.errors import UserError


class UnsupportedVersion(UserError, RuntimeError):
    """An installed framework version that the seams of an adapter were not checked against."""


def installed(distribution: str) -> str | None:
    """Version of an installed distribution, or None when it is absent."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


@dataclass(frozen=True)
class Supported:
    """What an adapter was checked against.

    Attributes:
        adapter: our package, for messages.
        versions: distribution → PEP 440 specifier.
        optional: distributions that may be absent.
    """

    adapter: str
    versions: Mapping[str, str]
    optional: frozenset[str] = frozenset()

    def problems(self) -> list[str]:
        """One line for each distribution that is missing or of an unsupported version."""
        found = []
        for name, spec in self.versions.items():
            have = installed(name)
            if have is None:
                if name not in self.optional:
                    found.append(f"{name} is not installed; {self.adapter} needs {name}{spec}")
            elif not SpecifierSet(spec).contains(have, prereleases=True):
                found.append(
                    f"{name} {have} is installed; {self.adapter} supports {name}{spec}: install that version"
                )
        return found

    def check(self) -> None:
        """Raise UnsupportedVersion with every mismatch at once; `threadweaver doctor` prints the same."""
        if found := self.problems():
            raise UnsupportedVersion("; ".join(found))
