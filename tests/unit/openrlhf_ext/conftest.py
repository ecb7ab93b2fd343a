"""Every piece of openrlhf_ext is in place before OpenRLHF is imported, as in a run on the CPU."""

from tests.support.openrlhf.pieces import put_in_place

put_in_place()
