"""Tooling that makes the book: the build, its assets, the reader notebooks, the lock file.

Nothing here is imported by the package or by a chapter, and nothing here is installed with the package.
Run the modules from the root of the repository (`python -m tools.book`); the Makefile does.
"""
