"""Answers to exercises, checked: `rp.checks.check_vote_quantile(mine)` says in one line whether it is right.

One implementation for the chapters, the assignments and their autograders. Nothing of the package rests on this room.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
