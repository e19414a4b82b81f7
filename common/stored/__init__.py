"""A network in a file: float, latent (to train further) or packed (to use); one format for all methods."""
