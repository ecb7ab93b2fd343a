"""SFT examples as trie rows: a maker of rows, and the data set that verl's configs name (`pkg://tw_plugins.sft`)."""

from typing import TYPE_CHECKING, Any

from tw_plugins.sft.rows import RowMaker
from tw_plugins.sft.settings import SFTSettings

if TYPE_CHECKING:
    from tw_plugins.sft.dataset import TrieSFTDataset

__all__ = ["RowMaker", "SFTSettings", "TrieSFTDataset"]


def __getattr__(name: str) -> Any:
    """The data set is imported when it is asked for: it needs torch, rows do not."""
    if name != "TrieSFTDataset":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tw_plugins.sft.dataset import TrieSFTDataset

    return TrieSFTDataset
