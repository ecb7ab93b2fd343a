"""Pieces of an adapter that are put into a framework's modules right after those are imported.

Importing the modules first would cost every process seconds, and some frameworks load plug-ins in the middle
of their own import.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterable
from types import ModuleType

from tw_plugins.adapter.seams import Seam

logger = logging.getLogger(__name__)


def register_on_import(seams: Iterable[Seam]) -> None:
    """Hang each seam's registrar on the import of its module; modules already imported are served at once."""
    import wrapt

    for seam in seams:
        wrapt.register_post_import_hook(_registration(seam.register), seam.module)


def _registration(registrar: str) -> Callable[[ModuleType], None]:
    extension, _, function = registrar.partition(":")

    def register(framework_module: ModuleType) -> None:
        getattr(importlib.import_module(extension), function)(framework_module)
        logger.debug("registered %s with %s", registrar, framework_module.__name__)

    return register
