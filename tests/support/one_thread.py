"""One thread of torch for each test: two tests run at once, on CI's two cores, and threads that wait for each
other in loops there take ten times as long for small tensors."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
