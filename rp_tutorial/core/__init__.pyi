from .directions import on_sphere as on_sphere
from .streams import Purpose as Purpose
from .streams import child_seed as child_seed
from .streams import numpy_generator as numpy_generator
from .streams import torch_generator as torch_generator
