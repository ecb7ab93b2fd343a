"""Many clients at once against the real server, with faults among them."""
