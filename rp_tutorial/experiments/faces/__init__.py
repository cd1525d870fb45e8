"""Experiments on faces, and the lab of nets and priors that they share."""
