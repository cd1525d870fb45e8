"""What `inversion-mechanism` measures: one probe into one lab, at points of the undefended attack's own walks.

Here the measuring functions of `latent_measures` meet the nets, the prior and the defences; every piece of work is
remembered on its own. Profiles, tables and the order of things are in `experiment`, rules in `verdicts`.
"""

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from rp_tutorial.attacks.inversion.boundary_repulsion import Inversion, sphere_directions
from rp_tutorial.attacks.inversion.queries import LatentQueries
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.streams import Purpose, child_seed
from rp_tutorial.experiments.faces import inversion
from rp_tutorial.experiments.faces.defenses import plain, smoothing
from rp_tutorial.experiments.faces.inversion import Arm, InversionLab, InversionSettings
from rp_tutorial.experiments.mechanism import latent_measures as measures
from rp_tutorial.experiments.mechanism import promise
from rp_tutorial.experiments.mechanism.verdicts import binomial_pass
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.smoothing import Smoothing
from rp_tutorial.statistics.binomial import max_certifiable_radius
from rp_tutorial.theory.certificate import Certificate

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclasses.dataclass(frozen=True)
class MechanismSettings(InversionSettings):
    """Settings of one run: those of the undefended attack, and what is measured along its walks."""

    sigmas: tuple[float, ...] = inversion.SIGMAS  # of the certificates
    radii: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 3.38, 5.71)  # in latent space; from 2 on, some of the attack's
    grid_targets: int = 16  # targets whose spheres of all radii are asked about
    many_directions: int = 1024  # of the noise-free estimate that stands for the truth
    centre_repeats: int = 8  # queries at the centre itself
    truth_votes: int = 200  # that say on which side of the ideal smoothed boundary a centre is
    n0: int = 10
    certify_n: int = 100
    certify_alpha: float = 0.01
    largest_n: tuple[int, ...] = (100, 1000, 100_000)  # samples behind the largest radius that can be printed
    votes: tuple[int, ...] = (10, 100)  # of the release whose promise is asked about
    target_tv: float = 0.02  # of that promise: advantage .01
    promise_n: tuple[int, ...] = (100, 1000, 10_000)  # certifying samples behind it
    most_passes: int = 200  # of a walk whose distances are measured


class MechanismLab(InversionLab):
    """The lab of `inversion`, the points of the undefended walk [P, d], and what is measured there."""

    settings: MechanismSettings

    def displaced(self, sigma: float) -> dict[str, Any]:
        """The probes' displacement over the radii of certificates at sigma, at the attack's own R and at others."""
        return self._part(f"displacement-sigma{sigma:g}", lambda: self._displaced(sigma))

    def seen(self, arm: Arm) -> dict[str, Any]:
        """What the attack sees through one defence."""
        return self._part(f"seen-{arm.name}", lambda: self._seen(arm), arm)

    def promised(self, sigma: float) -> list[dict[str, Any]]:
        """What a certified vote at sigma promises about the pictures that the walk asks about, one entry an N."""
        return self._part(f"promise-sigma{sigma:g}", lambda: [self._promised(sigma, n) for n in self.settings.votes])

    @property
    def pairs(self) -> dict[str, Any]:
        """How far apart the pictures of the undefended walk are, and the sigma that a promise about them would need."""
        return self._part("pairs", self._pairs)

    # --- Points ---

    @cached_property
    def recorded(self) -> Inversion:
        """The undefended attack with every pass."""
        return self.attack(Arm("none"), record=True)

    @cached_property
    def walk(self) -> dict[str, Any]:
        """Points of the undefended walk, and the attack's R there, in three groups one behind the other.

        Half-way; where R grew for the last time; the attack's result. owner: index of a point's target. Targets
        without a first point have no points, those whose R never grew two. half: how many there are half-way.
        """
        return self._part("walk", self._walk)

    def _walk(self) -> dict[str, Any]:
        found = self.recorded
        owner = found.found.nonzero()[:, 0]
        if not len(owner):
            raise InputError("data: no target got a first point, so there is no walk to measure along; allowed is a "
                             "target net that names some latents of the prior as its targets")  # fmt: skip
        half = (found.iterations[owner] // 2, owner)
        grew = found.trace.inside >= self.settings.attack.inside_needed  # [passes, T]
        growing = grew.any(dim=0).nonzero()[:, 0]
        last = (len(grew) - 1 - grew.flip(0).long().argmax(dim=0)[growing], growing)
        path, radius = found.trace.path, found.trace.radius
        return {
            "owner": [*owner.tolist(), *growing.tolist(), *owner.tolist()],
            "z": torch.cat([path[half], path[last], found.latent[owner]]).tolist(),
            "radius": torch.cat([radius[half], radius[last], found.radius[owner]]).tolist(),
            "half": len(owner),
        }

    @property
    def owner(self) -> np.ndarray:
        return np.array(self.walk["owner"])

    @cached_property
    def z(self) -> Tensor:
        return torch.tensor(self.walk["z"], device=self.settings.device)

    @cached_property
    def radius(self) -> Tensor:
        return torch.tensor(self.walk["radius"], device=self.settings.device)

    @cached_property
    def goals(self) -> Tensor:
        """The label that every point's attack wants [P]."""
        return self.targets[self.owner].to(self.settings.device)

    @cached_property
    def units(self) -> Tensor:
        return self._units(len(self.z), Purpose.WALK_DIRECTIONS)

    @cached_property
    def grid(self) -> tuple[Tensor, Tensor, Tensor, np.ndarray]:
        """z, radius, units and point of the spheres of every radius around the half-way points of some targets."""
        points = min(self.settings.grid_targets, self.walk["half"])
        rows = torch.arange(points).repeat(len(self.settings.radii))
        radius = torch.tensor(self.settings.radii).repeat_interleave(points).to(self.settings.device)
        return self.z[rows], radius, self._units(len(rows), Purpose.GRID_DIRECTIONS), rows.numpy()

    def _units(self, points: int, purpose: Purpose) -> Tensor:
        s = self.settings
        units = measures.unit_vectors(points, s.attack.directions, self.z.shape[1], key=(purpose, self.seed))
        return units.to(s.device)

    # --- Certificates ---

    def _certified(self, sigma: float) -> Certificate:
        s = self.settings
        smoothing = self._smoothing(sigma, Purpose.CERTIFICATES)
        return smoothing.certify(self._images(), n0=s.n0, n=s.certify_n, alpha=s.certify_alpha)

    def _displaced(self, sigma: float) -> dict[str, Any]:
        s, found = self.settings, self._certified(sigma)
        sizes = sorted({s.certify_n, *s.largest_n})
        largest = {str(n): max_certifiable_radius(n, alpha=s.certify_alpha, sigma=sigma) for n in sizes}
        return {
            "sigma": sigma,
            "n": s.certify_n,
            "alpha": s.certify_alpha,
            "certified": float((found.radius > 0).mean()),
            "median_certified_radius": float(np.median(found.radius)),
            "largest_certified_radius": float(found.radius.max()),
            "largest_possible_radius": largest,
            "spheres": [self._ratios(name, moved, found.radius, largest) for name, moved in self._moved.items()],
        }

    @cached_property
    def _moved(self) -> dict[str, np.ndarray]:
        """Displacements [P, D] by radius: the attack's own at each point, and the grid's."""
        radii = {"attack": self.radius} | {f"{r:g}": torch.full_like(self.radius, r) for r in self.settings.radii}
        prior = self.prior.eval()
        return {name: measures.displacement(prior, self.z, r, self.units).cpu().numpy() for name, r in radii.items()}

    def _ratios(self, name: str, moved: np.ndarray, certified: np.ndarray, largest: dict[str, float]) -> dict[str, Any]:
        """Displacement over radius. Ratios to a certificate leave out the points without one; shares count them."""
        has = certified > 0
        return {
            "radius": name,
            "displacement": quantiles(moved),
            "over_certified": quantiles(moved[has] / certified[has, None]),
            "beyond_certified": self._over((moved > certified[:, None]).mean(axis=1)),
            "over_largest": {n: quantiles(moved / r) for n, r in largest.items()},
            "beyond_largest": {n: self._over((moved > r).mean(axis=1)) for n, r in largest.items()},
        }

    # --- What the theorem promises ---

    @cached_property
    def distances(self) -> promise.Distances:
        """Between the pictures of the undefended walk, in the directions of the attack itself."""
        s, found = self.settings, self.recorded
        shape = len(self.targets), s.attack.directions, found.z.shape[1]
        return promise.walk_distances(
            self.prior.eval(),
            found,
            lambda k: sphere_directions(self.seed, k, *shape),
            most_passes=s.most_passes,
            device=s.device,
        )

    def _pairs(self) -> dict[str, Any]:
        s, found = self.settings, self.distances
        at = {"target_tv": s.target_tv, "alpha": s.certify_alpha, "samples": max(s.promise_n)}
        return {
            "target_tv": s.target_tv,
            "asked": promise.each(found["centre"], len),
            "distances": {kind: quantiles(np.concatenate(each)) for kind, each in found.items()},
            "needed_sigma": [promise.needed(found, n_vote=n, **at) for n in s.votes],
        }

    def _promised(self, sigma: float, n_vote: int) -> dict[str, Any]:
        """own: by the certificates of the measured points, beside what the surest net would have."""
        s = self.settings
        own = self._certified(sigma).deployable_radius(n_vote=n_vote, target_tv=s.target_tv)
        kept = {"target_tv": s.target_tv, "alpha": s.certify_alpha, "samples": s.promise_n}
        return {
            **promise.promised(self.distances, sigma=sigma, n_vote=n_vote, **kept),
            "has_own_radius": self._over((own > 0).astype(float)),
            "within_own": self._over((self._moved["attack"] <= own[:, None]).mean(axis=1)),
        }

    # --- What the attack sees ---

    def _seen(self, arm: Arm) -> dict[str, Any]:
        s, queries, goal = self.settings, self._queries(self.oracle(arm, Purpose.PROBES)), self.goals[:, None]
        first, again = (measures.sphere_labels(queries, self.z, self.radius, self.units) for _ in range(2))
        centre = queries.ask(self.z.repeat_interleave(s.centre_repeats, dim=0)).view(-1, s.centre_repeats)
        inside = self._truly_inside(arm)
        return {
            **dataclasses.asdict(arm),
            "name": arm.name,
            **self._mistaken(arm, first != goal),
            **self._rule(first != goal),
            "answered_differently": self._over((first != again).double().mean(dim=1)),
            "centre_rejected": self._over((centre != goal).double().mean(dim=1), inside),
            "centres_inside": int(inside.sum()),
            "by_radius": self._by_radius(queries),
        }

    def _mistaken(self, arm: Arm, out: Tensor) -> dict[str, Any]:
        """Wrong sides and the direction that follows from them, where a direction can be seen at all.

        false_outside: share of the probes that the arm's own net, asked without noise, puts inside. The arm's own net
        is also the one whose true directions the estimate is compared with.
        """
        clean = self._outside(plain(self, arm))
        mixed = (self._undefended > 0) & (self._undefended < self.settings.attack.directions)
        estimate, wrong_side = measures.push(self.units, out), out != clean
        return {
            "outside": self._over(out.double().mean(dim=1)),
            "false_outside": self._over((wrong_side & ~clean).sum(dim=1) / (~clean).sum(dim=1), mixed),
            "false_inside": self._over((wrong_side & clean).sum(dim=1) / clean.sum(dim=1), mixed),
            **{
                f"cosine_{name}": self._over(measures.cosine(estimate, true), mixed)
                for name, true in self._references(arm).items()
            },
            "mixed_points": int(mixed.sum()),
        }

    def _rule(self, out: Tensor) -> dict[str, Any]:
        """The rule for growing R: on all spheres of the attack, and on those that grow without a defence."""
        passed = self._passes(out)
        grows = self._undefended <= self.settings.attack.directions - self.settings.attack.inside_needed
        outside = self._over(out.double().mean(dim=1), grows)
        return {
            "passes": self._over(passed),
            "spheres_that_expand": int(grows.sum()),
            "outside_if_expands": outside,
            "passes_if_expands": self._over(passed, grows),
            "passes_if_expands_binomial": binomial_pass(outside, rule_of(self.settings)),
        }

    def _passes(self, out: Tensor) -> Tensor:
        return (out.sum(dim=1) <= self.settings.attack.directions - self.settings.attack.inside_needed).double()

    def _by_radius(self, queries: LatentQueries) -> list[dict[str, Any]]:
        """Share of a sphere that is answered as outside, and how often the sphere passes, by latent radius."""
        z, radius, units, point = self.grid
        out = measures.sphere_labels(queries, z, radius, units) != self.goals[point][:, None]
        share, passed = (x.view(len(self.settings.radii), -1) for x in (out.double().mean(dim=1), self._passes(out)))
        owner = self.owner[point[: share.shape[1]]]
        return [
            {"radius": r, "outside": self._over(share[i], owner=owner), "passes": self._over(passed[i], owner=owner)}
            for i, r in enumerate(self.settings.radii)
        ]

    @cached_property
    def _undefended(self) -> np.ndarray:
        """Probes outside by the plain net's own labels, at the attack's R: [P]."""
        return self._outside(plain(self, Arm("none"))).sum(dim=1).cpu().numpy()

    def _outside(self, oracle: LabelOracle) -> Tensor:
        """Which of the attack's probes are answered as outside: bool [P, D]."""
        labels = measures.sphere_labels(self._queries(oracle), self.z, self.radius, self.units)
        return labels != self.goals[:, None]

    # --- Truths ---

    def _references(self, arm: Arm) -> dict[str, Tensor]:
        """The true directions at every point, for the net behind the arm."""
        trained = arm.sigma if arm.augmented else self.settings.training_noise
        stored = self._part(f"references-trained{trained:g}", lambda: self._true_directions(arm))
        return {name: torch.tensor(rows, device=self.settings.device) for name, rows in stored.items()}

    def _true_directions(self, arm: Arm) -> dict[str, Any]:
        """gradient: of the net's margin, at the point. sphere: the attack's own estimate from many directions."""
        oracle, many, parts = plain(self, arm), self.settings.many_directions, []
        queries = self._queries(oracle)
        pieces = zip(*(x.split(16) for x in (self.z, self.radius, self.goals)), strict=True)
        for i, (z, r, goal) in enumerate(pieces):
            units = measures.unit_vectors(len(z), many, z.shape[1], key=(Purpose.MANY_DIRECTIONS, self.seed, i))
            units = units.to(z.device)
            parts.append(measures.push(units, measures.sphere_labels(queries, z, r, units) != goal[:, None]))
        gradient = measures.margin_gradient(oracle.net.module, self.prior, self.z, self.goals)
        return {"gradient": gradient.tolist(), "sphere": torch.cat(parts).tolist()}

    def _truly_inside(self, arm: Arm) -> np.ndarray:
        """Centres that the ideal release of the arm calls the target [P]: by many votes, or by the net itself."""
        if arm.defense == "none":
            labels = self._queries(plain(self, arm)).ask(self.z)
            return (labels == self.goals).cpu().numpy()

        def voted() -> list[int]:
            smoothing = self._smoothing(arm.sigma, Purpose.TRUE_LABELS)
            labels = smoothing.vote(self._images(), n=self.settings.truth_votes, curtailed=True)
            return (labels == self.goals).long().tolist()

        return np.array(self._part(f"truth-sigma{arm.sigma:g}", voted), dtype=bool)

    # --- Small helpers ---

    def _images(self) -> Tensor:
        """The prior's images of all points. Walk and prior are made first: nothing is trained in inference mode."""
        points, prior = self.z, self.prior
        with torch.inference_mode():
            return torch.cat([prior(part) for part in points.split(256)])

    def _queries(self, oracle: LabelOracle) -> LatentQueries:
        return LatentQueries(oracle, self.prior, repeats=1, chunk_rows=4096, device=self.settings.device)

    def _smoothing(self, sigma: float, purpose: Purpose) -> Smoothing:
        return smoothing(self, Arm("none", sigma), child_seed(purpose, self.seed, round(sigma * 10**6)))

    def _over(
        self, values: ArrayLike | Tensor, only: NDArray[np.bool_] | None = None, owner: ArrayLike | None = None
    ) -> dict[str, Any]:
        """Mean over targets; points that `only` leaves out become NaN, which no mean counts."""
        values = values.cpu().numpy() if isinstance(values, Tensor) else values
        kept = values if only is None else np.where(only, values, np.nan)
        owner = self.owner if owner is None else owner
        return measures.over_targets(measures.by_target(kept, owner, len(self.targets)))

    def _part(self, name: str, compute: Callable[[], Any], *uses: Any) -> Any:
        return self.stage(name, compute, without=("arms", "sigmas"), uses=uses)


def rule_of(settings: MechanismSettings) -> dict[str, int]:
    """The attack's rule for growing R: how many of how many probes must be inside."""
    return {"directions": settings.attack.directions, "needed": settings.attack.inside_needed}


def quantiles(values: ArrayLike) -> dict[str, float | None]:
    values = np.asarray(values)
    return {f"q{100 * q:02.0f}": float(np.quantile(values, q)) if values.size else None for q in QUANTILES}
