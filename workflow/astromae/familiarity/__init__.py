"""How far galaxies are like those that a model learnt from: ranges of what is measured, and reference embeddings."""
