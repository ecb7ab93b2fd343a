"""`threadweaver bench scale`: what its simulation is fed with, and how far it is from real engines."""
