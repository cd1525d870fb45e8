"""A seeded stand-in for the Kaggle insurance table: all 54 columns, drawn, not copied.

Reproduced. The marginal of every column, to the published statistics (tables below). Exactly, in every row: the
`risk_score` rule and `is_high_risk`; `chronic_count`, `monthly_premium`, `total_claims_paid`; the premium as a base
plus shares of deductible and cost; `dependents`; days in hospital as a whole multiple of stays; `had_major_procedure`.
As models fitted to public rows: disease with age, blood pressure with age and hypertension, LDL with age, HbA1c with
diabetes; visits, medication, stays and procedures with the number of diseases; claims with visits and diseases; cost
with age, smoking, diseases, BMI above 30, days in hospital and visits; household size with marriage.
BMI is independent of everything but `risk_score` and, weakly, cost, premium and claims.

Not reproduced. Age against employment or marriage, income against education, and the like, because the public rows
show none either. Any dependence too weak to see in 5,000 rows. Tails beyond the published extremes.

Only statistics of the public data set enter here; no row of it does.
"""

import numpy as np
import pandas as pd

from rp_tutorial.core.arguments import count
from rp_tutorial.core.streams import Purpose, numpy_generator
from rp_tutorial.data.tables.schema import COLUMNS, DISEASES, PROCEDURES

# --- Published frequencies, all 100,000 rows -------------------------------------------------------------------------
# Source: value counts printed in the notebook insurance_claim_analysis.ipynb, github.com/ellatuanzi/
# MedicalInsuranceCostPrediction. pandas reads alcohol_freq "None" as missing; here it is its own category.
FREQUENCIES = {
    "sex": {"Female": 49193, "Male": 48794, "Other": 2013},
    "region": {"South": 28029, "North": 22027, "East": 19984, "West": 17879, "Central": 12081},
    "urban_rural": {"Urban": 60019, "Suburban": 25021, "Rural": 14960},
    "education": {
        "Bachelors": 27996,
        "Some College": 25112,
        "HS": 24827,
        "Masters": 13987,
        "No HS": 5120,
        "Doctorate": 2958,
    },
    "marital_status": {"Married": 53252, "Single": 35715, "Divorced": 6984, "Widowed": 4049},
    "employment_status": {"Employed": 55269, "Retired": 19864, "Unemployed": 12939, "Self-employed": 11928},
    "smoker": {"Never": 69709, "Former": 18163, "Current": 12128},
    "alcohol_freq": {"Occasional": 45078, "None": 30083, "Weekly": 19833, "Daily": 5006},
    "plan_type": {"PPO": 35167, "HMO": 34723, "EPO": 15121, "POS": 14989},
    "network_tier": {"Silver": 40177, "Bronze": 29932, "Gold": 19882, "Platinum": 10009},
}
# Shares in per cent that give the published means and standard deviations of these two columns.
DEDUCTIBLE_SHARES = {500: 35, 1000: 40, 2000: 20, 5000: 5}
COPAY_SHARES = {10: 40, 20: 35, 30: 20, 50: 5}
PREVALENCE = {  # means of the ten disease flags, same source
    "hypertension": 0.20345,
    "diabetes": 0.08593,
    "asthma": 0.05887,
    "copd": 0.03595,
    "cardiovascular_disease": 0.05117,
    "cancer_history": 0.02151,
    "kidney_disease": 0.01462,
    "liver_disease": 0.01477,
    "arthritis": 0.10831,
    "mental_health": 0.13014,
}

# --- Parameters that reproduce the published mean, standard deviation, quartiles, minimum and maximum ----------------
AGE_MEAN, AGE_SD, AGE_MAX = 48, 16, 100  # years; cut off, not rounded: quartiles 37, 48, 58
INCOME_LOG_MEAN, INCOME_LOG_SD, INCOME_MIN = 10.5, 0.8, 1_100  # on a grid of 100
BMI_MEAN, BMI_SD, BMI_FLOOR, BMI_CEILING = 26.99, 5.0, 12.0, 50.4  # kg/m^2
LDL_SD, LDL_FLOOR = 30.0, 30.0  # mg/dl
QUALITY_MEAN, QUALITY_SD, QUALITY_RANGE = 3.58, 0.59, (1.5, 5.0)
POLICY_CHANGE_RATE, POLICY_TERM_MAX = 0.05, 10

# --- Dependences, fitted to public rows -------------------------------------------------------------------------------
EXTRA_PEOPLE_RATE = 0.9  # household members beyond the person and, if married, the spouse
DISEASE_AGE, DISEASE_GROWTH = 45, 0.024  # flat up to this age, then this much of the flat rate more per year
# Rates a person and a disease. Visits: *one* Poisson draw times the number of diseases. Procedures: one coin times it.
VISITS, MEDICATION, STAYS, STAYS_MAX = (1.2, 1.0), (0.8, 0.6), (0.0755, 0.025), 3
PROCEDURE_RATE = dict.fromkeys(PROCEDURES, 0.40) | {"proc_surgery_count": 0.05}
PROCEDURE_COIN = 0.15
LONGEST_STAY, MAJOR_STAY_DAYS = 7, 3  # days a stay; a record with more days than the second counts as major
CLAIMS_PER_VISIT, CLAIMS_PER_VISIT_AND_DISEASE, CLAIM_RATE_MAX = 0.5, 0.25, 10
CLAIM_SHARE = (0.6, 1.4)  # of the cost per claim, with one claim more in the denominator
COST_LOG_SD = 0.75
PREMIUM_BASE, PREMIUM_PER_DEDUCTIBLE, PREMIUM_PER_COST = 200, 0.01, 0.12
TIER_FACTOR = {"Bronze": 0.80, "Silver": 1.00, "Gold": 1.20, "Platinum": 1.45}

# --- The deterministic score: the rule that every public row follows, but for one last digit ------------------------
# At exactly 50 points the public rows read 0.5494 where 50/91 = 0.549451 rounds to 0.5495. Nothing depends on it.
RISK_POINTS, HIGH_RISK = 91, 0.6


def generate(n_rows: int = 100_000, *, seed: int = 0) -> pd.DataFrame:
    """A table with the published marginals in which every identity of the real table holds in every row.

    Rows are independent draws; the same `n_rows` and `seed` give the same table. All 54 columns stand in the file's
    order and dtypes; `person_id` is a shuffled 1..n_rows. BMI is in kg/m^2, money in the file's unit, the missing
    category of `alcohol_freq` is the string "None".
    Raises InputError for an `n_rows` below 1 or a negative seed.
    """
    n_rows = count("n_rows", n_rows)
    rng = numpy_generator(Purpose.INSURED, seed)
    table: dict[str, np.ndarray] = {"person_id": rng.permutation(n_rows) + 1}
    for name, frequencies in FREQUENCIES.items():
        table[name] = _categories(rng, frequencies, n_rows)
    _add_person(table, rng, n_rows)
    _add_health(table, rng, n_rows)
    _add_care(table, rng, n_rows)
    _add_policy(table, rng, n_rows)
    _add_money(table, rng, n_rows)
    return pd.DataFrame({name: table[name] for name in COLUMNS})


def risk_score(age: np.ndarray, bmi: np.ndarray, smoker: np.ndarray, chronic_count: np.ndarray) -> np.ndarray:
    """The score in [0, 1] that the data set derives from four other columns, to four decimals.

    A point for each year above 18, 8 for BMI > 30, 25 for a current smoker, 18 for each chronic disease, out of 91.
    It leaks the bit "BMI > 30" to whoever knows the other three (chapter insurance/bmi-threshold).
    """
    points = np.maximum(age - 18, 0) + 8 * (bmi > 30) + 25 * (smoker == "Current") + 18 * chronic_count
    return np.round(np.minimum(points, RISK_POINTS) / RISK_POINTS, 4)


def _add_person(table: dict, rng: np.random.Generator, n: int) -> None:
    table["age"] = np.clip(np.floor(rng.normal(AGE_MEAN, AGE_SD, n)), 0, AGE_MAX).astype(np.int64)
    income = np.exp(rng.normal(INCOME_LOG_MEAN, INCOME_LOG_SD, n))
    table["income"] = np.maximum(np.round(income / 100) * 100, INCOME_MIN)
    others = rng.poisson(EXTRA_PEOPLE_RATE, n)
    married = table["marital_status"] == "Married"
    table["household_size"] = others + 1 + married
    table["dependents"] = others  # household_size - 1, or - 2 beside a spouse
    bmi = np.clip(rng.normal(BMI_MEAN, BMI_SD, n), BMI_FLOOR, BMI_CEILING)
    table["bmi"] = np.round(bmi, 1)


def _add_health(table: dict, rng: np.random.Generator, n: int) -> None:
    age = table["age"]
    growth = 1 + DISEASE_GROWTH * np.maximum(age - DISEASE_AGE, 0)
    for name in DISEASES:
        flat_rate = PREVALENCE[name] / _mean_disease_growth()
        table[name] = (rng.random(n) < flat_rate * growth).astype(np.int64)
    table["chronic_count"] = sum(table[name] for name in DISEASES)
    hypertension, diabetes = table["hypertension"], table["diabetes"]
    table["systolic_bp"] = np.round(rng.normal(90.2 + 0.495 * age + 20.2 * hypertension, 9.95))
    table["diastolic_bp"] = np.round(rng.normal(63.3 + 0.167 * age + 11.7 * hypertension, 7.0))
    table["ldl"] = np.maximum(np.round(rng.normal(109.3 + 0.225 * age, LDL_SD), 1), LDL_FLOOR)
    hba1c_mean, hba1c_sd = np.where(diabetes, 7.8, 5.4), np.where(diabetes, 1.15, 0.4)
    table["hba1c"] = np.round(rng.normal(hba1c_mean, hba1c_sd), 2)
    table["risk_score"] = risk_score(age, table["bmi"], table["smoker"], table["chronic_count"])
    table["is_high_risk"] = (table["risk_score"] >= HIGH_RISK).astype(np.int64)


def _mean_disease_growth() -> float:
    """Mean of `growth` over the age distribution, so that the prevalences come out as published."""
    ages = np.arange(0, AGE_MAX + 1)
    weight = np.exp(-0.5 * ((ages + 0.5 - AGE_MEAN) / AGE_SD) ** 2)
    growth = 1 + DISEASE_GROWTH * np.maximum(ages - DISEASE_AGE, 0)
    return float(np.average(growth, weights=weight))


def _add_care(table: dict, rng: np.random.Generator, n: int) -> None:
    chronic = table["chronic_count"]
    table["visits_last_year"] = rng.poisson(VISITS[0], n) + chronic * rng.poisson(VISITS[1], n)
    table["medication_count"] = rng.poisson(MEDICATION[0] + MEDICATION[1] * chronic)
    stays = np.minimum(rng.poisson(STAYS[0] + STAYS[1] * chronic), STAYS_MAX)
    table["hospitalizations_last_3yrs"] = stays
    table["days_hospitalized_last_3yrs"] = stays * rng.integers(1, LONGEST_STAY + 1, n)
    for name, rate in PROCEDURE_RATE.items():
        table[name] = rng.poisson(rate, n) + chronic * (rng.random(n) < PROCEDURE_COIN)
    long_stay = table["days_hospitalized_last_3yrs"] > MAJOR_STAY_DAYS
    table["had_major_procedure"] = ((table["proc_surgery_count"] > 0) | long_stay).astype(np.int64)


def _add_policy(table: dict, rng: np.random.Generator, n: int) -> None:
    table["deductible"] = _categories(rng, DEDUCTIBLE_SHARES, n)
    table["copay"] = _categories(rng, COPAY_SHARES, n)
    table["policy_term_years"] = rng.integers(1, POLICY_TERM_MAX + 1, n)
    table["policy_changes_last_2yrs"] = rng.poisson(POLICY_CHANGE_RATE, n)
    table["provider_quality"] = np.round(np.clip(rng.normal(QUALITY_MEAN, QUALITY_SD, n), *QUALITY_RANGE), 2)


def _add_money(table: dict, rng: np.random.Generator, n: int) -> None:
    cost = np.round(_median_cost(table) * np.exp(rng.normal(0, COST_LOG_SD, n)), 2)
    tier = _look_up(TIER_FACTOR, table["network_tier"])
    premium = PREMIUM_BASE + PREMIUM_PER_DEDUCTIBLE * table["deductible"] + PREMIUM_PER_COST * tier * cost
    table["annual_medical_cost"] = cost
    table["annual_premium"] = np.round(premium, 2)
    table["monthly_premium"] = np.round(table["annual_premium"] / 12, 2)
    visits = table["visits_last_year"]
    rate = np.round(visits * (CLAIMS_PER_VISIT + CLAIMS_PER_VISIT_AND_DISEASE * table["chronic_count"]))
    rate = np.where(visits > 0, np.clip(rate, 1, CLAIM_RATE_MAX), 0)
    claims = rng.poisson(rate)
    each = np.round(cost * rng.uniform(*CLAIM_SHARE, n) / (claims + 1), 2)
    table["claims_count"] = claims
    table["avg_claim_amount"] = np.where(claims > 0, each, 0.0)
    table["total_claims_paid"] = np.round(claims * table["avg_claim_amount"], 2)


def _median_cost(table: dict) -> np.ndarray:
    """Median annual cost of a person, from a least-squares fit of log cost on public rows."""
    standing = 860 + 14.1 * np.maximum(table["age"] - 18, 0) + 210 * (table["bmi"] > 30) + 630 * table["chronic_count"]
    smoking = _look_up({"Never": 1.0, "Former": 1.16, "Current": 1.71}, table["smoker"])
    return standing * smoking + 360 * table["days_hospitalized_last_3yrs"] + 70 * table["visits_last_year"]


def _categories(rng: np.random.Generator, frequencies: dict, n: int) -> np.ndarray:
    """n independent draws with these relative frequencies."""
    weight = np.array(list(frequencies.values()), dtype=float)
    levels = list(frequencies)
    values = np.array(levels, dtype=np.int64 if isinstance(levels[0], int) else object)
    return values[rng.choice(len(levels), size=n, p=weight / weight.sum())]


def _look_up(values: dict[str, float], keys: np.ndarray) -> np.ndarray:
    return pd.Series(keys).map(values).to_numpy(dtype=float)
