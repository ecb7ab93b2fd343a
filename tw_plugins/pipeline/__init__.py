"""Long commands as stages that run once, side by side, and go on where they were broken off."""
