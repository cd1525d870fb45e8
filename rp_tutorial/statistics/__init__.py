"""Exact intervals, tests and fronts. NumPy and SciPy only."""
