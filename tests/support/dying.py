"""An engine's process that ends in the first rollout, as the OOM killer ends it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Any

DIED = "TW_TEST_DIED"
"""Environment variable: the file that the one that dies leaves."""


def die_in_rollout(worker: Any) -> None:
    """End this process without a word once vLLM's worker has requests; of several engines, one."""
    threading.Thread(target=_die, args=(worker,), daemon=True).start()


def _die(worker: Any) -> None:
    while not worker.model_runner.requests:
        time.sleep(0.01)
    with contextlib.suppress(FileExistsError):
        Path(os.environ[DIED]).touch(exist_ok=False)
        os._exit(137)
