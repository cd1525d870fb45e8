from .directions import on_sphere
from .streams import Purpose, child_seed, numpy_generator, torch_generator

__all__ = ["Purpose", "child_seed", "numpy_generator", "on_sphere", "torch_generator"]
