"""Fork-join decoding of one trajectory over anything that continues token ids."""

from tw_plugins.rollout.limits import Limits
from tw_plugins.rollout.settings import RolloutSettings
from tw_plugins.rollout.state_machine import fork_join
from tw_plugins.rollout.streaming import Piece, Streaming
from tw_plugins.rollout.types import (
    Call,
    Completion,
    Engine,
    EngineError,
    FinishReason,
    Mode,
    Rollout,
)
from tw_plugins.rollout.watch import InOrder, Place, Watch
from tw_plugins.trajectory import ControlTokens

__all__ = [
    "Call",
    "Completion",
    "ControlTokens",
    "Engine",
    "EngineError",
    "FinishReason",
    "InOrder",
    "Limits",
    "Mode",
    "Piece",
    "Place",
    "Rollout",
    "RolloutSettings",
    "Streaming",
    "Watch",
    "fork_join",
]
