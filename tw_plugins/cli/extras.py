"""Which extra of this distribution brings a package that an import did not find."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, metadata

__all__ = ["missing_extra"]

DISTRIBUTION = "tw-plugins"
IMPORTED_AS = {"yaml": "pyyaml"}


def missing_extra(error: Exception) -> str | None:
    """What to tell a user whose environment lacks an optional package.

    Returns:
        One line that names the extra; None for any other error, and for a package that no extra brings.
    """
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    name = IMPORTED_AS.get(name or "", name)
    holding = {extra: names for extra, names in _extras().items() if name in names} if name else {}
    if not holding:
        return None
    smallest = min(holding, key=lambda extra: len(holding[extra]))
    return f"this needs {name}, which is not installed: pip install '{DISTRIBUTION}[{smallest}]'"


def _extras() -> dict[str, set[str]]:
    """The distributions that each extra asks for, by the names that those which we meet are imported by."""
    from packaging.requirements import Requirement

    try:
        declared = metadata(DISTRIBUTION)
    except PackageNotFoundError:  # a checkout on the path, not installed
        return {}
    wanted = [Requirement(line) for line in declared.get_all("Requires-Dist") or []]
    found = {
        extra: [one.name for one in wanted if one.marker and one.marker.evaluate({"extra": extra})]
        for extra in declared.get_all("Provides-Extra") or []
    }
    return {extra: {name.replace("-", "_") for name in names} for extra, names in found.items()}
