r"""The JSON of a model's answer, with LaTeX as the model meant it.

Models often write ``"\frac{1}{2}"`` where JSON wants ``"\\frac{1}{2}"``. Read to the letter that is a form
feed and ``rac``; so a backslash that begins a LaTeX command is doubled before the text is read.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from tw_plugins.errors import UserError

__all__ = ["Malformed", "json_in", "plain"]

_FENCED = re.compile(r"```[A-Za-z]*[^\S\n]*\n(.*?)```", re.DOTALL)
_ESCAPE = re.compile(r'\\(?:[\\"/]|u[0-9A-Fa-f]{4}|(?P<word>[A-Za-z]+))?')
# Commands that begin as an escape of JSON does. Not \ni: a line that begins with the letter i is more common.
_WORDS = """
    backslash bar barwedge bcancel because begin beta beth between bf big bigcap bigcirc bigcup bigg biggl
    biggr bigl bigm bigoplus bigotimes bigr bigsqcup bigstar biguplus bigvee bigwedge binom blacksquare
    blacktriangle bm bmod boldsymbol bot bowtie boxed boxplus boxtimes breve bullet
    fbox flat forall frac frown
    nabla natural ncong ne nearrow neg neq newline nexists ngeq ngtr nleq nless nmid nolimits nonumber not
    notin nparallel nprec nsim nsubseteq nsupseteq nu nwarrow
    rangle rbrace rbrack rceil rfloor rho right rightarrow rightharpoonup rightleftharpoons rm root rtimes
    rvert
    tag tan tanh tau tbinom text textbf textit textrm textsf textstyle texttt tfrac therefore theta thicksim
    thinspace tilde times to top triangle triangleleft triangleq triangleright
"""
_COMMANDS = frozenset(_WORDS.split())
_READINGS = 20  # of a text, in attempts that fail


class Malformed(UserError, ValueError):
    """An answer that cannot be used; the message is for the model, `code` for the file of records."""

    def __init__(self, message: str, code: str = "malformed_answer") -> None:
        self.code = code
        super().__init__(message)


def json_in(answer: str) -> Any:
    """The JSON of an answer, behind its reasoning: a fenced block, the last that will do, or the whole of it,
    or the longest object or list in its text.

    Raises:
        Malformed: there is none, or half of a surrogate pair is in it.
    """
    _, _, said = answer.rpartition("</think>")
    if "<think>" in said:
        raise Malformed("it is not JSON (the reasoning does not end)")
    text = _mended(said)
    problem = "it is empty"
    for candidate in (*reversed(_FENCED.findall(text)), text):
        try:
            return _of_whole_characters(json.loads(candidate))
        except (ValueError, RecursionError) as error:
            if isinstance(error, Malformed):
                raise
            problem = str(error)
    found = max(_values(text), key=lambda pair: pair[0], default=None)
    if found is None:
        raise Malformed(f"it is not JSON ({problem[:80]})")
    return _of_whole_characters(found[1])


def plain(text: str, allowed: str = "") -> str:
    """The text itself, when it has no control characters but line ends and those that `allowed` has.

    Raises:
        Malformed: it has one: most likely LaTeX whose backslash was not doubled.
    """
    for letter in text:
        if letter != "\n" and unicodedata.category(letter) == "Cc" and letter not in allowed:
            raise Malformed(
                f"{text[:60]!r} has the control character {letter!r}: double each backslash in JSON, as in "
                '"\\\\frac"'
            )
    return text


def _mended(text: str) -> str:
    return _ESCAPE.sub(_doubled, text)


def _doubled(match: re.Match[str]) -> str:
    """An escape of JSON as it is, any other backslash twice."""
    word = match["word"]
    if word is None:
        return match[0] if len(match[0]) > 1 else "\\\\"
    is_escape = word[0] in "bfnrt" and word not in _COMMANDS
    return match[0] if is_escape else f"\\{match[0]}"


def _values(text: str) -> Iterator[tuple[int, Any]]:
    """Length and value of each object or list in a text that is not inside another.

    A bracket that is never closed is read up to the end of the text, and so may be the next one; the search
    gives up after as many characters as `_READINGS` texts have.
    """
    decoder, at, left = json.JSONDecoder(), 0, _READINGS * len(text)
    for match in re.finditer(r"[{\[]", text):
        start = match.start()
        if start < at:
            continue
        try:
            value, at = decoder.raw_decode(text, start)
        except RecursionError:
            return  # each bracket of such a nest would end like this, after a thousand calls
        except ValueError as error:
            left -= getattr(error, "pos", len(text)) - start  # a number of too many digits has no pos
            if left < 0:
                return
        else:
            yield at - start, value


def _of_whole_characters(value: Any) -> Any:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Malformed("it has half of a surrogate pair, which is no character") from error
    return value
