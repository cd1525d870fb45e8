"""The eligibility experiment: the rule, the laws of the mechanisms, and the measures they go through."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.data.tables.sources import load_table
from rp_tutorial.experiments.engine.runner import run as run_experiment
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.tables import eligibility
from rp_tutorial.oracles.smoothing import PredictOracle, Smoothing, VoteOracle

pytestmark = pytest.mark.usefixtures("own_cache")
SMOKE = eligibility.PROFILES["smoke"]


@pytest.fixture(scope="module")
def document(own_cache) -> dict:
    return run_experiment("insurance-eligibility", profile="smoke")


@pytest.fixture(scope="module")
def oracles(document: dict) -> pd.DataFrame:
    return pd.DataFrame(document["results"]["oracles"])


@pytest.fixture(scope="module")
def bench(own_cache):
    return eligibility.EligibilityLab(SMOKE, data="synthetic", seed=0, stages=Stages("insurance-eligibility"))


def mechanism(bench, sigma: float, name: str, n: int | None = None):
    return next(m for m in bench.smoothed(sigma) if (m.name, m.n) == (name, n))


def test_the_rule_is_the_programmes() -> None:
    frame = pd.DataFrame(
        [
            (29.9, 100.0, 0, 0, 0, False),
            (30.0, 100.0, 0, 0, 0, True),
            (27.0, 100.0, 0, 0, 1, True),
            (27.0, 100.0, 0, 1, 0, True),
            (27.0, 160.0, 0, 0, 0, True),
            (28.0, 159.9, 0, 0, 0, False),
            (26.9, 200.0, 1, 1, 1, False),
        ],
        columns=["bmi", "ldl", *eligibility.CONDITIONS, "expected"],
    )
    assert eligibility.eligible(frame).tolist() == frame["expected"].tolist()


def test_a_table_without_the_conditions_is_refused() -> None:
    with pytest.raises(InputError, match="hypertension") as caught:
        eligibility.eligible(load_table("diabetes").frame)
    assert "\n" not in str(caught.value)


def test_results_have_the_promised_fields(oracles: pd.DataFrame) -> None:
    promised = {"name", "sigma", "n", "accuracy", "abstention", "median_length", "median_prior_mass"}
    assert promised | {"median_posterior_width", "advantage_near"} <= set(oracles.columns)
    names = {"base", "deterministic certificate", "attribute smoothing, exact", "isotropic, ideal"}
    names |= {"isotropic VOTE", "isotropic PREDICT", "plain noise", "randomized response", "abstaining net"}
    assert set(oracles["name"]) == names


def test_measures_are_what_their_names_say(oracles: pd.DataFrame, document: dict) -> None:
    assert oracles["accuracy"].between(0, 1).all()
    assert (oracles["accuracy"] + oracles["abstention"] <= 1 + 1e-9).all()
    assert oracles["largest_advantage_near"].le(0.5 + 1e-12).all()
    assert (oracles["advantage_near"] <= oracles["largest_advantage_near"] + 1e-12).all()
    domain = document["results"]["imputation"]["median_length"]
    assert oracles["median_length"].between(0, domain + 1e-9).all()
    assert oracles["missed"].le(3 * SMOKE.tau).all()  # a release rarer than tau is rare; 20 records


def test_the_side_information_alone_says_nothing_about_bmi(document: dict, oracles: pd.DataFrame) -> None:
    imputation = document["results"]["imputation"]
    assert abs(imputation["r_squared"]) < 0.02
    assert oracles["median_posterior_width"].max() <= imputation["median_posterior_width"] + 0.2


def test_randomized_response_pays_for_every_pair_of_inputs(oracles: pd.DataFrame) -> None:
    """Its accuracy and its largest advantage follow from one number, the probability of keeping the label."""
    base = oracles[oracles["name"] == "base"]["accuracy"].item()
    for row in oracles[oracles["name"] == "randomized response"].itertuples():
        kept = (2 * row.largest_advantage_near + 1) / 2
        assert row.accuracy == pytest.approx(kept * base + (1 - kept) * (1 - base), abs=1e-9)


def test_the_matched_comparators_match(oracles: pd.DataFrame) -> None:
    for sigma in SMOKE.sigmas:
        at = oracles[oracles["sigma"] == sigma].set_index("name")
        response, noise = at.loc["randomized response"], at.loc["plain noise"]
        assert response["largest_advantage_near"] == pytest.approx(noise["largest_advantage_near"], abs=1e-6)
        predict = at.loc["isotropic PREDICT"].set_index("n").loc[1000, "abstention"]
        assert at.loc["abstaining net"]["abstention"] == pytest.approx(predict, abs=0.01)


def test_the_laws_are_those_of_the_real_oracles(bench) -> None:
    """VOTE and PREDICT as deployed, on 300 test rows: counts of each symbol against the laws' sums.

    The laws use an estimate of p_1, so the allowance is Bernstein's at 1e-6 plus what .008 in p_1 can move.
    """
    sigma, n, x = 0.5, 100, bench.test_x[:300]
    smoothing = Smoothing(bench.net, num_classes=2, sigma=sigma, seed=99)
    deployed = {
        "isotropic VOTE": VoteOracle(smoothing, n=n),
        "isotropic PREDICT": PredictOracle(smoothing, n=n, alpha=SMOKE.alpha),
    }
    for name, oracle in deployed.items():
        law = mechanism(bench, sigma, name, n).law(x)
        assert np.allclose(law.sum(axis=1), 1)
        labels = oracle(x)
        for column, symbol in enumerate((ABSTAIN, 0, 1)):
            p = law[:, column]
            allowed = np.sqrt(2 * (p * (1 - p)).sum() * np.log(2e6)) + np.log(2e6) / 3 + 0.02 * len(x)
            assert abs(int((labels == symbol).sum()) - p.sum()) <= allowed


def test_plain_noise_releases_one_with_probability_p(bench) -> None:
    x = bench.test_x[:50]
    law = mechanism(bench, 1.0, "plain noise", 1).law(x)
    ones = Smoothing(bench.net, num_classes=2, sigma=1.0, seed=3).counts(x, 4000)[:, 1].numpy()
    # Both sides are estimates from 4000 samples: the difference has variance at most 2 / 4 / 4000.
    assert np.abs(ones / 4000 - law[:, 2]).max() < stats.norm.isf(1e-6 / 100) * np.sqrt(1 / 8000)


def test_the_certified_interval_of_the_base_net_is_exact(bench) -> None:
    """Just inside it the label is the record's own, just outside it is not (where it ends inside the domain)."""
    task, net = bench.task, bench.net
    pieces = eligibility.label_pieces(net, bench.records, attribute=task.attribute_column)
    low, high, _ = pieces.around(bench.records[:, task.attribute_column].double())
    label = net(bench.records).argmax(dim=1)
    for end, outward in ((low, -1.0), (high, 1.0)):
        inside = torch.isfinite(end) & (task.to_unit(end) > 12) & (task.to_unit(end) < 50.4)
        for step, same in ((-1e-3, True), (1e-3, False)):
            moved = bench.records.clone()
            moved[:, task.attribute_column] = (end + outward * step).float()
            agrees = net(moved).argmax(dim=1) == label
            assert bool((agrees[inside] == same).all())


def test_real_rows_run_as_well(real_insurance_csv) -> None:
    document = run_experiment("insurance-eligibility", profile="smoke", data=str(real_insurance_csv))
    assert document["results"]["n_train"] == 3000
    base = document["results"]["oracles"][0]
    assert base["accuracy"] > 0.9
