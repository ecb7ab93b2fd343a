"""What is put into OpenRLHF's modules, in the driver and in every Ray worker, right after they are imported.

The table is in `openrlhf_ext.seams`. Ray runs `install` in each worker process (`worker_process_setup_hook`)
before it imports anything else.
"""

from __future__ import annotations

from collections.abc import Iterable

from openrlhf_ext.device import chosen_device
from openrlhf_ext.seams import SEAMS
from tw_plugins.adapter.hooks import register_on_import
from tw_plugins.adapter.seams import Seam
from tw_plugins.trie.promise import promise_mask

SETUP_HOOK = "openrlhf_ext.hooks.install"

_installed = False
_registered: set[tuple[str, str]] = set()


def install() -> None:
    """Put every piece in place, once per process."""
    global _installed
    _installed = True
    promise_mask()  # by `openrlhf_ext.actor`, in every model that OpenRLHF makes
    install_for_device()
    _register(SEAMS)


def install_for_device() -> None:
    """Only what lets upstream's own commands run here: nothing, unless the CPU is asked for."""
    device = chosen_device()
    device.prepare()
    _register(device.seams)


def installed() -> bool:
    """Whether this process belongs to a run of our launchers."""
    return _installed


def _register(seams: Iterable[Seam]) -> None:
    """Each registrar once per module and process: it wraps what it finds, and would wrap itself."""
    new = {(seam.module, seam.register): seam for seam in seams}
    for known in _registered & new.keys():
        del new[known]
    register_on_import(new.values())
    _registered.update(new)
