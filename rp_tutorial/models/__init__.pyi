from .checkpoints import check_accuracy, load_weights, save_weights
from .facenet import FaceClassifier, FaceNet, FaceNet64
from .fold import folded
from .generator import Generator, SmallGenerator
from .halfspace_net import at_distance, half_space_net
from .mlp import two_layer_net
from .priors import DecoderPrior, PCAPrior, Prior, new_prior
from .small_faces import SmallEvaluator, SmallFaceNet

__all__ = [
    "DecoderPrior",
    "FaceClassifier",
    "FaceNet",
    "FaceNet64",
    "Generator",
    "PCAPrior",
    "Prior",
    "SmallEvaluator",
    "SmallFaceNet",
    "SmallGenerator",
    "at_distance",
    "check_accuracy",
    "folded",
    "half_space_net",
    "load_weights",
    "new_prior",
    "save_weights",
    "two_layer_net",
]
