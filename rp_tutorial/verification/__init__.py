"""What a ReLU net does on a whole ball of inputs: bounds, complete search, nearest label change."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
