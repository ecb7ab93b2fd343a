"""What a trajectory is, as text and as token ids."""

from tw_plugins.trajectory.encoding import encode_trajectory
from tw_plugins.trajectory.grammar import MAX_THREADS, TAGS
from tw_plugins.trajectory.tags import ControlTokenError, ControlTokens
from tw_plugins.trajectory.text import (
    Block,
    FormatCode,
    FormatError,
    Outline,
    Thread,
    Trajectory,
    TrajectoryError,
    outline_numbers,
    parse,
    render,
    validate,
    validate_ids,
)

__all__ = [
    "MAX_THREADS",
    "TAGS",
    "Block",
    "ControlTokenError",
    "ControlTokens",
    "FormatCode",
    "FormatError",
    "Outline",
    "Thread",
    "Trajectory",
    "TrajectoryError",
    "encode_trajectory",
    "outline_numbers",
    "parse",
    "render",
    "validate",
    "validate_ids",
]
