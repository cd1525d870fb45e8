from .pieces import LabelPieces, label_pieces
from .posterior import Posterior, posterior
from .rap import ape, inference_set, rap_set, release_level, sampled_inference_set, sampled_rap_set
from .sets import IntervalSet, Scale, StandardScale
from .smoothed_pieces import leader_pieces, level_pieces, probabilities

__all__ = [
    "IntervalSet",
    "LabelPieces",
    "Posterior",
    "Scale",
    "StandardScale",
    "ape",
    "inference_set",
    "label_pieces",
    "leader_pieces",
    "level_pieces",
    "posterior",
    "probabilities",
    "rap_set",
    "release_level",
    "sampled_inference_set",
    "sampled_rap_set",
]
