"""The defences that the face experiments compare, each as a name, its settings, and the oracle that releases labels.

One net behind every interface defence, so that arms differ in the release alone; DP-SGD and training under noise
change the net. What a defence promises is in `oracles` and `training`; which attacker it meets is in the experiments.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from rp_tutorial.core.arguments import one_of
from rp_tutorial.experiments.faces.lab import FaceLab
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.randomized_response import RandomizedResponse
from rp_tutorial.oracles.smoothing import PredictOracle, Smoothing, VoteOracle

if TYPE_CHECKING:
    from rp_tutorial.experiments.faces.private_nets import PrivateTraining

DP_SGD = "DP-SGD"
RESPONSES = ("randomized response", "memoised response")  # fresh, and the same answer to the same query
NOISY = ("plain noise", "smoothing", "fixed noise", "abstaining")
DEFENSES = ("none", *NOISY, *RESPONSES, DP_SGD)


@dataclass(frozen=True)
class Defense:
    """One defence. sigma is in units of a pixel's range [0, 1]; epsilon is RR's per release, or DP-SGD's of the net."""

    defense: str  # one of DEFENSES
    sigma: float = 0.0
    n: int = 1
    augmented: bool = False  # the net was trained under noise of the same sigma
    epsilon: float | None = None
    public: bool = False  # DP-SGD starts from a net pretrained on public images

    def __post_init__(self) -> None:
        one_of("defense", self.defense, DEFENSES)

    @property
    def label(self) -> str:
        """What a reader sees; unique among the defences of a run."""
        parts = [self.defense]
        if self.epsilon is not None:
            parts.append(f"epsilon {self.epsilon:g}")
        if self.defense == DP_SGD:
            parts.append("public pretraining" if self.public else "from scratch")
        if self.defense in NOISY:
            parts.append(f"sigma {self.sigma:g}")
        if self.defense in NOISY and self.defense != "plain noise":
            parts.append(f"N = {self.n}")
        if self.augmented:
            parts.append(f"net trained under {self.sigma:g}")
        return ", ".join(parts)

    @property
    def family(self) -> str:
        """What competes with what: the defence, and how its net was trained."""
        if self.defense == DP_SGD:
            return f"{DP_SGD}, {'public pretraining' if self.public else 'from scratch'}"
        if self.augmented:
            return "training under noise" if self.defense == "none" else f"{self.defense} and training under noise"
        return self.defense


def extra_nets(defenses: Iterable[Defense]) -> int:
    """How many nets these defences need beside the target: stages of a run that stands on them."""
    listed = list(defenses)
    private = {(d.epsilon, d.public) for d in listed if d.defense == DP_SGD}
    pretrained = any(public for _, public in private)
    return len({d.sigma for d in listed if d.augmented}) + len(private) + pretrained


def defended_net(lab: FaceLab, defense: Defense, *, recipe: PrivateTraining | None = None) -> nn.Module:
    """The net behind a defence, trained or read from the cache."""
    if defense.defense == DP_SGD:
        from rp_tutorial.experiments.faces.private_nets import PrivateTraining, private_target  # Opacus is an extra

        return private_target(lab, recipe or PrivateTraining(), epsilon=defense.epsilon, public=defense.public)
    return lab.target(noise_sigma=defense.sigma if defense.augmented else None)


def release(
    lab: FaceLab, defense: Defense, *, seed: int, alpha: float = 0.01, recipe: PrivateTraining | None = None
) -> LabelOracle:
    """The oracle of a defence, with randomness of its own from `seed`. alpha: of PREDICT, where it abstains.

    Votes with fresh noise are curtailed, which changes no label; repeated noise is a function of the image.
    """
    net, device = defended_net(lab, defense, recipe=recipe), lab.settings.device
    if defense.defense not in NOISY:
        plain = PlainOracle(net, num_classes=lab.num_classes, device=device)
        if defense.defense not in RESPONSES:
            return plain
        memoised = defense.defense == "memoised response"
        return RandomizedResponse(plain, epsilon=defense.epsilon, seed=seed, memoised=memoised)
    smoothing = Smoothing(
        net,
        num_classes=lab.num_classes,
        sigma=defense.sigma,
        seed=seed,
        noise="fixed" if defense.defense == "fixed noise" else "independent",
        unit="pixel range",
        device=device,
    )
    if defense.defense == "abstaining":
        return PredictOracle(smoothing, n=defense.n, alpha=alpha)
    return VoteOracle(smoothing, n=defense.n, curtailed=defense.defense == "smoothing")
