"""Pages to look at trajectories, training rows and data sets; each is one file that needs no server."""
