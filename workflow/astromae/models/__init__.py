"""Networks: encoders, the masked autoencoder, and redshift models assembled from branches."""
