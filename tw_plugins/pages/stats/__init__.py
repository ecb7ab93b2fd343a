"""The shape of a data set as a page."""
