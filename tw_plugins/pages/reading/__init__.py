"""Files of trajectories, as the pages see them."""
