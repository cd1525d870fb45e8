from .best_of_several import alternating, best_against, cross_fitted
from .binomial import (
    certified_radius,
    certified_radius_two_bounds,
    clopper_pearson,
    lower_confidence_bound,
    max_certifiable_radius,
    min_certify_votes,
    min_predict_votes,
    upper_confidence_bound,
)
from .families import dominance, holm, slices, verdict
from .fronts import Outcome, areas, front, outcomes
from .paired import PairedComparison, Rate, paired_comparison, paired_difference, rate

__all__ = [
    "Outcome",
    "PairedComparison",
    "Rate",
    "alternating",
    "areas",
    "best_against",
    "certified_radius",
    "certified_radius_two_bounds",
    "clopper_pearson",
    "cross_fitted",
    "dominance",
    "front",
    "holm",
    "lower_confidence_bound",
    "max_certifiable_radius",
    "min_certify_votes",
    "min_predict_votes",
    "outcomes",
    "paired_comparison",
    "paired_difference",
    "rate",
    "slices",
    "upper_confidence_bound",
    "verdict",
]
