from . import inversion
from .attribute_inference import Inference, infer_attribute
from .averaging import Averaged, average, plurality_success, queries_needed, repeated_advantage, response_success
from .bayes_guess import band_success, side_success
from .canary_audit import CanaryAudit, audit_with_canaries, epsilon_lower_bound
from .distillation import Distilled, distil, query_images, train_student
from .distinguishing import fit_test, judge, play, record

__all__ = [
    "Averaged",
    "CanaryAudit",
    "Distilled",
    "Inference",
    "audit_with_canaries",
    "average",
    "band_success",
    "distil",
    "epsilon_lower_bound",
    "fit_test",
    "infer_attribute",
    "inversion",
    "judge",
    "play",
    "plurality_success",
    "queries_needed",
    "query_images",
    "record",
    "repeated_advantage",
    "response_success",
    "side_success",
    "train_student",
]
