"""BREP-MI: the batched attack is the published loop, sees labels only, and survives randomness and kills."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rp_tutorial.attacks.inversion.boundary_repulsion import BREP_MI, deviations, invert, sphere_directions
from rp_tutorial.attacks.inversion.queries import strict_plurality
from rp_tutorial.attacks.inversion.starts import SEARCH_BLOCK, candidate_latents
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.oracles.base import LabelOracle

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
    found = invert(CellOracle(), identity, TARGETS, candidates=pool(), settings=SHORT, seed=1)
    torch.testing.assert_close(found.radius, 0.3 * 1.3 ** found.expansions.double(), rtol=1e-12, atol=0)
    assert (found.kept_expansions <= found.expansions).all()
    torch.testing.assert_close(found.accepted + found.rejected, found.iterations)


def test_the_attack_looks_at_labels_and_nothing_else():
    found = invert(LabelsOnly(CellOracle()), identity, TARGETS, candidates=pool(), settings=SHORT, seed=1)
    same(found, invert(CellOracle(), identity, TARGETS, candidates=pool(), settings=SHORT, seed=1))


def test_directions_depend_neither_on_the_other_targets_progress_nor_on_the_arm():
    """An arm in which the other targets are never found leaves the walk of the first one as it was."""
    start = candidate_latents(CLASSES, DIM, seed=8)
    start = torch.stack([start[0] * 0 + CENTRES[0] / 2, *start[1:]])
    alone = torch.full_like(start, torch.nan).index_copy(0, torch.tensor([0]), start[:1])
    one, all_of_them = (
        invert(CellOracle(), identity, TARGETS, start=points, settings=SHORT, seed=4) for points in (alone, start)
    )
    assert torch.equal(one.z[0], all_of_them.z[0])
    assert one.iterations[0] == all_of_them.iterations[0] > 5
    units = sphere_directions(4, 9, 3, 32, DIM)
    assert torch.equal(units, sphere_directions(4, 9, 3, 32, DIM))
    assert not torch.equal(units, sphere_directions(4, 10, 3, 32, DIM))
    assert not torch.equal(units, sphere_directions(5, 9, 3, 32, DIM))
    torch.testing.assert_close(units.norm(dim=2), torch.ones(3, 32))


def test_the_start_is_the_first_candidate_that_the_defended_oracle_calls_the_target():
    candidates = pool()
    found = invert(CellOracle(), identity, TARGETS, candidates=candidates, settings=SHORT, seed=0)
    labels = CellOracle()(candidates)
    for target in range(CLASSES):
        first = int((labels == target).nonzero()[0])
        assert found.chosen[target] == first
        assert torch.equal(found.start[target], candidates[first])


def test_candidates_are_normal_draws_cut_as_published_and_the_same_for_every_arm():
    drawn, cut = (candidate_latents(4000, 5, seed=3, clamp=clamp) for clamp in (None, 1.5))
    assert torch.equal(drawn.clamp(-1.5, 1.5), cut)
    assert torch.equal(cut, candidate_latents(4000, 5, seed=3))
    assert abs(float(drawn.mean())) < 5 / math.sqrt(20000)


def test_a_target_that_is_never_found_is_reported_and_costs_no_walk():
    far_away = torch.cat([CENTRES, torch.tensor([[90.0, 90.0, 90.0]])])
    targets = torch.tensor([0, CLASSES])
    candidates = pool(600)
    found = invert(CellOracle(far_away), identity, targets, candidates=candidates, settings=SHORT, seed=0)
    assert found.found.tolist() == [True, False]
    assert found.stopped[1] == "not found"
    assert found.chosen[1] == -1
    assert (found.queries[1], found.iterations[1]) == (0, 0)
    assert found.latent[1].isnan().all()
    assert found.search_queries == 600
    none = invert(
        CellOracle(far_away), identity, targets[1:], candidates=candidates, settings=SHORT, seed=0, record=True
    )
    assert not none.found.any()
    assert none.trace.path.shape == (0, 1, DIM)


@pytest.mark.parametrize("repeats", [1, 3])
def test_queries_and_forward_passes_are_counted_exactly(repeats):
    oracle = CellOracle()
    settings = replace(SHORT, repeats=repeats)
    found = invert(oracle, identity, TARGETS, candidates=pool(), settings=settings, seed=0)
    assert oracle.queries == int(found.queries.sum()) + found.search_queries
    assert oracle.forward_passes == found.forward_passes == 2 * oracle.queries
    assert found.search_forward_passes == 2 * found.search_queries
    assert found.search_queries == SEARCH_BLOCK * repeats
    assert torch.equal(found.queries, 33 * repeats * found.iterations)


def test_all_running_targets_share_one_call_and_no_call_is_above_the_chunk():
    oracle = CellOracle()
    found = invert(oracle, identity, TARGETS, candidates=pool(), settings=SHORT, seed=0)
    assert oracle.batches[1:3] == [32 * CLASSES, CLASSES]
    assert len(oracle.batches) == 1 + 2 * int(found.iterations.max())
    chunked = CellOracle()
    same(found, invert(chunked, identity, TARGETS, candidates=pool(), settings=SHORT, seed=0, chunk_rows=50))
    assert max(chunked.batches) == 50


def test_one_target_and_a_prior_that_makes_images():
    def prior(z):
        return torch.stack([z, -z], dim=1)[:, :, :, None]  # [B, 2, d, 1]

    class Images(CellOracle):
        def _release(self, x):
            assert x.shape[1:] == (2, DIM, 1)
            return super()._release(x[:, 0, :, 0])

    image = invert(Images(), prior, TARGETS[2:3], candidates=pool(), settings=SHORT, seed=0)
    same(image, invert(CellOracle(), identity, TARGETS[2:3], candidates=pool(), settings=SHORT, seed=0))


def test_a_prior_with_batch_statistics_is_put_into_eval_mode():
    prior = torch.nn.Sequential(torch.nn.BatchNorm1d(DIM))
    one_call, chunked = (
        invert(CellOracle(), prior.train(), TARGETS, candidates=pool(), settings=SHORT, seed=0, chunk_rows=rows)
        for rows in (4096, 20)
    )
    same(one_call, chunked)
    assert not prior.training


def test_results_are_ordinary_tensors():
    """Not bound to inference mode: a chapter may compute with them."""
    found = invert(CellOracle(), identity, TARGETS, candidates=pool(), settings=SHORT, seed=0)
    assert not any(value.is_inference() for value in vars(found).values() if isinstance(value, Tensor))


def test_a_random_oracle_may_contradict_itself():
    """The authors' loop asserts that the first point is still inside; a random answer need not be."""
    settings = replace(SHORT, rejected_limit=4, max_iterations=40)
    oracle = CellOracle(noise=2.0)
    found = invert(oracle, identity, TARGETS, candidates=pool(), settings=settings, seed=0)
    assert found.found.all()
    assert "rejected steps" in found.stopped


def test_an_abstention_is_outside():
    """With an oracle that answers near the centres only, every kept point is one that it answered."""
    oracle = CellOracle(far=0.8)
    found = invert(oracle, identity, TARGETS, candidates=pool(2000), settings=SHORT, seed=0)
    assert found.found.any()
    assert torch.equal(oracle(found.z[found.found]), TARGETS[found.found])
    assert not invert(CellOracle(far=0.0), identity, TARGETS, candidates=pool(), settings=SHORT, seed=0).found.any()


def test_repeated_queries_take_the_strict_plurality_and_a_tie_is_no_answer():
    answers = torch.tensor([[2, 0, ABSTAIN, 1], [2, 1, ABSTAIN, 1], [0, 2, 1, 0], [1, 0, 1, ABSTAIN]])
    assert strict_plurality(answers, 3).tolist() == [2, 0, ABSTAIN, 1]
    assert strict_plurality(answers[:3], 3).tolist() == [2, ABSTAIN, ABSTAIN, 1]


def test_repeats_recover_what_noise_hides():
    """Centres 8 apart, noise of 2: with 15 answers a probe the walk ends deeper in its cell."""
    centres = 8 * torch.eye(3)
    start = torch.tensor([[1.5, 0.9, 0.9]])
    settings = replace(BREP_MI, radius=1.0, latent_clamp=8.0, patience=30, rejected_limit=30, max_iterations=80)
    depths = []
    for repeats in (1, 15):
        oracle = CellOracle(centres, noise=2.0)
        found = invert(
            oracle, identity, TARGETS[:1], start=start, settings=replace(settings, repeats=repeats), seed=0
        )  # fmt: skip
        depths.append(int(found.expansions[0]))
    assert depths[1] > depths[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"patience": 1}, "patience"),
        ({"max_iterations": 3}, "iterations"),
        ({"radius_cap": 0.3}, "radius cap"),
    ],
)
def test_every_bound_ends_the_walk_under_its_own_name(change, reason):
    settings = replace(SHORT, **{"patience": 100} | change)
    found = invert(CellOracle(), identity, TARGETS, candidates=pool(), settings=settings, seed=1)
    assert set(found.stopped) >= {reason}
    assert int(found.iterations.max()) <= 60
    if "radius_cap" in change:
        capped = torch.tensor([reason == "radius cap" for reason in found.stopped])
        torch.testing.assert_close(found.radius[capped], torch.full((int(capped.sum()),), 0.39, dtype=torch.float64))


def test_rejected_steps_in_a_row_are_bounded_where_asked():
    class Fickle(CellOracle):
        """The target once, to be found; then never again."""

        def _release(self, x):
            return torch.zeros(len(x)).long() if self.queries == 0 else torch.ones(len(x)).long()

    settings = replace(BREP_MI, rejected_limit=7)
    found = invert(Fickle(), identity, TARGETS[:1], candidates=pool(), settings=settings, seed=0)
    assert found.stopped == ("rejected steps",)
    assert (found.rejected[0], found.accepted[0]) == (7, 0)
    assert torch.equal(found.latent, found.start)


def test_a_region_without_an_end_does_not_run_for_ever():
    class Always(CellOracle):
        def _release(self, x):
            return torch.zeros(len(x)).long()

    found = invert(Always(), identity, TARGETS[:1], candidates=pool(), settings=BREP_MI, seed=0)
    assert found.stopped == ("unbounded radius",)


def test_without_repulsion_only_the_inside_pulls_as_well():
    """One pass, by hand: mean of +u inside and -u outside, times R / 3."""
    start = torch.tensor([[0.1, 0.0, 0.0]])
    settings = replace(BREP_MI, max_iterations=1, repulsion_only=False, radius=1.0)
    found = invert(HalfSpaceOracle(), identity, torch.tensor([1]), start=start, settings=settings, seed=3)
    units = sphere_directions(3, 0, 1, 32, DIM)[0]
    sign = torch.where((start + units)[:, 0] > 0, 1.0, -1.0)
    torch.testing.assert_close(found.z[0], start[0] + (sign[:, None] * units).mean(dim=0) / 3)


@pytest.mark.parametrize("noise", [0.0, 0.8])
@pytest.mark.parametrize("kill_after", [0, 300, 1500, 4000])
def test_a_killed_run_resumes_to_the_same_result(tmp_path, noise, kill_after):
    """Killed before the search, in it, and in the walk; the second oracle is a new one, as in a new process."""

    candidates = torch.cat([CENTRES[:1].expand(SEARCH_BLOCK, DIM), pool()])  # two blocks have to be searched
    settings = replace(SHORT, patience=30, rejected_limit=None)

    def attack(oracle, **options):
        return invert(
            oracle,
            identity,
            TARGETS,
            candidates=candidates,
            settings=settings,
            seed=0,
            record=True,
            save_every=7,
            **options,
        )

    whole = CellOracle(noise=noise)
    uninterrupted = attack(whole)
    assert whole.queries > 4000
    state = tmp_path / "arm.pt"
    with pytest.raises(KeyboardInterrupt):
        attack(CellOracle(noise=noise, kill_after=kill_after), state_path=state)
    again = CellOracle(noise=noise, seed=99)  # its own randomness is replaced by what the file holds
    same(uninterrupted, attack(again, state_path=state))
    assert (again.queries, again.forward_passes) == (whole.queries, whole.forward_passes)
    assert [path.name for path in tmp_path.iterdir()] == ["arm.pt"]
    finished = CellOracle(noise=noise, kill_after=0)
    same(uninterrupted, attack(finished, state_path=state))  # asks nothing any more


def test_the_state_of_another_run_or_a_broken_file_is_refused(tmp_path):
    state = tmp_path / "arm.pt"
    given = {"candidates": pool(), "settings": SHORT, "state_path": state}
    invert(CellOracle(), identity, TARGETS, seed=0, **given)
    others = ({"seed": 1}, {"settings": replace(SHORT, patience=7)}, {"candidates": pool(511)}, {"record": True})
    for other in others:
        with pytest.raises(InputError, match=r"state_path: got .*other settings"):
            invert(CellOracle(), identity, TARGETS, **({"seed": 0} | given | other))
    with pytest.raises(InputError, match="state_path"):
        invert(CellOracle(), identity, TARGETS[:3], seed=0, **given)
    state.write_bytes(b"not a state")
    with pytest.raises(InputError, match="delete the file"):
        invert(CellOracle(), identity, TARGETS, seed=0, **given)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("directions", 0),
        ("radius", 0.0),
        ("expansion", 1.0),
        ("inside_needed", 33),
        ("step_fraction", -1.0),
        ("step_limit", math.inf),
        ("latent_clamp", 0.0),
        ("patience", 2.5),
        ("repulsion_only", 1),
        ("rejected_limit", 0),
        ("max_iterations", 0),
        ("radius_cap", 1.0),
        ("repeats", True),
    ],
)
def test_a_setting_out_of_range_is_refused_in_one_line(field, value):
    with pytest.raises(InputError) as error:
        replace(BREP_MI, **{field: value})
    assert str(error.value).startswith(f"{field}: got {value!r}, allowed is ")
    assert "\n" not in str(error.value)


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
    given = {"prior": identity, "targets": TARGETS, "candidates": pool(), "settings": SHORT, "seed": 0} | change
    with pytest.raises(InputError) as error:
        invert(CellOracle(), **given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_pool_of_other_dimensions_than_the_prior_s_is_refused():
    class Plane(torch.nn.Module):
        latent_dim = 2

    with pytest.raises(InputError, match="prior's 2 dimensions"):
        invert(CellOracle(), Plane(), TARGETS, candidates=pool(), seed=0)


@pytest.mark.parametrize("arguments", [{"size": 0}, {"latent_dim": 0}, {"seed": -1}, {"clamp": -1.0}])
def test_a_pool_of_impossible_size_or_clamp_is_refused(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        candidate_latents(**({"size": 3, "latent_dim": 2, "seed": 0} | arguments))
