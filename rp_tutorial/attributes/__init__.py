"""What a release tells about one attribute: pieces of constant label, sets with units, RAP, posteriors."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
