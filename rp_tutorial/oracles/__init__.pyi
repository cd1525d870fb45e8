from .abstaining import AbstainingOracle, confidence_for_abstention
from .attribute import AttributeSmoothing
from .base import LabelOracle
from .deterministic import DeterministicCertificate, DeterministicRP, certify_deterministic
from .noise import NoiseStream
from .plain import PlainOracle
from .randomized_response import RandomizedResponse
from .smoothing import Certificate, PredictOracle, Smoothing, VoteOracle
from .votes import plurality, significant_plurality, votes_needed

__all__ = [
    "AbstainingOracle",
    "AttributeSmoothing",
    "Certificate",
    "DeterministicCertificate",
    "DeterministicRP",
    "LabelOracle",
    "NoiseStream",
    "PlainOracle",
    "PredictOracle",
    "RandomizedResponse",
    "Smoothing",
    "VoteOracle",
    "certify_deterministic",
    "confidence_for_abstention",
    "plurality",
    "significant_plurality",
    "votes_needed",
]
