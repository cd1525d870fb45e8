"""Experiments on the insurance table."""
