"""Robust Privacy: certified robustness read as inference-time privacy (arXiv 2601.17360).

`import rp_tutorial as rp` offers the names of `__init__.pyi`, and each room of the package those of its own stub:
`rp.Smoothing`, `rp.statistics.clopper_pearson`. A name is imported when it is first used, so that the import itself
costs a few milliseconds and needs no torch. The file with the code is what everything inside the package imports from.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
