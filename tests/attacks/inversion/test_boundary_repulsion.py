"""BREP-MI: the batched attack is the published loop, and sees labels only."""

import math
from dataclasses import replace

import pytest
import torch
from cells import CENTRES, CLASSES, DIM, SHORT, TARGETS, CellOracle, identity, latents, same
from close import assert_close_to_scale
from torch import Tensor

from rp_tutorial.attacks.inversion.boundary_repulsion import BREP_MI, invert, sphere_directions
from rp_tutorial.attacks.inversion.starts import candidate_latents
from rp_tutorial.core.arguments import InputError
from rp_tutorial.oracles.base import LabelOracle


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


@pytest.mark.parametrize(("oracle", "radius"), [(CellOracle, 0.2), (StripeOracle, 0.6)])
def test_the_batched_attack_is_the_published_loop_of_every_target(oracle, radius):
    settings = replace(BREP_MI, radius=radius, patience=20, max_iterations=120)
    batched = invert(oracle(), identity, TARGETS, candidates=latents(), settings=settings, seed=5)
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


def test_in_a_half_space_the_walk_leads_away_from_the_boundary_and_the_radius_follows():
    """z_1 only grows, since every push points inwards. In three dimensions a sphere of radius R around z has the
    share (1 + z_1 / R) / 2 of its surface inside (Archimedes), so the counts inside, minus 32 times that share, are a
    martingale: its sum stays within 5 standard deviations (error about 6e-7). R grows where 29 are inside, only there.
    """
    start = torch.tensor([[0.05, 0.0, 0.0]] * 4)
    settings = replace(BREP_MI, latent_clamp=None, radius=0.5, patience=200, max_iterations=200)
    found = invert(
        HalfSpaceOracle(), identity, torch.ones(4).long(), start=start, settings=settings, seed=1, record=True
    )
    depth, radius, inside = found.trace.path[:, :, 0].double(), found.trace.radius, found.trace.inside
    assert float(depth.diff(dim=0).min()) >= 0
    share = (1 + (depth / radius).clamp(max=1)) / 2
    surprise = (inside - 32 * share).sum() / (32 * share * (1 - share)).sum().sqrt()
    assert abs(float(surprise)) < 5
    assert torch.equal(radius[1:] > radius[:-1], inside[:-1] >= 29)
    assert found.radius.min() > 5


def test_in_a_ball_the_walk_ends_near_the_middle_with_a_sphere_of_the_ball_s_size():
    """From the rim of a ball of radius 2 to its inner half. There the largest sphere of which 29 of 32 points can be
    inside has at least the radius of the largest whole one, 2 - |z|, and hardly more than 2."""
    start = torch.tensor([[1.9, 0.0, 0.0], [0.0, -1.4, 1.3]])
    settings = replace(BREP_MI, latent_clamp=None, radius=0.2, patience=100, max_iterations=600)
    found = invert(BallOracle(2.0), identity, torch.tensor([1, 1]), start=start, settings=settings, seed=2)
    assert (found.z.norm(dim=1) < 1).all()
    assert (found.latent.norm(dim=1) < 1).all()
    assert (found.radius >= 2 - found.z.norm(dim=1)).all()
    assert (found.radius < 1.3 * 2.2).all()
    assert found.stopped == ("patience", "patience")


def test_the_radius_is_the_first_one_times_1_3_to_the_number_of_expansions():
    found = invert(CellOracle(), identity, TARGETS, candidates=latents(), settings=SHORT, seed=1)
    torch.testing.assert_close(found.radius, 0.3 * 1.3 ** found.expansions.double(), rtol=1e-12, atol=0)
    assert (found.kept_expansions <= found.expansions).all()
    torch.testing.assert_close(found.accepted + found.rejected, found.iterations)


def test_the_attack_looks_at_labels_and_nothing_else():
    found = invert(LabelsOnly(CellOracle()), identity, TARGETS, candidates=latents(), settings=SHORT, seed=1)
    same(found, invert(CellOracle(), identity, TARGETS, candidates=latents(), settings=SHORT, seed=1))


def test_directions_depend_neither_on_the_other_targets_progress_nor_on_the_arm():
    """An arm in which the other targets are never found leaves the walk of the first one as it was."""
    start = candidate_latents(CLASSES, DIM, seed=8)
    start = torch.stack([start[0] * 0 + CENTRES[0] / 2, *start[1:]])
    alone = torch.full_like(start, torch.nan).index_copy(0, torch.tensor([0]), start[:1])
    one, all_of_them = (
        invert(CellOracle(), identity, TARGETS, start=points, settings=SHORT, seed=4) for points in (alone, start)
    )
    assert_close_to_scale(one.z[0], all_of_them.z[0])
    assert one.iterations[0] == all_of_them.iterations[0] > 5
    units = sphere_directions(4, 9, 3, 32, DIM)
    assert torch.equal(units, sphere_directions(4, 9, 3, 32, DIM))
    assert not torch.equal(units, sphere_directions(4, 10, 3, 32, DIM))
    assert not torch.equal(units, sphere_directions(5, 9, 3, 32, DIM))
    torch.testing.assert_close(units.norm(dim=2), torch.ones(3, 32))


def test_results_are_ordinary_tensors():
    """Not bound to inference mode: a chapter may compute with them."""
    found = invert(CellOracle(), identity, TARGETS, candidates=latents(), settings=SHORT, seed=0)
    assert not any(value.is_inference() for value in vars(found).values() if isinstance(value, Tensor))


def test_a_random_oracle_may_contradict_itself():
    """The authors' loop asserts that the first point is still inside; a random answer need not be."""
    settings = replace(SHORT, rejected_limit=4, max_iterations=40)
    oracle = CellOracle(noise=2.0)
    found = invert(oracle, identity, TARGETS, candidates=latents(), settings=settings, seed=0)
    assert found.found.all()
    assert "rejected steps" in found.stopped


def test_an_abstention_is_outside():
    """With an oracle that answers near the centres only, every kept point is one that it answered."""
    oracle = CellOracle(far=0.8)
    found = invert(oracle, identity, TARGETS, candidates=latents(2000), settings=SHORT, seed=0)
    assert found.found.any()
    assert torch.equal(oracle(found.z[found.found]), TARGETS[found.found])
    assert not invert(CellOracle(far=0.0), identity, TARGETS, candidates=latents(), settings=SHORT, seed=0).found.any()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"patience": 1}, "patience"),
        ({"max_iterations": 3}, "iterations"),
    ],
)
def test_every_bound_ends_the_walk_under_its_own_name(change, reason):
    settings = replace(SHORT, **{"patience": 100} | change)
    found = invert(CellOracle(), identity, TARGETS, candidates=latents(), settings=settings, seed=1)
    assert set(found.stopped) >= {reason}
    assert int(found.iterations.max()) <= 60


def test_rejected_steps_in_a_row_are_bounded_where_asked():
    class Fickle(CellOracle):
        """The target once, to be found; then never again."""

        def _release(self, x):
            return torch.zeros(len(x)).long() if self.queries == 0 else torch.ones(len(x)).long()

    settings = replace(BREP_MI, rejected_limit=7)
    found = invert(Fickle(), identity, TARGETS[:1], candidates=latents(), settings=settings, seed=0)
    assert found.stopped == ("rejected steps",)
    assert (found.rejected[0], found.accepted[0]) == (7, 0)
    assert torch.equal(found.latent, found.start)


def test_a_region_without_an_end_does_not_run_for_ever():
    class Always(CellOracle):
        def _release(self, x):
            return torch.zeros(len(x)).long()

    found = invert(Always(), identity, TARGETS[:1], candidates=latents(), settings=BREP_MI, seed=0)
    assert found.stopped == ("unbounded radius",)


def test_without_repulsion_only_the_inside_pulls_as_well():
    """One pass, by hand: mean of +u inside and -u outside, times R / 3."""
    start = torch.tensor([[0.1, 0.0, 0.0]])
    settings = replace(BREP_MI, max_iterations=1, repulsion_only=False, radius=1.0)
    found = invert(HalfSpaceOracle(), identity, torch.tensor([1]), start=start, settings=settings, seed=3)
    units = sphere_directions(3, 0, 1, 32, DIM)[0]
    sign = torch.where((start + units)[:, 0] > 0, 1.0, -1.0)
    torch.testing.assert_close(found.z[0], start[0] + (sign[:, None] * units).mean(dim=0) / 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": [1, 2]}, "targets: got [1, 2]"),
        ({"targets": torch.tensor([0, 6])}, "targets: got 6, allowed is labels from 0 to 5"),
        ({"targets": torch.tensor([0.0])}, "targets: got"),
        ({"targets": torch.zeros(0, dtype=torch.int64)}, "targets: got"),
        ({"candidates": None}, "candidates: got 'both or neither"),
        ({"start": torch.zeros(CLASSES, DIM)}, "candidates: got 'both or neither"),
        ({"candidates": torch.zeros(5)}, "candidates: got (5,)"),
        ({"candidates": torch.full((5, DIM), math.nan)}, "candidates: got 'NaN"),
        ({"candidates": None, "start": torch.zeros(2, DIM)}, "start: got (2, 3)"),
        ({"seed": -1}, "seed: got -1"),
        ({"chunk_rows": 0}, "chunk_rows: got 0"),
        ({"save_every": 0}, "save_every: got 0"),
        ({"settings": {"radius": 2}}, "settings: got 'dict'"),
        ({"state_path": "no/such/folder/state.pt"}, "state_path: got"),
        ({"prior": lambda z: z.sum(dim=1)}, "prior: got"),
    ],
)
def test_bad_input_is_refused_in_one_line(change, message):
    given = {
        "prior": identity,
        "targets": TARGETS,
        "candidates": latents(),
        "settings": SHORT,
        "seed": 0,
    } | change
    with pytest.raises(InputError) as error:
        invert(CellOracle(), **given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
