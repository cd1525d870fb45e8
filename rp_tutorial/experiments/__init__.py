"""Experiments: each an object that registers itself, with settings for every profile and one `run`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
