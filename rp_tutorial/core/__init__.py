"""What every room stands on: arguments, labels, random streams, threads, files. Nothing here knows of privacy."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
