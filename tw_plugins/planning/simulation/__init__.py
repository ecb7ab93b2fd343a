"""A step's rollouts on more replicas than there are: the real state machine, on engines that only take time.

Simulated are the engines, what waits for what, and the clock. What the client's processes take of a CPU for
each request and trajectory is measured (`threadweaver bench scale --measure-client`) and goes in as a number.
"""

from tw_plugins.planning.simulation.client import MEASURED, ClientCosts
from tw_plugins.planning.simulation.errors import SimulationError
from tw_plugins.planning.simulation.service import ServiceTimes
from tw_plugins.planning.simulation.step import Cluster, StepFigures, simulate
from tw_plugins.planning.simulation.workload import WORKLOADS, Workload

__all__ = [
    "MEASURED",
    "WORKLOADS",
    "ClientCosts",
    "Cluster",
    "ServiceTimes",
    "SimulationError",
    "StepFigures",
    "Workload",
    "simulate",
]
