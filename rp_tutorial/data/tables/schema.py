"""The 54 columns of the insurance table: names, order, kinds, what a valid value is.

Both the reader (`insurance.py`) and the generator (`synthetic.py`) take the columns from here, so that a generated
file and a downloaded one cannot drift apart. No rows and no statistics live here.

The source is the printed outputs of public notebooks on the Kaggle data set
mohankrishnathalla/medical-insurance-cost-prediction (100,000 rows, itself synthetic).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandera.pandas as pa

DISEASES = (
    "hypertension",
    "diabetes",
    "asthma",
    "copd",
    "cardiovascular_disease",
    "cancer_history",
    "kidney_disease",
    "liver_disease",
    "arthritis",
    "mental_health",
)
PROCEDURES = (
    "proc_imaging_count",
    "proc_surgery_count",
    "proc_physio_count",
    "proc_consult_count",
    "proc_lab_count",
)
COLUMNS = (
    "person_id",
    "age",
    "sex",
    "region",
    "urban_rural",
    "income",
    "education",
    "marital_status",
    "employment_status",
    "household_size",
    "dependents",
    "bmi",
    "smoker",
    "alcohol_freq",
    "visits_last_year",
    "hospitalizations_last_3yrs",
    "days_hospitalized_last_3yrs",
    "medication_count",
    "systolic_bp",
    "diastolic_bp",
    "ldl",
    "hba1c",
    "plan_type",
    "network_tier",
    "deductible",
    "copay",
    "policy_term_years",
    "policy_changes_last_2yrs",
    "provider_quality",
    "risk_score",
    "annual_medical_cost",
    "annual_premium",
    "monthly_premium",
    "claims_count",
    "avg_claim_amount",
    "total_claims_paid",
    "chronic_count",
    *DISEASES,
    *PROCEDURES,
    "is_high_risk",
    "had_major_procedure",
)
CATEGORICAL = (
    "sex",
    "region",
    "urban_rural",
    "education",
    "marital_status",
    "employment_status",
    "smoker",
    "alcohol_freq",
    "plan_type",
    "network_tier",
)
DECIMAL = (
    "income",
    "bmi",
    "systolic_bp",
    "diastolic_bp",
    "ldl",
    "hba1c",
    "provider_quality",
    "risk_score",
    "annual_medical_cost",
    "annual_premium",
    "monthly_premium",
    "avg_claim_amount",
    "total_claims_paid",
)
INTEGER = tuple(name for name in COLUMNS if name not in CATEGORICAL and name not in DECIMAL)
FLAGS = (*DISEASES, "is_high_risk", "had_major_procedure")

SMOKER_LEVELS = ("Never", "Former", "Current")
BMI_RANGE = (10.0, 80.0)  # kg/m^2; outside it a number is a unit error or a typing error, not a patient
AGE_RANGE = (0, 120)
UNIT_RANGE = (0, 1)
MOST_LEVELS = 64  # a column with more levels is free text, and one-hot would give each row its own feature


@functools.cache
def csv_schema() -> pa.DataFrameSchema:
    """The pandera schema of a table as read: numbers as float64, text as text, nothing missing.

    Levels of a categorical column are open (another extract may have a plan this one has not; one-hot encoding
    does not care), except `smoker`: the rule behind `risk_score` reads it, so an unknown level would be silently wrong.
    Each check's `error` ends the sentence "column 'x': got ..., allowed is".
    """
    import pandera.pandas as pa  # a second of import time, needed by the reader alone

    columns = {name: _text_column(pa, name) if name in CATEGORICAL else _number_column(pa, name) for name in COLUMNS}
    return pa.DataFrameSchema(columns, strict=False)


def _text_column(pa, name: str) -> pa.Column:
    if name == "smoker":
        return pa.Column(checks=pa.Check.isin(SMOKER_LEVELS, error="one of " + ", ".join(SMOKER_LEVELS)))
    few_levels = pa.Check(lambda column: column.nunique() <= MOST_LEVELS, error=f"at most {MOST_LEVELS} categories")
    return pa.Column(checks=few_levels)


def _number_column(pa, name: str) -> pa.Column:
    low, high, allowed = _bounds(name)
    checks = [pa.Check.in_range(low, high, error=allowed)]
    if name in INTEGER:
        checks.append(pa.Check(lambda column: column == column.round(), error="a whole number"))
    return pa.Column(float, checks=checks)


def _bounds(name: str) -> tuple[float, float, str]:
    """Lowest and highest value that is not absurd, and how to say so."""
    largest = 1e15  # keeps infinities out and integers exact in float64
    if name == "bmi":
        return *BMI_RANGE, "a number from 10 to 80 (kg/m^2)"
    if name == "age":
        return *AGE_RANGE, "a number from 0 to 120 (years)"
    if name in FLAGS:
        return *UNIT_RANGE, "0 or 1"
    if name == "risk_score":
        return *UNIT_RANGE, "a number from 0 to 1"
    return 0.0, largest, "a finite number of at least 0"
