"""Every piece of openrlhf_ext is in place before OpenRLHF is imported, as in a run on the CPU."""

import os

from openrlhf_ext import hooks
from openrlhf_ext.device import VARIABLE, chosen_device

os.environ[VARIABLE] = "cpu"
chosen_device().export()
hooks.install()
