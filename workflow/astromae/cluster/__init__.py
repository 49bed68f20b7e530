"""Running on a Slurm cluster: what jobs ask for and are expected to take, and what would keep them from running."""
