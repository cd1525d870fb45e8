"""BREP-MI: the batched attack is the published loop, sees labels only, and survives randomness and kills."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rp_tutorial.attacks.boundary_repulsion import BREP_MI, deviations, invert, sphere_directions
from rp_tutorial.attacks.initial_points import candidate_latents
from rp_tutorial.oracles.base import ABSTAIN, LabelOracle

DIM, CLASSES = 3, 6
TARGETS = torch.arange(CLASSES)
CENTRES = 1.2 * torch.randn(CLASSES, DIM, generator=torch.Generator().manual_seed(3))
SHORT = replace(BREP_MI, patience=6, rejected_limit=10, max_iterations=60, radius=0.3)


def identity(z: Tensor) -> Tensor:
    return z


class CellOracle(LabelOracle):
    """The nearest centre's label; with `noise`, of the input moved at random; `far` units from any centre: ABSTAIN.

    `kill_after` queries it raises KeyboardInterrupt: a killed run.
    """

    def __init__(self, centres=CENTRES, *, noise=0.0, far=math.inf, kill_after=math.inf, seed=0):
        super().__init__(num_classes=len(centres))
        self.centres, self.noise, self.far, self.kill_after = centres, noise, far, kill_after
        self.generator = torch.Generator().manual_seed(seed)
        self.batches: list[int] = []

    def _release(self, x):
        if self.queries + len(x) > self.kill_after:
            raise KeyboardInterrupt
        self.batches.append(len(x))
        self.forward_passes += 2 * len(x)
        distance = torch.cdist(x + self.noise * torch.randn(x.shape, generator=self.generator), self.centres)
        return torch.where(distance.amin(dim=1) < self.far, distance.argmin(dim=1), ABSTAIN)

    def _randomness(self):
        return {"generator": self.generator.get_state()}

    def _set_randomness(self, randomness):
        self.generator.set_state(randomness["generator"])


class StripeOracle(LabelOracle):
    """Narrow stripes: a step often ends in another one."""

    def __init__(self):
        super().__init__(num_classes=CLASSES)

    def _release(self, x):
        return (4 * x[:, 0]).floor().long() % CLASSES


class HalfSpaceOracle(LabelOracle):
    """Class 1 where the first coordinate is above 0."""

    def __init__(self):
        super().__init__(num_classes=2)

    def _release(self, x):
        return (x[:, 0] > 0).long()


class BallOracle(LabelOracle):
    """Class 1 within `radius` of the origin."""

    def __init__(self, radius):
        super().__init__(num_classes=2)
        self.radius = radius

    def _release(self, x):
        return (x.norm(dim=1) < self.radius).long()


class LabelsOnly:
    """The label interface and not one attribute more: any other look raises."""

    ALLOWED = frozenset({"num_classes", "queries", "forward_passes", "state", "restore", "__class__"})

    def __init__(self, oracle):
        object.__setattr__(self, "_oracle", oracle)

    def __getattribute__(self, name):
        if name not in LabelsOnly.ALLOWED:
            raise AssertionError(f"the attack looked at oracle.{name}")
        return getattr(object.__getattribute__(self, "_oracle"), name)

    def __call__(self, x):
        return object.__getattribute__(self, "_oracle")(x)


def pool(size=512, seed=0):
    return candidate_latents(size, DIM, seed=seed)


def published_loop(oracle, target, z, *, row, targets, seed, patience, radius, max_passes):
    """The authors' nested loops for one target, written out one sphere and one point at a time (independent code)."""

    def sign(point):
        return 1 if int(oracle(point[None])[0]) == target else -1

    step_count, last_expansion, passes, result = 0, 0, 0, None
    while step_count - last_expansion < patience and passes < max_passes:
        while step_count - last_expansion < patience and passes < max_passes:
            step = min(radius / 3, 3)
            offsets = radius * sphere_directions(seed, passes, targets, 32, len(z))[row]
            passes += 1
            signs = [sign(z + offset) for offset in offsets]
            grew = sum(signs) > 0.75 * 32
            if grew:
                radius *= 1.3
                last_expansion = step_count
            push = torch.zeros_like(z)
            for s, offset in zip(signs, offsets, strict=True):
                push += (s - 1) / 2 * offset
            proposal = (z + step * (push / 32 / radius)).clamp(-1.5, 1.5)
            if sign(proposal) == -1:
                break
            z = proposal
            if grew:
                result = z
                break
            step_count += 1
    return z, result, radius, passes


def same(a, b):
    """Equal results, bit for bit."""
    for name, value in vars(a).items():
        other = getattr(b, name)
        if isinstance(value, Tensor):
            torch.testing.assert_close(value, other, rtol=0, atol=0, equal_nan=True)
        elif name != "trace":
            assert value == other, name
    if a.trace is not None:
        assert all(torch.equal(value, getattr(b.trace, name)) for name, value in vars(a.trace).items())


@pytest.mark.parametrize(("oracle", "radius"), [(CellOracle, 0.2), (StripeOracle, 0.6)])
def test_the_batched_attack_is_the_published_loop_of_every_target(oracle, radius):
    settings = replace(BREP_MI, radius=radius, patience=20, max_iterations=120)
    batched = invert(oracle(), identity, TARGETS, candidates=pool(), settings=settings, seed=5)
    assert batched.found.all()
    if oracle is StripeOracle:
        assert batched.rejected.max() > 0
    else:
        assert batched.kept_expansions.max() >= 2
    same_run = {"targets": CLASSES, "seed": 5, "patience": 20, "radius": radius, "max_passes": 120}
    for row, start in enumerate(batched.start):
        z, result, last_radius, passes = published_loop(oracle(), row, start, row=row, **same_run)
        torch.testing.assert_close(batched.z[row], z, rtol=0, atol=1e-4)
        torch.testing.assert_close(batched.latent[row], start if result is None else result, rtol=0, atol=1e-4)
        assert batched.radius[row] == pytest.approx(last_radius)
        assert batched.iterations[row] == passes


def test_the_constant_holds_the_published_settings_and_deviations_name_the_rest():
    published = (32, 2.0, 1.3, 29, 3.0, 1.5, 1000, True)
    names = [
        "directions",
        "radius",
        "expansion",
        "inside_needed",
        "step_limit",
        "latent_clamp",
        "patience",
        "repulsion_only",
    ]
    assert tuple(getattr(BREP_MI, name) for name in names) == published
    assert BREP_MI.step_fraction == pytest.approx(1 / 3)
    assert (BREP_MI.rejected_limit, BREP_MI.max_iterations, BREP_MI.radius_cap, BREP_MI.repeats) == (
        None,
        None,
        None,
        1,
    )
    assert deviations(BREP_MI) == {}
    changed = replace(BREP_MI, latent_clamp=None, repeats=5)
    assert deviations(changed) == {"latent_clamp": (1.5, None), "repeats": (1, 5)}
