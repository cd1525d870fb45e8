"""What is proved: half-space laws, the guarantees of Robust Privacy, plans, the law of randomized response."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
