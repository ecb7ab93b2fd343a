"""What a recipe takes, before anything starts: memory of each GPU, and a step's time."""

from tw_plugins.planning.errors import PlanError
from tw_plugins.planning.hardware import GIB, GPUS, Cluster, Gpu
from tw_plugins.planning.job import Job, Remedy, Rollout, State, Training
from tw_plugins.planning.plan import Plan, RolloutPlan, plan
from tw_plugins.planning.sizes import PUBLISHED, ModelSize, config_of

__all__ = [
    "GIB",
    "GPUS",
    "PUBLISHED",
    "Cluster",
    "Gpu",
    "Job",
    "ModelSize",
    "Plan",
    "PlanError",
    "Remedy",
    "Rollout",
    "RolloutPlan",
    "State",
    "Training",
    "config_of",
    "plan",
]
