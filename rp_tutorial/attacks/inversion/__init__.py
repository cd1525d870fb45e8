"""Label-only model inversion: the boundary attack, its adaptive forms, and how they are judged."""
