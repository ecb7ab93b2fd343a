"""Which versions the seams were checked against, and the one message for any other."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet

SUPPORTED = {"verl": "~=0.9.1", "transformers": ">=5.0,<5.11", "torch": ">=2.9", "vllm": ">=0.20"}
"""Distribution → versions supported by verl_ext. `vllm` may be absent (SGLang rollouts, SFT only)."""

OPTIONAL = frozenset({"vllm"})


class UnsupportedVersion(RuntimeError):
    """An installed framework version that the seams of verl_ext were not checked against."""


def installed(distribution: str) -> str | None:
    """Version of an installed distribution, or None when it is absent."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def problems() -> list[str]:
    """One line for each distribution that is missing or of an unsupported version; empty when all is well."""
    found = []
    for name, spec in SUPPORTED.items():
        have = installed(name)
        if have is None:
            if name not in OPTIONAL:
                found.append(f"{name} is not installed; verl_ext needs {name}{spec}")
        elif not SpecifierSet(spec).contains(have, prereleases=True):
            found.append(f"{name} {have} is installed; verl_ext supports {name}{spec}: install that version")
    return found


def check_versions() -> None:
    """Raise UnsupportedVersion with every mismatch at once; `threadweaver doctor` prints the same lines."""
    if found := problems():
        raise UnsupportedVersion("; ".join(found))
