from . import (
    attacks,
    attributes,
    core,
    data,
    experiments,
    figures,
    ledger,
    models,
    oracles,
    statistics,
    theory,
    training,
    verification,
)
from .attacks.attribute_inference import infer_attribute
from .attacks.averaging import average
from .attacks.canary_audit import audit_with_canaries
from .attacks.distillation import distil
from .attacks.distinguishing import play
from .attacks.inversion.boundary_repulsion import invert
from .attributes.posterior import posterior
from .attributes.rap import inference_set, rap_set
from .attributes.sets import IntervalSet
from .core.arguments import InputError
from .core.labels import ABSTAIN
from .data.faces.sources import load_faces
from .data.tables.insurance import load_table
from .data.tables.tasks import threshold_task
from .oracles.abstaining import AbstainingOracle
from .oracles.attribute import AttributeSmoothing
from .oracles.base import LabelOracle
from .oracles.deterministic import DeterministicRP
from .oracles.plain import PlainOracle
from .oracles.randomized_response import RandomizedResponse
from .oracles.smoothing import PredictOracle, Smoothing, VoteOracle
from .theory.guarantees import RobustPrivacy, deployable_radius
from .theory.planner import plan

__all__ = [
    "ABSTAIN",
    "AbstainingOracle",
    "AttributeSmoothing",
    "DeterministicRP",
    "InputError",
    "IntervalSet",
    "LabelOracle",
    "PlainOracle",
    "PredictOracle",
    "RandomizedResponse",
    "RobustPrivacy",
    "Smoothing",
    "VoteOracle",
    "attacks",
    "attributes",
    "audit_with_canaries",
    "average",
    "core",
    "data",
    "deployable_radius",
    "distil",
    "experiments",
    "figures",
    "infer_attribute",
    "inference_set",
    "invert",
    "ledger",
    "load_faces",
    "load_table",
    "models",
    "oracles",
    "plan",
    "play",
    "posterior",
    "rap_set",
    "statistics",
    "theory",
    "threshold_task",
    "training",
    "verification",
]
