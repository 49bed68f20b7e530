"""AstroMAE: photometric redshifts from a masked autoencoder, from the archive to the printed table."""

__version__ = "0.1.0"
