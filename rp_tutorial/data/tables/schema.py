"""The 54 columns of the insurance table: names, order, kinds, what a valid value is.

Both the reader (`insurance.py`) and the generator (`synthetic.py`) take the columns from here, so that a generated
file and a downloaded one cannot drift apart. No rows and no statistics live here.

The source is the printed outputs of public notebooks on the Kaggle data set
mohankrishnathalla/medical-insurance-cost-prediction (100,000 rows, itself synthetic).
"""

import functools
from typing import Any

KINDS = {  # diseases and flags are 0 or 1; procedures are counted
    "person_id": "whole",
    "age": "whole",
    "sex": "text",
    "region": "text",
    "urban_rural": "text",
    "income": "decimal",
    "education": "text",
    "marital_status": "text",
    "employment_status": "text",
    "household_size": "whole",
    "dependents": "whole",
    "bmi": "decimal",
    "smoker": "text",
    "alcohol_freq": "text",
    "visits_last_year": "whole",
    "hospitalizations_last_3yrs": "whole",
    "days_hospitalized_last_3yrs": "whole",
    "medication_count": "whole",
    "systolic_bp": "decimal",
    "diastolic_bp": "decimal",
    "ldl": "decimal",
    "hba1c": "decimal",
    "plan_type": "text",
    "network_tier": "text",
    "deductible": "whole",
    "copay": "whole",
    "policy_term_years": "whole",
    "policy_changes_last_2yrs": "whole",
    "provider_quality": "decimal",
    "risk_score": "decimal",
    "annual_medical_cost": "decimal",
    "annual_premium": "decimal",
    "monthly_premium": "decimal",
    "claims_count": "whole",
    "avg_claim_amount": "decimal",
    "total_claims_paid": "decimal",
    "chronic_count": "whole",
    "hypertension": "disease",
    "diabetes": "disease",
    "asthma": "disease",
    "copd": "disease",
    "cardiovascular_disease": "disease",
    "cancer_history": "disease",
    "kidney_disease": "disease",
    "liver_disease": "disease",
    "arthritis": "disease",
    "mental_health": "disease",
    "proc_imaging_count": "procedure",
    "proc_surgery_count": "procedure",
    "proc_physio_count": "procedure",
    "proc_consult_count": "procedure",
    "proc_lab_count": "procedure",
    "is_high_risk": "flag",
    "had_major_procedure": "flag",
}
COLUMNS = tuple(KINDS)
CATEGORICAL = tuple(name for name in COLUMNS if KINDS[name] == "text")
INTEGER = tuple(name for name in COLUMNS if KINDS[name] not in ("text", "decimal"))
DISEASES = tuple(name for name in COLUMNS if KINDS[name] == "disease")
PROCEDURES = tuple(name for name in COLUMNS if KINDS[name] == "procedure")
FLAGS = tuple(name for name in COLUMNS if KINDS[name] in ("disease", "flag"))

SMOKER_LEVELS = ("Never", "Former", "Current")
MOST_LEVELS = 64  # a column with more levels is free text, and one-hot would give each row its own feature
# Lowest and highest value that is not absurd, and how to say so.
BOUNDS = {
    "bmi": (10, 80, "a number from 10 to 80 (kg/m^2)"),  # outside: an error of unit or typing, not a patient
    "age": (0, 120, "a number from 0 to 120 (years)"),
    "risk_score": (0, 1, "a number from 0 to 1"),
    **dict.fromkeys(FLAGS, (0, 1, "0 or 1")),
}
OTHER_BOUNDS = (0, 1e15, "a finite number of at least 0")  # keeps infinities out and integers exact in float64


@functools.cache
def csv_schema() -> Any:
    """The pandera schema of a table as read: numbers as float64, text as text, nothing missing.

    Levels of a categorical column are open (another extract may have a plan this one has not; one-hot encoding
    does not care), except `smoker`: the rule behind `risk_score` reads it, so an unknown level would be silently wrong.
    Each check's `error` ends the sentence "column 'x': got ..., allowed is".
    """
    import pandera.pandas as pa  # a second of import time, needed by the reader alone

    def checks(name: str) -> list[pa.Check]:
        if name == "smoker":
            return [pa.Check.isin(SMOKER_LEVELS, error="one of " + ", ".join(SMOKER_LEVELS))]
        if name in CATEGORICAL:
            few = f"at most {MOST_LEVELS} categories"
            return [pa.Check(lambda column: column.nunique() <= MOST_LEVELS, error=few)]
        low, high, allowed = BOUNDS.get(name, OTHER_BOUNDS)
        whole = [pa.Check(lambda column: column == column.round(), error="a whole number")] if name in INTEGER else []
        return [pa.Check.in_range(low, high, error=allowed), *whole]

    types = {name: None if name in CATEGORICAL else float for name in COLUMNS}
    return pa.DataFrameSchema({name: pa.Column(types[name], checks=checks(name)) for name in COLUMNS})
