"""The audit: its intervals cover the exact laws, no bound is broken, and it would have noticed a broken one."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments import guarantee_audit
from rp_tutorial.experiments.bound_games import GAMES
from rp_tutorial.experiments.engine.runner import run as run_experiment
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.guarantee_audit import PROFILES, AuditLab, AuditSettings
from rp_tutorial.experiments.half_space_games import Mechanism
from rp_tutorial.models.table_nets import at_distance, half_space_net
from rp_tutorial.oracles.smoothing import Smoothing
from rp_tutorial.statistics.binomial import certified_radius, lower_confidence_bound
from rp_tutorial.theory.guarantees import composition_tv, halfspace_advantage
from rp_tutorial.theory.halfspace import class_one_probability

pytestmark = pytest.mark.usefixtures("own_cache")
FIELDS = {
    "n_cert", "n_vote", "rule", "p_a", "claimed", "advantage_exact", "advantage_played", "ci", "deployable_radius",
    "bound",
}  # fmt: skip
EXACT = {  # mean exact advantage at the certified edge; derived beside the book's first table in test_privacy.py
    (1000, 1000, "vote"): 0.0142, (1000, 1000, "predict"): 0.1834,
    (1000, 100, "vote"): 0.1005, (1000, 100, "predict"): 0.4724,
    (100_000, 100, "vote"): 0.2499, (100_000, 100, "predict"): 0.4978,
    (100_000, 1000, "vote"): 0.1943, (100_000, 1000, "predict"): 0.4945,
}  # fmt: skip


def lab(settings: AuditSettings, seed: int, **options) -> AuditLab:
    return AuditLab(settings, data="synthetic", seed=seed, stages=Stages("guarantee-audit", **options))


@pytest.fixture(scope="module")
def document(own_cache) -> dict:
    return run_experiment("guarantee-audit", profile="smoke")


@pytest.fixture(scope="module")
def results(document) -> dict:
    return document["results"]


def test_the_table_has_the_promised_fields_and_every_cell(results):
    assert all(set(cell) >= FIELDS for cell in results["table"])
    found = {(cell["n_cert"], cell["n_vote"], cell["rule"]): cell["advantage_exact"] for cell in results["table"]}
    assert found == pytest.approx(EXACT, abs=5e-5)
    assert {cell["claimed"] for cell in results["table"]} == {0.005}
    assert {cell["p_a"] for cell in results["table"]} == {0.9}


def test_every_played_interval_covers_the_exact_value(results):
    """At the certified edge and at the deployable radius; all 16 together miss with probability at most 1e-4."""
    for cell in results["table"]:
        low, high = cell["ci"]
        assert low <= cell["advantage_exact"] <= high
        assert low <= cell["advantage_played"] <= high
        low, high = cell["deployable_ci"]
        assert low <= cell["deployable_advantage_exact"] <= high
        assert 16 * (1 - cell["confidence"]) == pytest.approx(1e-4)
    assert results["summary"]["cells_covered"] == results["summary"]["cells"] == 8


def test_the_claim_breaks_at_the_certified_edge_and_the_bound_holds_at_the_deployable_radius(results):
    for cell in results["table"]:
        assert cell["advantage_exact"] > 2 * cell["claimed"]
        assert cell["deployable_advantage_exact"] <= cell["bound"] == 0.01
        assert 0 < cell["deployable_radius"] < cell["certified_radius"]
    broken_in_play = [cell for cell in results["table"] if cell["ci"][0] > cell["claimed"]]
    assert len(broken_in_play) >= 7


def test_two_hundred_random_settings_break_no_bound(results):
    found = results["summary"]
    assert found["settings"] == len(results["settings"]) >= 200
    assert found["games"] == 3 * found["settings"]
    assert found["violations"] == 0
    assert found["settings_error"] == 1e-6
    for row in results["settings"]:
        assert set(row["games"]) == {"single", "repeated", "abstention"}
        for name, game in row["games"].items():
            assert game["advantage_exact"] <= game["bound"]
            assert game["lower_limit"] <= game["bound"]
            releases = row["releases"] if name == "repeated" else 1
            assert game["bound"] == pytest.approx(composition_tv(row["alpha"], row["beta"], releases) / 2)
        assert row["games"]["abstention"]["advantage_exact"] <= row["games"]["single"]["advantage_exact"] + 1e-12
        assert row["games"]["single"]["advantage_exact"] <= row["games"]["repeated"]["advantage_exact"] + 1e-12


def test_the_settings_are_varied_and_not_trivial(results):
    rows = results["settings"]
    assert {row["rule"] for row in rows} == {"vote", "predict"}
    assert {row["releases"] for row in rows} == {2, 5, 20}
    for name in ("p_a", "sigma", "n_vote", "n_cert", "alpha", "beta"):
        assert len({row[name] for row in rows}) > 50
    assert all(row["deployable_radius"] > 0 for row in rows)
    assert results["summary"]["largest_share_of_bound"] > 0.4, "some games come near their bound"


def test_the_audit_notices_a_bound_that_does_not_hold(results):
    """The control: the same games at the certified radius, against alpha / 2."""
    found = results["summary"]
    assert found["control_broken_exactly"] > found["settings"] / 3
    assert 10 < found["control_broken_in_play"] <= found["control_broken_exactly"]
    for row in results["settings"]:
        if row["control"]["broken_in_play"]:
            assert row["control"]["broken_exactly"], "an accusation in play that the exact law does not bear out"


def test_no_sharper_bound_is_broken_and_each_is_played_against_nets_of_many_classes(results):
    found = results["summary"]
    assert found["bound_violations"] == 0
    assert found["bounds_error"] == 1e-6
    assert len(found["bounds"]) == 12
    for line in found["bounds"]:
        assert line["settings"] == PROFILES["smoke"].bound_settings
    assert max(line["most_classes"] for line in found["bounds"]) == 100
    assert PROFILES["cpu"].bound_settings >= 240


def test_the_best_adversary_gets_nine_tenths_of_the_profile_the_calibration_and_the_walk(results):
    """Exactly; what was played covers it, in all cases together but for one run of 10,000."""
    rows = results["tightness"]
    assert {row["bound_of"] for row in rows} >= {"profile", "calibrated", "adaptive"}
    for row in rows:
        assert row["share_exact"] > (0.6 if row["bound_of"] == "plurality" else 0.99)
        low, high = row["ci"]
        assert low <= row["exact"] <= high
    assert results["summary"]["tightness_covered"] == len(rows)


def test_the_exact_mean_is_an_average_over_certificates():
    """Against a plain average over 200,000 simulated counts, choice and bound drawn apart, within 6 standard errors."""
    mechanism = Mechanism("predict", 0.6, 0.7, 50, 200, 0.1, 0.1)
    rng = np.random.default_rng(0)
    ones, chosen = rng.binomial(200, 0.6, 200_000), rng.binomial(100, 0.6, 200_000) > 50
    p_low = lower_confidence_bound(np.where(chosen, ones, 200 - ones), 200, alpha=0.1)
    radius = certified_radius(p_low, sigma=0.7)
    sample = halfspace_advantage(0.6, radius, sigma=0.7, n_vote=50, rule="predict", alpha=0.1)
    exact = mechanism.exact(mechanism.certified)
    assert abs(sample.mean() - exact) < 6 * sample.std() / np.sqrt(len(sample))
    assert sum(mechanism.certificate_law()[1]) == pytest.approx(1, abs=1e-11)


def test_the_half_space_net_has_the_law_of_a_half_space():
    distance, n = np.array([-0.7, 0.0, 0.4]), 200_000
    votes = Smoothing(half_space_net(), num_classes=2, sigma=0.5, seed=1).counts(at_distance(distance), n)[:, 1]
    p = class_one_probability(distance, sigma=0.5)
    assert np.all(np.abs(votes.numpy() / n - p) < 5.5 * np.sqrt(p * (1 - p) / n))


def test_a_second_run_only_reads_and_another_seed_plays_other_games(document):
    with pytest.MonkeyPatch.context() as patch:
        for part in ("_cell", "_setting", "_bound_rows", "_tightness"):
            patch.setattr(guarantee_audit, part, lambda *_, part=part: pytest.fail(f"{part} was computed again"))
        again = run_experiment("guarantee-audit", profile="smoke")
    assert again["results"] == document["results"]
    few = dataclasses.replace(
        PROFILES["smoke"], table_rounds=200, cells=((1000, 100),), random_settings=3, most_samples=100, most_votes=50,
        bound_settings=1, bound_rounds=20, tight_rounds=100,
    )  # fmt: skip
    games = [
        guarantee_audit.run(
            guarantee_audit.AuditLab(few, data="synthetic", seed=seed, stages=Stages("guarantee-audit"))
        )
        for seed in (1, 2)
    ]
    assert games[0]["table"][0]["advantage_exact"] == games[1]["table"][0]["advantage_exact"]
    for part in ("settings", "bounds", "tightness"):
        assert games[0][part] != games[1][part]


def test_progress_names_as_many_stages_as_announced():
    few = dataclasses.replace(PROFILES["smoke"], table_rounds=50, costly_rounds=10, random_settings=45, most_samples=60)
    few = dataclasses.replace(few, cells=((1000, 100), (2000, 10), (1000, 10)), single_rounds=20, repeated_rounds=20)
    few = dataclasses.replace(few, bound_settings=1, bound_rounds=10, tight_rounds=10)
    named: list[str] = []
    guarantee_audit.run(
        guarantee_audit.AuditLab(few, data="synthetic", seed=0, stages=Stages("guarantee-audit", progress=named.append))
    )
    cells, certificates, chunks = 2 * 3, 2, 2
    assert len(named) == len(set(named)) == cells + certificates + chunks + len(GAMES) + 1


@pytest.mark.parametrize("data", ["diabetes", "kaggle", "rows.csv"])
def test_data_are_refused_because_none_are_read(data):
    with pytest.raises(InputError, match=f"^data: got '{data}'"):
        run_experiment("guarantee-audit", profile="smoke", data=data)


def test_results_are_tables_and_a_summary(document):
    tables = guarantee_audit.tables(document["results"])
    assert {name: len(table) for name, table in tables.items()} == {
        "table": 8,
        "settings": 4 * document["results"]["summary"]["settings"],
        "bounds": 12 * PROFILES["smoke"].bound_settings,
        "tightness": 8,
    }
    text = guarantee_audit.summary(document["results"])
    assert "8 of 8 cells covered; 0 violations" in text
    assert text.endswith("0 violations of sharper bounds in 104 games")
    assert json.loads(json.dumps(document)) == document
