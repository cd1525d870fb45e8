"""The settings of the boundary-repulsion attack: which constants are the publication's, and which are choices.

`BREP_MI` holds the settings of the authors' code (Kahla et al. 2022); `deviations` names every other. The attack is in
`boundary_repulsion.py`. Settings that know the defence they meet are made in `attackers.py`.
"""

from dataclasses import dataclass, fields
from typing import Literal

from rp_tutorial.core.arguments import closed_unit, count, one_of, positive, refuse

WEIGHINGS = ("majority", "share")


@dataclass(frozen=True)
class BoundaryRepulsion:
    """Settings of the attack. The defaults are the published ones; `deviations` names every other."""

    directions: int = 32  # points on the sphere at each pass: the label is all there is, so this buys the gradient
    radius: float = 2.0  # first radius R0, small enough for a random starting point not far inside
    expansion: float = 1.3  # R grows by this factor once a sphere is inside
    inside_needed: int = 29  # of 32: the authors' code asks for a sum of signs above 24 (their text asks for all)
    step_fraction: float = 1 / 3  # step length is R / 3: careful while the region around is known to be thin ...
    step_limit: float = 3.0  # ... and never more than this, or one step would cross a region
    latent_clamp: float | None = 1.5  # centres stay where the prior makes good images, the sphere may leave. None: no
    patience: int = 1000  # accepted steps without an expansion after which the target is left alone
    repulsion_only: bool = True  # outside points push; False lets inside points pull as well
    rejected_limit: int | None = None  # rejected steps in a row that end a target. Published: none, it may never end
    max_iterations: int | None = None  # passes that end the attack: a bound on cost. Published: none
    repeats: int = 1  # queries for each probe, the most frequent answer counts: a patient attacker against randomness
    # What an attacker may add who knows the defence; the published attack is the default of each.
    confirmations: int | None = None  # queries for the end of a step, which decides where the walk goes. None: repeats
    weigh: Literal["majority", "share"] = "majority"  # "share": a probe pulls by the share of its answers outside
    abstain_weight: float = 1.0  # how much of an answer outside ABSTAIN is, in the pull and in the count of a sphere
    query_limit: int | None = None  # a target ends before its walk would ask more than this. Published: none

    def __post_init__(self) -> None:
        for name in ("directions", "patience", "repeats"):
            count(name, getattr(self, name))
        for name in ("radius", "step_fraction", "step_limit"):
            positive(name, getattr(self, name))
        if positive("expansion", self.expansion) <= 1:
            raise refuse("expansion", self.expansion, "a finite number above 1")
        if count("inside_needed", self.inside_needed) > self.directions:
            raise refuse("inside_needed", self.inside_needed, f"an integer from 1 to directions = {self.directions}")
        if not isinstance(self.repulsion_only, bool):
            raise refuse("repulsion_only", self.repulsion_only, "True or False")
        if self.latent_clamp is not None:
            positive("latent_clamp", self.latent_clamp)
        for name in ("rejected_limit", "max_iterations", "confirmations"):
            if getattr(self, name) is not None:
                count(name, getattr(self, name))
        one_of("weigh", self.weigh, WEIGHINGS), closed_unit("abstain_weight", self.abstain_weight)
        if self.query_limit is not None and count("query_limit", self.query_limit) < self.pass_queries:
            allowed = f"None or at least {self.pass_queries}, the queries of one pass"
            raise refuse("query_limit", self.query_limit, allowed)

    @property
    def end_queries(self) -> int:
        """Queries for the end of a step."""
        return self.repeats if self.confirmations is None else self.confirmations

    @property
    def pass_queries(self) -> int:
        """Queries of a target in one pass: its sphere, and the end of its step."""
        return self.directions * self.repeats + self.end_queries


BREP_MI = BoundaryRepulsion()  # as published and coded by its authors


def deviations(settings: BoundaryRepulsion) -> dict[str, tuple[object, object]]:
    """Which fields differ from the publication: name -> (published, here). Empty for BREP_MI."""
    pairs = {field.name: (getattr(BREP_MI, field.name), getattr(settings, field.name)) for field in fields(settings)}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
