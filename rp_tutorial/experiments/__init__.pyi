from .faces.adaptive import AdaptiveBench
from .faces.defenses import Defense
from .faces.distillation import School, Teacher
from .faces.frontier import LOWEST, RP
from .faces.inversion import CONTROL, SIGMAS, Arm, Bench
from .faces.lab import PUBLISHED_FILES, FaceLab
from .faces.private_nets import EPSILONS, PRIVATE_TRAINING, private_target, public_net
from .faces.students import MARGIN
from .mechanism.latent_measures import (
    difference,
    displacement,
    pass_probability,
    push,
    sphere_labels,
    unit_vectors,
)
from .mechanism.probe import Probe
from .tables.frontier import InsuranceFrontierSettings, run_insurance

__all__ = [
    "CONTROL",
    "EPSILONS",
    "LOWEST",
    "MARGIN",
    "PRIVATE_TRAINING",
    "PUBLISHED_FILES",
    "RP",
    "SIGMAS",
    "AdaptiveBench",
    "Arm",
    "Bench",
    "Defense",
    "FaceLab",
    "InsuranceFrontierSettings",
    "Probe",
    "School",
    "Teacher",
    "difference",
    "displacement",
    "pass_probability",
    "private_target",
    "public_net",
    "push",
    "run_insurance",
    "sphere_labels",
    "unit_vectors",
]
