"""Pieces of an adapter that are put into a framework's modules right after those are imported.

Importing the modules first would cost every process seconds, and some frameworks load plug-ins in the middle
of their own import.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Mapping
from types import ModuleType

logger = logging.getLogger(__name__)


def register_on_import(registrations: Mapping[str, str]) -> None:
    """Hang every registration on the import of its module; modules already imported are served at once.

    Args:
        registrations: framework module → module of ours whose `register(framework_module)` is called once the
            former is imported.
    """
    import wrapt

    for framework_module, extension in registrations.items():
        wrapt.register_post_import_hook(_registration(extension), framework_module)


def _registration(extension: str) -> Callable[[ModuleType], None]:
    def register(framework_module: ModuleType) -> None:
        importlib.import_module(extension).register(framework_module)
        logger.debug("registered %s with %s", extension, framework_module.__name__)

    return register
