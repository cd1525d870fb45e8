"""Ways to train a net that the literature offers against model inversion; no guarantee comes with any of them."""
