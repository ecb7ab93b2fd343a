"""ThreadWeaver (arXiv 2512.07843) for the RL frameworks people already run: the core, without any framework.

Importing this package imports nothing. A public name, or a room of the package, is imported when it is asked
for: ``tw_plugins.parse`` costs no torch. ``tw_plugins.reward`` is the room; its function of the same name is
``tw_plugins.reward.reward``.
"""

TYPE_CHECKING = False  # not typing's: that module alone takes longer to import than this one
if TYPE_CHECKING:
    from tw_plugins.advantage import p_grpo as p_grpo
    from tw_plugins.attention import ancestor_block_mask as ancestor_block_mask
    from tw_plugins.attention import ancestor_mask as ancestor_mask
    from tw_plugins.attention import mask_for as mask_for
    from tw_plugins.collator import TrieCollator as TrieCollator
    from tw_plugins.grading import is_equivalent as is_equivalent
    from tw_plugins.latency import Latency as Latency
    from tw_plugins.latency import measure as measure
    from tw_plugins.reward import RewardSettings as RewardSettings
    from tw_plugins.reward import compute_score as compute_score
    from tw_plugins.rollout import Call as Call
    from tw_plugins.rollout import Completion as Completion
    from tw_plugins.rollout import ControlTokens as ControlTokens
    from tw_plugins.rollout import Engine as Engine
    from tw_plugins.rollout import Limits as Limits
    from tw_plugins.rollout import Rollout as Rollout
    from tw_plugins.rollout import fork_join as fork_join
    from tw_plugins.sft import RowMaker as RowMaker
    from tw_plugins.sft import TrieSFTDataset as TrieSFTDataset
    from tw_plugins.trajectory import FormatError as FormatError
    from tw_plugins.trajectory import Trajectory as Trajectory
    from tw_plugins.trajectory import parse as parse
    from tw_plugins.trajectory import render as render
    from tw_plugins.trajectory import validate as validate
    from tw_plugins.trie import TrieRow as TrieRow
    from tw_plugins.trie import row_from_ids as row_from_ids
    from tw_plugins.trie import row_from_rollout as row_from_rollout
    from tw_plugins.trie import row_from_units as row_from_units

    __version__: str

_ROOMS = {
    "trajectory": ("FormatError", "Trajectory", "parse", "render", "validate"),
    "rollout": ("Call", "Completion", "ControlTokens", "Engine", "Limits", "Rollout", "fork_join"),
    "trie": ("TrieRow", "row_from_ids", "row_from_rollout", "row_from_units"),
    "attention": ("ancestor_block_mask", "ancestor_mask", "mask_for"),
    "collator": ("TrieCollator",),
    "latency": ("Latency", "measure"),
    "sft": ("RowMaker", "TrieSFTDataset"),
    "reward": ("RewardSettings", "compute_score"),
    "grading": ("is_equivalent",),
    "advantage": ("p_grpo",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}
__all__ = [*_ROOMS, *_ROOM_OF]

if not TYPE_CHECKING:  # a type checker that saw this function would let every misspelt name pass

    def __getattr__(name):
        """A public name, a room, or the version that the installed distribution has."""
        import importlib.metadata

        if name == "__version__":
            return importlib.metadata.version("tw-plugins")
        if name in _ROOMS:
            return importlib.import_module(f"{__name__}.{name}")
        if name not in _ROOM_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
        globals()[name] = value  # asked once
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
