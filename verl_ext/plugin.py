"""What verl loads in every process: hooks that wait for verl's modules and then register ThreadWeaver there.

verl imports this module at the end of its own `__init__` (entry-point group `verl.plugins`), long before most
of its modules exist. Importing them here would cost every process seconds and import verl in circles; instead
each piece of `verl_ext.seams` is registered right after the module that it belongs to has been imported.

Work at import is what the seam asks for: verl only loads the entry point, it calls nothing.
"""

from __future__ import annotations

import logging

from tw_plugins.adapter.hooks import register_on_import
from tw_plugins.trie.promise import promise_mask
from verl_ext.seams import SEAMS, SETTINGS, SUPPORTED

logger = logging.getLogger(__name__)


def install() -> None:
    """Hang every registration on the import of its verl module; modules already imported are served at once.

    With versions that the seams were not checked against only `SETTINGS` are registered, which refuse every
    run that asks for ThreadWeaver; other runs of verl go on as if it were not installed.
    """
    if found := SUPPORTED.problems():
        logger.error("the ThreadWeaver plug-in is off: %s", "; ".join(found))
    promise_mask()  # whatever the version, `verl_ext.engine_guard` stands before every engine
    register_on_import(SETTINGS if found else SEAMS)


install()
