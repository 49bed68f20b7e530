"""The survey: which galaxies there are, and frames in the layout of the archive."""
