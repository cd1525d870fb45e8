"""Robust Privacy: certified robustness read as inference-time privacy (arXiv 2601.17360).

Rooms, from the ground up: `statistics` and `halfspace` (what can be computed exactly), `data`, `models`,
`training`, `oracles` (what the inference interface releases), `attacks` (what an adversary does with it),
`experiments` (settings and one `run` each), `figures`, `ledger` and the command line `rp-tutorial`.
Nothing is imported here, so that `import rp_tutorial` costs nothing.
"""

__version__ = "0.1.0"
