"""Every piece of openrlhf_ext is in place before OpenRLHF is imported, as in a run."""

import os

from openrlhf_ext import hooks
from openrlhf_ext.launcher import CPU_ENVIRONMENT

os.environ.update(CPU_ENVIRONMENT)
hooks.install()
