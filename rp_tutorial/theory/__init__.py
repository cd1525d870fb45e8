"""What is proved: half-space laws, the guarantees of Robust Privacy, plans, the law of randomized response."""
