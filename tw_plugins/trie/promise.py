"""Who sees to it, in this process, that rows with branches meet their mask.

A trainer that knows nothing of branches takes a row for plain text, trains it under a causal mask and says
nothing. So whoever hands rows to one asks for this promise first; an adapter gives it where it stands guard
over the framework's engines.
"""

from __future__ import annotations

from tw_plugins.errors import UserError

__all__ = ["UnmaskedRows", "demand_mask", "mask_demanded", "promise_mask"]


class UnmaskedRows(UserError, RuntimeError):
    """Rows with branches that would be trained as if they were plain text."""


_promised = _demanded = False


def promise_mask() -> None:
    """Say that every model in this process that sees rows with branches is given their mask.

    For a training loop of your own: that each batch's `attention_mask` is `tw_plugins.attention.mask_for`'s.
    """
    global _promised
    _promised = True


def demand_mask() -> None:
    """
    Raises:
        UnmaskedRows: nobody has promised.
    """
    global _demanded
    _demanded = True
    if not _promised:
        raise UnmaskedRows(
            "rows with branches would be trained as if they were plain text: ThreadWeaver's plug-in is not "
            "loaded in this process. On verl install tw-plugins there and leave VERL_USE_EXTERNAL_PLUGINS "
            "unset; start OpenRLHF by openrlhf_ext's commands; in a loop of your own call "
            "tw_plugins.trie.promise.promise_mask"
        )


def mask_demanded() -> bool:
    """Whether this process hands out rows that may have branches."""
    return _demanded
