"""Fuzzing of what reads files and settings: `python -m tools.fuzz`."""
