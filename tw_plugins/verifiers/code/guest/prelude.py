"""What programs take for granted: the sites that the problems come from import it for them."""

from __future__ import annotations

import builtins
import sys
from types import ModuleType

SOURCE = """
import bisect, collections, copy, functools, heapq, itertools, math, operator, random, re, string, sys
from bisect import *
from collections import *
from functools import *
from heapq import *
from itertools import *
from math import *
from typing import *
from builtins import *
"""
PRELUDE = compile(SOURCE, "prelude.py", "exec", dont_inherit=True)
_names: dict[str, object] = {}
exec(PRELUDE, _names)
MODULES = {name: value for name, value in _names.items() if isinstance(value, ModuleType)}

for name in ("exit", "quit"):  # `site` makes these, which is not imported
    setattr(builtins, name, sys.exit)
