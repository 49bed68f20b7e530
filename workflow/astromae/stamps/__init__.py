"""Stamps: galaxies cut from frames onto one grid, and the subsets they are dealt into."""
