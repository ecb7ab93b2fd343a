"""Tasks of reasoning-gym as problems of RL and evaluation, alone or several in one problem."""

from tw_plugins.data.tasks.files import Made, write_tasks
from tw_plugins.data.tasks.problems import TaskError

__all__ = ["Made", "TaskError", "write_tasks"]
