"""verl is asked for the CPU before it is imported, as in a run on this machine."""

import tests.support.verl.platform  # noqa: F401
