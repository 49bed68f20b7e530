"""Trained models asked by people: about any galaxies, on any machine."""
