"""inversion-mechanism: on a half-space behind an isometric prior every number is known; on faces it runs on."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from read_only import ReadOnly
from scipy.stats import norm
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS, PROFILES
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.faces import inversion
from rp_tutorial.experiments.faces.inversion import BOUNDED, Arm
from rp_tutorial.experiments.faces.lab import FaceLabSettings
from rp_tutorial.experiments.mechanism import experiment as inversion_mechanism
from rp_tutorial.experiments.mechanism.latent_measures import over_targets, pass_probability, sphere
from rp_tutorial.experiments.mechanism.probe import MechanismLab, MechanismSettings, rule_of
from rp_tutorial.experiments.mechanism.verdicts import COMPARISONS, join, verdicts
from rp_tutorial.models.table_nets import DIRECTION, half_space_net

pytestmark = pytest.mark.usefixtures("own_cache")
SIGMA = 0.8
ARMS = (
    Arm("none"), Arm("plain noise", SIGMA), Arm("smoothing", SIGMA, 10), Arm("smoothing", SIGMA, 100),
    Arm("fixed noise", SIGMA, 10),
)  # fmt: skip
FLAT = MechanismSettings(
    arms=ARMS, sigmas=(SIGMA,), targets=2, pool=50, radii=(0.5, 2.0), grid_targets=2, many_directions=4000,
    centre_repeats=500, truth_votes=2000, certify_n=200, largest_n=(100,),
    attack=dataclasses.replace(BOUNDED, patience=3, rejected_limit=3, max_iterations=3),
)  # fmt: skip
TINY = MechanismSettings(
    identities=4, train_images=24, test_images=8, public_images=60, images_seen=200, evaluator_images_seen=100,
    latent_dim=8, targets=4, pool=300, radii=(0.5, 2.0), grid_targets=2, many_directions=32,
    centre_repeats=2, truth_votes=10, certify_n=20, largest_n=(100,), promise_n=(100,), sigmas=(0.1,),
    arms=(Arm("none"), Arm("smoothing", 0.1, 10)),
    attack=dataclasses.replace(BOUNDED, patience=3, rejected_limit=3, max_iterations=4),
)  # fmt: skip


class Plane(nn.Module):
    """A prior that is an isometry: the latent is the input."""

    latent_dim = 2

    def forward(self, z):
        return z


class HalfSpaceLab(MechanismLab):
    """The lab with a net whose labels under noise have a closed form, and an isometry for a prior."""

    num_classes, prior = 2, Plane()

    def __init__(self, data: str) -> None:
        super().__init__(FLAT, data=data, seed=0, stages=Stages("inversion-mechanism"))

    def prepare(self) -> None:
        """There are no faces to read."""

    def target(self, **_):
        return half_space_net()


@pytest.fixture(scope="module")
def probe(own_cache) -> MechanismLab:
    return HalfSpaceLab("half-space")


@pytest.fixture(scope="module")
def seen(probe) -> dict[tuple[str, int], dict]:
    return {(arm.defense, arm.n): probe.seen(arm) for arm in ARMS}


def inside_probability(probe: MechanismLab, z: torch.Tensor) -> np.ndarray:
    """Pr[one noisy copy of z [P, ..., 2] is labelled as the target of its point], in closed form."""
    side = (2 * probe.goals - 1).view(-1, *[1] * (z.ndim - 2))
    return norm.cdf((side * (z @ torch.tensor(DIRECTION))).numpy() / SIGMA)


@pytest.fixture(scope="module")
def at_probes(probe) -> np.ndarray:
    return inside_probability(probe, sphere(probe.z, probe.radius, probe.units))


# --- The half-space ---


def test_an_isometric_prior_moves_the_input_by_r(probe):
    found = probe.displaced(SIGMA)
    for row in found["spheres"][1:]:
        assert list(row["displacement"].values()) == pytest.approx([float(row["radius"])] * 5, rel=1e-4)
    assert found["spheres"][0]["radius"] == "attack"
    assert found["largest_certified_radius"] <= found["largest_possible_radius"]["200"]


def test_probes_beyond_the_certificate_are_counted_point_by_point(probe):
    found = probe.displaced(SIGMA)
    wide = next(row for row in found["spheres"] if row["radius"] == "2")
    assert wide["beyond_largest"]["100"]["value"] == (1.0 if found["largest_possible_radius"]["100"] < 2 else 0.0)
    assert wide["over_largest"]["100"]["q50"] == pytest.approx(2 / found["largest_possible_radius"]["100"], rel=1e-4)
    if found["largest_certified_radius"] < 2:
        assert wide["beyond_certified"]["value"] == 1.0


def test_shares_outside_are_those_of_the_closed_form(probe, seen, at_probes):
    """Mean over all probes; four standard errors of that many independent labels (6e-5 each)."""
    none = seen["none", 1]["outside"]
    assert none["value"] == pytest.approx(means(probe, (at_probes < 0.5).mean(axis=1)))
    error = np.sqrt((at_probes * (1 - at_probes)).mean() / at_probes.size)
    expected = means(probe, 1 - at_probes.mean(axis=1))
    assert seen["plain noise", 1]["outside"]["value"] == pytest.approx(expected, abs=4 * error)


def test_asking_twice_gives_two_labels_with_probability_2p_1_minus_p(probe, seen, at_probes):
    p = 2 * at_probes * (1 - at_probes)
    error = np.sqrt((p * (1 - p)).mean() / p.size)
    expected = means(probe, p.mean(axis=1))
    assert seen["plain noise", 1]["answered_differently"]["value"] == pytest.approx(expected, abs=4 * error)
    assert seen["none", 1]["answered_differently"]["value"] == 0
    assert seen["fixed noise", 10]["answered_differently"]["value"] == 0


def test_a_centre_inside_is_rejected_as_often_as_its_label_flips(probe, seen):
    p = inside_probability(probe, probe.z)
    inside = p > 0.5
    assert seen["plain noise", 1]["centres_inside"] == inside.sum()
    error = np.sqrt(0.25 / (inside.sum() * FLAT.centre_repeats))
    expected = means(probe, np.where(inside, 1 - p, np.nan))
    assert seen["plain noise", 1]["centre_rejected"]["value"] == pytest.approx(expected, abs=4 * error)
    assert seen["none", 1]["centre_rejected"]["value"] == 0


def test_both_references_are_the_normal_of_the_half_space(probe):
    side = (2 * probe.goals - 1)[:, None] * torch.tensor(DIRECTION)
    for name, true in probe._references(Arm("none")).items():
        cosines = torch.nn.functional.cosine_similarity(true, side)[true.norm(dim=1) > 0]
        assert len(cosines), name
        assert float(cosines.min()) > (0.9999 if name == "gradient" else 0.98)


def test_the_rule_is_checked_on_spheres_that_grow_without_a_defence(seen):
    none = seen["none", 1]
    if none["spheres_that_expand"]:
        assert none["passes_if_expands"]["value"] == 1
    for arm in seen.values():
        flips, predicted = arm["outside_if_expands"]["value"], arm["passes_if_expands_binomial"]
        if flips is None:
            assert predicted is None
        else:
            assert predicted == float(pass_probability(flips, **rule_of(FLAT)))


def test_every_share_is_a_share_and_every_cosine_a_cosine(seen):
    for arm in seen.values():
        for name, measured in arm.items():
            if isinstance(measured, dict):
                low = -1 if name.startswith("cosine") else 0
                assert all(low <= mean <= 1 for mean in measured["by_target"] if mean is not None)
        assert [row["radius"] for row in arm["by_radius"]] == list(FLAT.radii)


def means(probe: MechanismLab, values: np.ndarray) -> float:
    """Mean over targets of the means over their points."""
    known = [values[(probe.owner == target) & ~np.isnan(values)] for target in set(probe.owner)]
    return float(np.mean([part.mean() for part in known if len(part)]))


# --- Verdicts ---


def arm_row(defense: str, n: int, sigma: float, **measured) -> dict:
    zero = over_targets([0.0, 0.01, -0.01])
    passes = over_targets(measured.pop("passes", [0.5, 0.5, 0.5]))
    rows = {name: zero for _, _, name, *_ in COMPARISONS} | {k: over_targets(v) for k, v in measured.items()}
    rows["by_radius"] = [{"radius": radius, "passes": passes} for radius in (0.5, 2.0)]
    name = f"{defense} {n}"
    return {"name": name, "defense": defense, "n": n, "sigma": sigma, "augmented": False, "repeats": 1, **rows,
            "outside_if_expands": zero | {"value": 0.02}, "passes_if_expands_binomial": 0.0}  # fmt: skip


def made_up(*, fresh_cosine=(0.5, 0.52, 0.51), beyond=(1.0, 1.0, 0.9)) -> dict:
    share = over_targets(list(beyond))
    attack = {"radius": "attack", "beyond_certified": share, "beyond_largest": {"100": share}}
    high = [0.8, 0.82, 0.81]
    arms = [
        arm_row("none", 1, 0.0, cosine_sphere=high, passes=[1.0, 1.0, 0.9]),
        arm_row("smoothing", 10, 0.1, cosine_sphere=list(fresh_cosine), passes=[0.1, 0.3, 0.2]),
        arm_row("fixed noise", 10, 0.1, cosine_sphere=high, passes=[0.9, 1.0, 0.9]),
    ]
    rule = {"directions": 32, "needed": 29}
    return {"arms": arms, "rule": rule, "targets": 3, "displacement": [{"sigma": 0.1, "n": 100, "spheres": [attack]}]}


def test_verdicts_follow_from_the_intervals():
    found = {name: verdict["survives"] for name, verdict in verdicts(made_up()).items()}
    assert found == {
        "probes within the certified radius": False,
        "probes within the largest printable radius": False,
        "direction destroyed": False,
        "boundary hidden": False,
        "direction weakened": True,
        "direction weakened by smoothing alone": False,
        "direction weakened by randomness": True,
        "expansion rule broken by randomness": True,
        "expansion rule broken by smoothing alone": False,
        "step rule broken by randomness": False,
    }


def test_a_direction_that_is_no_better_than_a_guess_is_destroyed():
    assert verdicts(made_up(fresh_cosine=(0.1, -0.1, 0.02)))["direction destroyed"]["survives"] is True


def test_masking_survives_where_probes_stay_within_the_radius():
    found = verdicts(made_up(beyond=(0.0, 0.1, 0.05)))
    assert found["probes within the certified radius"]["survives"] is True


def test_one_target_decides_nothing():
    found = verdicts(made_up(fresh_cosine=(0.5, None, None), beyond=(1.0, None, None)))
    assert found["direction destroyed"]["survives"] is None
    assert found["probes within the certified radius"]["survives"] is None


def test_pooled_runs_have_the_targets_of_all_seeds_side_by_side():
    one, other = made_up(), made_up(fresh_cosine=(0.4, 0.2, 0.3))
    pooled = join([one, other])
    assert pooled["arms"][1]["cosine_sphere"]["by_target"] == [0.5, 0.52, 0.51, 0.4, 0.2, 0.3]
    assert pooled["targets"] == 6
    assert (pooled["arms"][1]["sigma"], pooled["arms"][1]["n"]) == (0.1, 10)
    assert pooled["verdicts"]["direction weakened"]["rows"][0]["targets"] == 6
    with pytest.raises(InputError, match="documents"):
        join([one, one | {"arms": one["arms"][:2]}])


# --- On faces ---


@pytest.fixture(scope="module")
def results(own_cache) -> dict:
    return run(Stages("inversion-mechanism"))


def run(stages: Stages) -> dict:
    return inversion_mechanism.run(MechanismLab(TINY, data="synthetic", seed=0, stages=stages))


def test_the_experiment_is_registered_with_every_profile():
    found = EXPERIMENTS["inversion-mechanism"]
    assert found is inversion_mechanism.EXPERIMENT
    assert set(found.profiles) == set(found.needs) == set(PROFILES)
    for name, ours in inversion_mechanism.PROFILES.items():
        theirs = inversion.PROFILES[name]
        for field in dataclasses.fields(FaceLabSettings):
            assert getattr(ours, field.name) == getattr(theirs, field.name)
        assert ours.attack == theirs.attack
        assert {arm for arm in ours.arms if arm.n < 100} <= set(theirs.arms)


def test_a_second_run_only_reads_and_a_killed_one_goes_on_to_the_same_results(results, tmp_path, monkeypatch):
    assert run(ReadOnly("inversion-mechanism")) == results

    def kill(stage: str) -> None:
        if stage.startswith("seen-smoothing"):
            raise KeyboardInterrupt

    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        run(Stages("inversion-mechanism", progress=kill))
    torch.manual_seed(123)  # nothing may hang on the global generator
    again: list[str] = []
    assert run(Stages("inversion-mechanism", progress=again.append)) == results
    assert len(again) == len(set(again)), "no stage is announced twice"


def test_the_results_are_json_and_the_tables_hold_no_lists(results):
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    for table in inversion_mechanism.tables(results).values():
        assert not table.map(lambda cell: isinstance(cell, list | dict)).to_numpy().any()
    assert set(inversion_mechanism.tables(results)) == {"arms", "radii", "displacement", "promise", "verdicts"}
    assert "boundary hidden" in inversion_mechanism.summary(results)


def test_points_belong_to_targets_that_were_found(results):
    assert 0 < results["points"] <= 3 * results["targets"]
    assert results["rule"] == {"directions": 32, "needed": 29}


def test_the_promise_is_about_the_questions_that_were_asked(results):
    assert [(row["sigma"], row["n_vote"]) for row in results["promise"]] == [(0.1, 10), (0.1, 100)]
    asked = [count for count in results["pairs"]["asked"]["by_target"] if count is not None]
    assert all(count % 32 == 0 and 0 < count <= 32 * TINY.attack.max_iterations for count in asked)
    for row in results["promise"]:
        for measured in (row["walk"]["surest"], row["one_label"]["surest"], row["has_own_radius"], row["within_own"]):
            assert all(0 <= share <= 1 for share in measured["by_target"] if share is not None)
        assert row["walk"]["anybody"]["value"] <= 0.5
    twice = join([results, results])
    assert twice["pairs"]["asked"]["targets"] == 2 * results["pairs"]["asked"]["targets"]
    assert twice["promise"][0]["longest_radius"] == results["promise"][0]["longest_radius"]


def test_no_walk_is_one_clear_line():
    probe = HalfSpaceLab("without a walk")
    probe.attack = lambda arm, record: SimpleNamespace(found=torch.zeros(2, dtype=torch.bool))
    with pytest.raises(InputError, match="data: no target got a first point") as caught:
        _ = probe.walk
    assert "\n" not in str(caught.value)
