"""Programs that do not solve their problem, a function `double` or two lines, and claim that they do."""

from __future__ import annotations

FORGERIES = {
    "os._exit": "import os; os._exit(0)",
    "sys.exit": "import sys; sys.exit(0)",
    "exit after all answers": "print('6\\n8'); raise SystemExit",
    "exit in a call": "double = lambda x: exit(0)",
    "the checker's words on every descriptor": """
import os, json
for fd in range(64):
    for said in {"passed": True}, {"status": 0, "output": "6"}, {"value": None, "arguments": []}:
        try: os.write(fd, json.dumps(said).encode() + b"\\n")
        except OSError: pass
""",
    "equal to everything": """
class All:
    def __eq__(self, other): return True
    def __sub__(self, other): return 0
    __lt__ = __abs__ = __sub__
    __str__ = lambda self: ""
double = lambda x: All()
print(All())
""",
    "a list that equals everything": """
class L(list):
    def __eq__(self, other): return True
double = lambda x: L([1])
""",
    "what the tests call": """
import builtins
builtins.abs = abs = lambda x: 0
builtins.AssertionError = ValueError
def check(candidate): pass
double = lambda x: 6
""",
    "reading what is expected": """
import gc, sys
found = [x for x in gc.get_objects() if isinstance(x, dict) and (x.get("outputs") or x.get("tests"))]
frame = sys._getframe()
while frame:
    texts = [each for each in frame.f_locals.values() if isinstance(each, str)]
    found += [each for each in texts if ("assert" in each or "6\\n" in each) and "get_objects" not in each]
    frame = frame.f_back
def double(x): return 2 * x if found else 0
if found: print(double(int(input())))
""",
}
