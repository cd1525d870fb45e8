from .base import estimates, lines
from .comparisons import adaptive_attackers, asr_arms, distillation_curves, front_areas, frontier, gains
from .contact_sheets import ContactSheet, blurred, contact_sheet, mean_image
from .faces import (
    asr_by_sigma,
    flip_rates,
    label_regions,
    latent_walk,
)
from .pages import page
from .tables import (
    inferred_intervals,
    interval_sets,
    live_certificate,
    live_plan,
    radius_against_distance,
    rates_by_sigma,
    release_histogram,
)

__all__ = [
    "ContactSheet",
    "adaptive_attackers",
    "asr_arms",
    "asr_by_sigma",
    "blurred",
    "contact_sheet",
    "distillation_curves",
    "estimates",
    "flip_rates",
    "front_areas",
    "frontier",
    "gains",
    "inferred_intervals",
    "interval_sets",
    "label_regions",
    "latent_walk",
    "lines",
    "live_certificate",
    "live_plan",
    "mean_image",
    "page",
    "radius_against_distance",
    "rates_by_sigma",
    "release_histogram",
]
