from . import attackers
from .boundary_repulsion import Inversion, invert, sphere_directions
from .queries import LatentQueries
from .settings import BREP_MI, BoundaryRepulsion, deviations
from .starts import candidate_latents
from .sure_starts import SureStart, sure_starts
from .surrogates import SURROGATES, transfer
from .verdicts import Verdicts, evaluate
from .white_box import WhiteBox, WhiteBoxInversion, invert_white_box

__all__ = [
    "BREP_MI",
    "SURROGATES",
    "BoundaryRepulsion",
    "Inversion",
    "LatentQueries",
    "SureStart",
    "Verdicts",
    "WhiteBox",
    "WhiteBoxInversion",
    "attackers",
    "candidate_latents",
    "deviations",
    "evaluate",
    "invert",
    "invert_white_box",
    "sphere_directions",
    "sure_starts",
    "transfer",
]
