"""The defences that the face experiments compare, each as a name, its settings, and the oracle that releases labels.

One net behind every interface defence, so that arms differ in the release alone; DP-SGD (`private_nets.py`),
training under noise and the recipes of `trained_nets.py` change the net. A defence registers itself: a new one is a
function that gives its oracle, and from then on every experiment that compares defences can meet it. What a defence
promises is proved in `theory`; which attacker it meets is in the experiments.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rp_tutorial.core.arguments import one_of
from rp_tutorial.core.registry import Registry, Source
from rp_tutorial.experiments.faces.lab import UNIT, FaceLab
from rp_tutorial.experiments.faces.trained_nets import TRAINED_NETS
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.randomized_response import RandomizedResponse
from rp_tutorial.oracles.smoothing import PredictOracle, Smoothing, VoteOracle
from rp_tutorial.theory.response import advantage

NO_PROMISE: dict[str, Any] = {"advantage": None, "pairs": ""}
WORDS = {"epsilon": "epsilon {:g}", "sigma": "sigma {:g}", "n": "N = {}"}  # a setting in a label


@dataclass(frozen=True)
class Defense:
    """One defence. sigma is in units of a pixel's range [0, 1]; epsilon is RR's per release, or DP-SGD's of the net."""

    defense: str  # a registered name
    sigma: float = 0.0
    n: int = 1
    augmented: bool = False  # the net was trained under noise of the same sigma
    epsilon: float | None = None
    public: bool = False  # DP-SGD starts from a net pretrained on public images
    net: str = ""  # a registered way to train the net behind the release (`trained_nets.py`); promises stay as they are

    def __post_init__(self) -> None:
        one_of("defense", self.defense, DEFENSES)
        if self.net:
            one_of("net", self.net, TRAINED_NETS)

    @property
    def kind(self) -> DefenseKind:
        """What is registered under the name."""
        return DEFENSES[self.defense]

    @property
    def sources(self) -> set[Source]:
        """Where its code is, for `Lab.stage`."""
        return {DEFENSES.source(self.defense), *([TRAINED_NETS.source(self.net)] if self.net else [])}

    @property
    def label(self) -> str:
        """What a reader sees; unique among the defences of a run."""
        parts = [self.defense, *self.kind.told(self)]
        parts += [f"net trained under {self.sigma:g}"] if self.augmented else []
        parts += [f"net trained with {self.net}"] if self.net else []
        return ", ".join(parts)

    @property
    def family(self) -> str:
        """What competes with what: the defence, and how its net was trained."""
        trained = [*(["training under noise"] if self.augmented else []), *([self.net] if self.net else [])]
        released = [] if trained and self.defense == "none" else [self.kind.family(self)]
        return " and ".join([*released, *trained])

    def promise(self, classes: int, alpha: float) -> dict[str, Any]:
        """The advantage that its own theorem allows, and for which pairs: different ones are not interchangeable."""
        return self.kind.promise(self, classes, alpha)


class Release(Protocol):
    """lab, defence, seed of its randomness, alpha of a test where there is one -> the oracle."""

    def __call__(self, lab: FaceLab, defense: Defense, *, seed: int, alpha: float) -> LabelOracle: ...


@dataclass(frozen=True)
class DefenseKind:
    """What is registered under a name. at: the settings at which experiments compare it without being asked."""

    release: Release
    told: Callable[[Defense], list[str]]
    family: Callable[[Defense], str]
    promise: Callable[[Defense, int, float], dict[str, Any]]
    at: tuple[dict[str, Any], ...] = ()


DEFENSES: Registry[DefenseKind] = Registry("defense", "rp_tutorial.experiments.faces")


def defense(
    name: str,
    *,
    told: Sequence[str] | Callable[[Defense], list[str]] = ("sigma",),
    family: Callable[[Defense], str] | None = None,
    promise: Callable[[Defense, int, float], dict[str, Any]] = lambda defense, classes, alpha: NO_PROMISE,
    at: Iterable[dict[str, Any]] = (),
) -> Callable[[Release], Release]:
    """Registers a defence: `@defense("mine", at=[{"sigma": 0.1}])` above `def mine(lab, defense, *, seed, alpha)`.

    The function returns the oracle. `told`: settings that its label names, of sigma, n, epsilon. `at`: the settings at
    which every experiment that compares defences meets it. `promise`: the advantage that its theorem allows, if any.
    A release that can stand on a net trained otherwise asks for `lab.target(recipe=defense.net)`.
    Raises InputError for a name that is taken.

    >>> class Rounded(torch.nn.Module):
    ...     def forward(self, x):
    ...         return (8 * x).round() / 8
    >>> @rp.defense("rounded pixels", told=())
    ... def rounded(lab, defense, *, seed, alpha):
    ...     net = torch.nn.Sequential(Rounded(), lab.target())
    ...     return rp.PlainOracle(net, num_classes=lab.num_classes)
    >>> rp.experiments.Defense("rounded pixels").label
    'rounded pixels'

    Chapter: faces/defended.
    """
    words = told if callable(told) else lambda d: [WORDS[setting].format(getattr(d, setting)) for setting in told]
    rest = words, family or (lambda d: name), promise, tuple(at)
    return DEFENSES.registering(name, lambda release: DefenseKind(release, *rest))


def with_registered(setting: str) -> Callable[[Any], Any]:
    """Settings -> the same with every defence from outside added to those listed under `setting`, at its own `at`.

    A way to train from outside is added as the net that releases its own labels.
    """

    def completed(settings: Any) -> Any:
        listed = getattr(settings, setting)
        new = type(listed[0])
        guests = [new(name, **at) for name, kind in DEFENSES.outside().items() for at in kind.at]
        guests += [new("none", net=name) for name in TRAINED_NETS.outside()]
        return dataclasses.replace(settings, **{setting: (*listed, *guests)}) if guests else settings

    return completed


def plain(lab: FaceLab, defense: Defense) -> PlainOracle:
    """The labels of the net itself: the lab's target, or one trained under noise of sigma, or by another recipe."""
    net = lab.target(noise_sigma=defense.sigma if defense.augmented else None, recipe=defense.net)
    return PlainOracle(net, num_classes=lab.num_classes, device=lab.settings.device, autocast=lab.autocast)


def smoothing(lab: FaceLab, defense: Defense, seed: int, noise: str = "independent") -> Smoothing:
    """The smoothed net behind the noisy defences."""
    net, device = plain(lab, defense).net.module, lab.settings.device
    options = {"seed": seed, "noise": noise, "unit": UNIT, "device": device, "autocast": lab.autocast}
    return Smoothing(net, num_classes=lab.num_classes, sigma=defense.sigma, **options)


def _stated(defense: Defense, classes: int, alpha: float) -> dict[str, Any]:
    return {"advantage": alpha / 2, "pairs": "inputs within R, for the ideal classifier that no vote is"}


def _response(defense: Defense, classes: int, alpha: float) -> dict[str, Any]:
    return {"advantage": advantage(defense.epsilon, classes), "pairs": "any two inputs, one release"}


@defense("none", told=())
def undefended(lab: FaceLab, defense: Defense, *, seed: int, alpha: float) -> LabelOracle:
    return plain(lab, defense)


@defense("plain noise")
def plain_noise(lab: FaceLab, defense: Defense, *, seed: int, alpha: float) -> LabelOracle:
    return VoteOracle(smoothing(lab, defense, seed), n=defense.n)


@defense("smoothing", told=("sigma", "n"), promise=_stated)
def votes(lab: FaceLab, defense: Defense, *, seed: int, alpha: float) -> LabelOracle:
    """Curtailed, which changes no label."""
    return VoteOracle(smoothing(lab, defense, seed), n=defense.n, curtailed=True)


@defense("fixed noise", told=("sigma", "n"))
def fixed_noise(lab: FaceLab, defense: Defense, *, seed: int, alpha: float) -> LabelOracle:
    """The control: a function of the image, smoothing without randomness."""
    return VoteOracle(smoothing(lab, defense, seed, noise="fixed"), n=defense.n)


@defense("abstaining", told=("sigma", "n"), promise=_stated)
def abstaining(lab: FaceLab, defense: Defense, *, seed: int, alpha: float) -> LabelOracle:
    return PredictOracle(smoothing(lab, defense, seed), n=defense.n, alpha=alpha)


@defense("randomized response", told=("epsilon",), promise=_response)
def fresh_response(lab: FaceLab, defense: Defense, *, seed: int, alpha: float) -> LabelOracle:
    return RandomizedResponse(plain(lab, defense), epsilon=defense.epsilon, seed=seed)


@defense("memoised response", told=("epsilon",), promise=_response)
def memoised_response(lab: FaceLab, defense: Defense, *, seed: int, alpha: float) -> LabelOracle:
    """The same answer to the same query."""
    return RandomizedResponse(plain(lab, defense), epsilon=defense.epsilon, seed=seed, memoised=True)
