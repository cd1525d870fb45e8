"""Measured comparisons with other implementations, as ratios: `python -m benchmarks` runs those of the book's page.

`rounds.py` says how a ratio is measured and `peers.py` who is compared with. `attribute.py` and `device.py` are
measurements of their own, run by their names.
"""
