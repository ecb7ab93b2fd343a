"""Each environment has one framework; the other one's tests are left out."""

from __future__ import annotations

from tw_plugins.adapter.versions import installed

collect_ignore = [framework for framework in ("verl", "openrlhf") if installed(framework) is None]
