"""The generated insurance table: its identities, its marginals, and how it compares with real rows."""

import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.tables import synthetic
from rp_tutorial.data.tables.insurance import read_csv
from rp_tutorial.data.tables.schema import CATEGORICAL, COLUMNS, DISEASES, FLAGS, INTEGER

# Published statistics of the full file (n = 100,000) or, for the columns cut from the printed tables, of public
# samples of 22,000 rows: mean, standard deviation, quartiles, minimum, maximum. Same sources as synthetic.py.
PUBLISHED = {
    "age": (47.5215, 15.9888, 37, 48, 58, 0, 100),
    "income": (49873.9, 46800.2, 21100, 36200, 62200, 1100, 1.0618e06),
    "household_size": (2.4309, 1.07513, 2, 2, 3, 1, 9),
    "dependents": (0.89838, 0.950654, 0, 1, 1, 0, 7),
    "bmi": (26.9905, 4.99488, 23.6, 27, 30.4, 12, 50.4),
    "visits_last_year": (1.92765, 1.73773, 1, 2, 3, 0, 25),
    "hospitalizations_last_3yrs": (0.09364, 0.304848, 0, 0, 0, 0, 3),
    "days_hospitalized_last_3yrs": (0.37335, 1.37301, 0, 0, 0, 0, 21),
    "medication_count": (1.23632, 1.20936, 0, 1, 2, 0, 11),
    "systolic_bp": (117.879, 15.3328, 107, 117, 128, 61, 177),
    "diastolic_bp": (73.632, 8.90555, 67, 73, 79, 44, 114),
    "ldl": (119.975, 30.2621, 99.4, 120, 140.3, 30, 248.3),
    "hba1c": (5.61105, 0.853172, 5.16, 5.44, 5.77, 3.54, 11.49),
    "deductible": (1226.72, 1019.62, 500, 1000, 2000, 500, 5000),
    "copay": (19.5204, 10.2863, 10, 20, 30, 10, 50),
    "policy_term_years": (5.50294, 2.8684, 3, 6, 8, 1, 10),
    "policy_changes_last_2yrs": (0.0503645, 0.224876, 0, 0, 0, 0, 2),
    "provider_quality": (3.5783, 0.585429, 3.19, 3.58, 3.98, 1.5, 5),
    "risk_score": (0.520885, 0.251193, 0.3297, 0.5055, 0.7033, 0, 1),
    "annual_medical_cost": (3009.45, 3127.46, 1175.12, 2082.57, 3707.96, 55.55, 65724.9),
    "annual_premium": (582.405, 392.758, 352.345, 464.08, 670.09, 213.8, 9669.39),
    "monthly_premium": (48.5337, 32.7298, 29.36, 38.67, 55.84, 17.82, 805.78),
    "claims_count": (1.62178, 2.02982, 0, 1, 2, 0, 23),
    "avg_claim_amount": (656.512, 1072.66, 0, 318.015, 872.215, 0, 30010.5),
    "total_claims_paid": (1377.88, 2305.46, 0, 642.545, 1795.52, 0, 72517.9),
    "chronic_count": (0.73245, 0.807365, 0, 1, 1, 0, 6),
    "proc_imaging_count": (0.50853, 0.749755, 0, 0, 1, 0, 7),
    "proc_surgery_count": (0.15869, 0.463562, 0, 0, 0, 0, 6),
    "proc_physio_count": (0.50839, 0.747218, 0, 0, 1, 0, 7),
    "proc_consult_count": (0.50933, 0.75363, 0, 0, 1, 0, 7),
    "proc_lab_count": (0.50914, 0.750455, 0, 0, 1, 0, 7),
    "is_high_risk": (0.36781, 0.482212, 0, 0, 1, 0, 1),
    "had_major_procedure": (0.1697, 0.375371, 0, 0, 0, 0, 1),
}
NUMERIC = [name for name in COLUMNS if name not in CATEGORICAL and name != "person_id"]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return synthetic.generate()


@pytest.fixture(scope="module")
def real(real_insurance_csv) -> pd.DataFrame:
    return read_csv(real_insurance_csv)


def test_columns_have_the_files_order_and_dtypes(table):
    assert tuple(table.columns) == COLUMNS
    assert len(COLUMNS) == 54
    assert all(table[name].dtype == np.int64 for name in INTEGER)
    assert all(table[name].dtype == np.float64 for name in {*COLUMNS}.difference(CATEGORICAL, INTEGER))
    assert all(not pd.api.types.is_numeric_dtype(table[name]) for name in CATEGORICAL)
    assert not table.isna().any(axis=None)


def test_person_id_is_a_shuffled_1_to_n(table):
    assert sorted(table["person_id"]) == list(range(1, 100_001))
    assert not table["person_id"].is_monotonic_increasing


def test_a_hundred_thousand_rows_take_under_five_seconds_of_the_processor():
    start = time.process_time()
    synthetic.generate(100_000, seed=3)
    assert time.process_time() - start <= 5


def test_the_seed_decides_every_value():
    pd.testing.assert_frame_equal(synthetic.generate(500, seed=7), synthetic.generate(500, seed=7))
    assert not synthetic.generate(500, seed=7).equals(synthetic.generate(500, seed=8))


@pytest.mark.parametrize(("n_rows", "seed"), [(0, 0), (1.5, 0), (True, 0), (10, -1), (10, None)])
def test_bad_arguments_are_refused(n_rows, seed):
    with pytest.raises(InputError):
        synthetic.generate(n_rows, seed=seed)


def test_one_row_is_enough():
    assert synthetic.generate(1).shape == (1, 54)


@pytest.fixture(params=["synthetic", "real"])
def rows(request) -> pd.DataFrame:
    """The identities are checked on both, so that the test cannot share a misreading with the generator."""
    return request.getfixturevalue("table" if request.param == "synthetic" else "real")


def test_risk_score_follows_its_rule_in_every_row(rows):
    # Written out again in integers: independent of synthetic.risk_score.
    points = (rows.age - 18).clip(lower=0) + 18 * rows.chronic_count
    points += 8 * (rows.bmi > 30).astype(int) + 25 * (rows.smoker == "Current").astype(int)
    expected = (points.clip(upper=91) / 91).round(4)
    differs = (rows.risk_score - expected).abs() > 1e-9
    # The real rows write 50/91 = .549451 as .5494; no generated row differs at all.
    assert (points[differs] == 50).all()
    assert (rows.risk_score[differs] == 0.5494).all()
    assert np.array_equal(rows.is_high_risk, (rows.risk_score >= 0.6).astype(int))


def test_generated_scores_are_the_rule_to_the_last_digit(table):
    points = (table.age - 18).clip(lower=0) + 18 * table.chronic_count
    points += 8 * (table.bmi > 30).astype(int) + 25 * (table.smoker == "Current").astype(int)
    assert np.array_equal(table.risk_score, (points.clip(upper=91) / 91).round(4))


def test_money_identities_hold_in_every_row(rows):
    assert (rows.monthly_premium - rows.annual_premium / 12).abs().max() <= 0.005 + 1e-9
    assert np.array_equal(rows.total_claims_paid, (rows.claims_count * rows.avg_claim_amount).round(2))
    factor = rows.network_tier.map(synthetic.TIER_FACTOR)
    premium = 200 + 0.01 * rows.deductible + 0.12 * factor * rows.annual_medical_cost
    assert (rows.annual_premium - premium).abs().max() <= 0.005 + 1e-9
    assert ((rows.avg_claim_amount == 0) == (rows.claims_count == 0)).all()
    share = rows.avg_claim_amount * (rows.claims_count + 1) / rows.annual_medical_cost
    cents = 0.01 * (rows.claims_count + 1) / rows.annual_medical_cost
    claimed = rows.claims_count > 0
    assert ((share >= 0.6 - cents) & (share <= 1.4 + cents))[claimed].all()


def test_count_identities_hold_in_every_row(rows):
    assert np.array_equal(rows.chronic_count, rows[list(DISEASES)].sum(axis=1))
    assert (rows.visits_last_year.gt(0) | rows.claims_count.eq(0)).all()
    stays, days = rows.hospitalizations_last_3yrs, rows.days_hospitalized_last_3yrs
    assert ((days == 0) == (stays == 0)).all()
    assert (days[stays > 0] % stays[stays > 0] == 0).all()
    assert (days <= 7 * stays).all()
    assert np.array_equal(rows.had_major_procedure, ((rows.proc_surgery_count > 0) | (days > 3)).astype(int))


def test_dependents_are_the_household_less_one_or_a_couple(rows):
    married = rows.marital_status == "Married"
    assert np.array_equal(rows.dependents, rows.household_size - 1 - married)
    smaller = (rows.household_size - 2).clip(lower=0)
    assert (rows.dependents.eq(smaller) | rows.dependents.eq(rows.household_size - 1)).all()


def test_values_lie_on_their_grids(rows):
    assert (rows.income % 100 == 0).all()
    for name, decimals in {"bmi": 1, "ldl": 1, "systolic_bp": 0, "diastolic_bp": 0, "hba1c": 2}.items():
        assert np.array_equal(rows[name], rows[name].round(decimals))
    for name in ("provider_quality", "annual_medical_cost", "annual_premium", "monthly_premium", "avg_claim_amount"):
        assert np.array_equal(rows[name], rows[name].round(2))
    assert rows[list(FLAGS)].isin([0, 1]).all(axis=None)


@pytest.mark.parametrize("seed", range(5))
def test_bmi_meets_its_bars(seed):
    # Standard errors at n = 100,000: mean .016, sd .011, 90th percentile .027; the bars are 3 of them or more.
    bmi = synthetic.generate(seed=seed).bmi
    assert abs(bmi.mean() - 26.99) <= 0.05
    assert abs(bmi.std() - 4.99) <= 0.05
    assert abs(bmi.quantile(0.9) - 33.4) <= 0.1 + 1e-9
    assert bmi.min() == 12.0
    assert 45 < bmi.max() <= 50.4


def test_bmi_is_normal_between_its_limits(table):
    inside = table.bmi[(table.bmi > 12.05) & (table.bmi < 50)]
    points = np.arange(15, 41) + 0.05  # between grid values, so that rounding moves nothing across
    empirical = np.searchsorted(np.sort(inside), points) / len(table) + (table.bmi <= 12.05).mean()
    # Dvoretzky-Kiefer-Wolfowitz: the distance exceeds this with probability below 1e-6.
    assert np.abs(empirical - stats.norm(26.99, 5).cdf(points)).max() <= np.sqrt(np.log(2 / 1e-6) / (2 * len(table)))


def test_bmi_depends_on_little_but_risk_score(table):
    correlation = table[NUMERIC].corrwith(table.bmi).drop("bmi").abs()
    # The published sizes: .11 with risk_score, .04 with premium and cost, below .03 with the rest.
    assert 0.08 <= correlation["risk_score"] <= 0.14
    costs = ["annual_premium", "monthly_premium", "annual_medical_cost"]
    assert correlation[costs].max() <= 0.06
    assert correlation.drop([*costs, "risk_score", "is_high_risk"]).max() <= 0.03


def test_bmi_over_30_is_read_off_risk_score_and_three_columns(table):
    """The leak: invert the rule without looking at BMI, on the rows that are not clipped."""
    points = (table.risk_score * 91).round()
    rest = (table.age - 18).clip(lower=0) + 25 * (table.smoker == "Current") + 18 * table.chronic_count
    visible = points < 91
    assert np.array_equal((points - rest)[visible] > 4, (table.bmi > 30)[visible])
    assert 0.02 <= (~visible).mean() <= 0.08


@pytest.mark.parametrize("name", PUBLISHED)
def test_marginal_matches_the_published_statistics(table, name):
    """Mean within .03 sd (over 4 standard errors of the smaller sample), sd within 6 %, quartiles within .05 sd.

    Few rows lie beyond the published extremes. Under one law the order of both samples together is any with equal
    probability, so that k of our 100,000 rows are beyond the extreme of 22,000 has probability (100 / 122)^k at most:
    below 1e-6 for k = 71. How far beyond they lie is not bounded: maxima of heavy tails differ between samples.
    """
    mean, sd, lower, median, upper, low, high = PUBLISHED[name]
    values = table[name]
    assert abs(values.mean() - mean) <= 0.03 * sd
    assert abs(values.std() / sd - 1) <= 0.06
    if name not in ("deductible", "copay"):  # there the third quartile falls on the jump between two levels
        # A quartile of counts may fall on the next integer.
        grid = 1 if name in INTEGER else 0
        found = values.quantile([0.25, 0.5, 0.75])
        assert np.abs(found - [lower, median, upper]).max() <= max(0.05 * sd, grid)
    assert (values < low).sum() <= 70
    assert (values > high).sum() <= 70


@pytest.mark.parametrize("name", DISEASES)
def test_prevalence_is_the_published_one(table, name):
    published = synthetic.PREVALENCE[name]
    error = np.sqrt(2 * published * (1 - published) / len(table))  # both are samples of 100,000
    assert abs(table[name].mean() - published) <= 4.5 * error  # exceeded with probability below 1e-5


@pytest.mark.parametrize("name", CATEGORICAL)
def test_category_frequencies_are_the_published_ones(table, name):
    published = pd.Series(synthetic.FREQUENCIES[name])
    found = table[name].value_counts().reindex(published.index)
    assert published.sum() == 100_000
    assert stats.chi2_contingency([published, found]).pvalue > 1e-4


def test_disease_and_blood_pressure_rise_with_age(table):
    old, young = table[table.age > 65], table[table.age < 45]
    assert old.hypertension.mean() > 1.3 * young.hypertension.mean()
    assert old.systolic_bp.mean() > young.systolic_bp.mean() + 10
    by_hypertension = table.groupby("hypertension").systolic_bp.mean()
    assert 18 <= by_hypertension[1] - by_hypertension[0] <= 24
    assert table.groupby("diabetes").hba1c.mean()[1] > 7.5


@pytest.mark.parametrize("name", NUMERIC)
def test_real_rows_could_come_from_the_generator(real, table, name):
    # Two-sample Kolmogorov-Smirnov at level 1e-4; over 43 columns a false alarm has probability below .5 %.
    assert stats.ks_2samp(real[name], table[name]).pvalue > 1e-4


@pytest.mark.parametrize("name", CATEGORICAL)
def test_real_categories_could_come_from_the_generator(real, table, name):
    counts = pd.concat([real[name].value_counts(), table[name].value_counts()], axis=1).fillna(0)
    assert stats.chi2_contingency(counts.T).pvalue > 1e-4


def test_rank_correlations_are_those_of_real_rows(real, table):
    # Noise of 5,000 rows has standard error .014; over 900 pairs 5 of them are exceeded with probability below 1e-3.
    difference = real[NUMERIC].corr(method="spearman") - table[NUMERIC].corr(method="spearman")
    assert difference.abs().max(axis=None) <= 0.071


def test_a_classifier_cannot_tell_real_rows_from_generated_ones(real, table):
    rows = pd.concat([real, table.iloc[: len(real)]], ignore_index=True).drop(columns="person_id")
    for name in CATEGORICAL:
        rows[name] = rows[name].astype("category").cat.codes
    is_real = np.arange(len(rows)) < len(real)
    order = np.random.default_rng(0).permutation(len(rows))
    train, test = np.array_split(order, 2)
    model = HistGradientBoostingClassifier(max_iter=25, random_state=0).fit(rows.iloc[train], is_real[train])
    area = roc_auc_score(is_real[test], model.predict_proba(rows.iloc[test])[:, 1])
    # An idle classifier has area .5 with standard error .008; 4 of them, plus a hundredth for weak dependence left out.
    assert area <= 0.5 + 4 * 0.0082 + 0.01


def test_no_real_row_is_copied(real, table):
    keys = ["age", "income", "bmi", "ldl", "annual_medical_cost"]
    assert len(real[keys].merge(table[keys], on=keys)) == 0
