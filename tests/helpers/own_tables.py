"""Tables in the shapes that people have, made here: seeded rows with the columns of files that are public."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

ROWS = 400


def insurance(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """The seven columns of insurance.csv: age, sex, bmi, children, smoker, region, charges."""
    draw = np.random.default_rng(seed)
    age, bmi = draw.integers(18, 65, rows), draw.normal(30.7, 6.1, rows).clip(16, 53).round(2)
    smoker = draw.random(rows) < 0.2
    charges = 250 * age + 300 * (bmi - 30) + 20_000 * smoker + draw.exponential(3000, rows)
    return pd.DataFrame({
        "age": age,
        "sex": draw.choice(["female", "male"], rows),
        "bmi": bmi,
        "children": draw.integers(0, 6, rows),
        "smoker": np.where(smoker, "yes", "no"),
        "region": draw.choice(["northeast", "northwest", "southeast", "southwest"], rows),
        "charges": charges.round(4).clip(1121.8739),
    })  # fmt: skip


def pima(rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """Eight numbers and Outcome, 0 or 1; a zero of Glucose, BloodPressure or BMI is a value that nobody took."""
    draw = np.random.default_rng(seed)
    glucose, bmi = draw.normal(121, 30, rows).clip(44, 199).round(), draw.normal(32, 7, rows).clip(18, 67).round(1)
    chance = 1 / (1 + np.exp(-0.05 * (glucose - 130) - 0.1 * (bmi - 33)))
    frame = pd.DataFrame({
        "Pregnancies": draw.integers(0, 14, rows),
        "Glucose": glucose,
        "BloodPressure": draw.normal(72, 12, rows).clip(24, 122).round(),
        "SkinThickness": draw.normal(29, 10, rows).clip(7, 99).round(),
        "Insulin": draw.normal(155, 60, rows).clip(14, 846).round(),
        "BMI": bmi,
        "DiabetesPedigreeFunction": draw.gamma(2, 0.23, rows).clip(0.078, 2.42).round(3),
        "Age": draw.integers(21, 82, rows),
        "Outcome": (draw.random(rows) < chance).astype(int),
    })  # fmt: skip
    frame = frame.astype({"Glucose": int, "BloodPressure": int, "SkinThickness": int, "Insulin": int})
    for name, share in {"Glucose": 0.01, "BloodPressure": 0.04, "BMI": 0.02}.items():
        frame.loc[draw.random(rows) < share, name] = 0
    return frame


def adult(rows: int = ROWS, seed: int = 0) -> str:
    """The text of adult.data: no header, blanks behind the commas, "?" for what is missing, an empty last line."""
    draw = np.random.default_rng(seed)
    age, hours = draw.integers(17, 91, rows), draw.integers(1, 100, rows)
    years, married = draw.integers(1, 17, rows), draw.random(rows) < 0.5
    rich = draw.random(rows) < 1 / (1 + np.exp(-0.4 * (years - 11) - 0.05 * (age - 45) - 2 * married + 1))
    columns = [
        age,
        draw.choice(["Private", "State-gov", "Self-emp-inc", "?"], rows, p=[0.7, 0.15, 0.1, 0.05]),
        draw.integers(12_285, 1_484_705, rows),
        draw.choice(["Bachelors", "HS-grad", "Masters", "11th"], rows),
        years,
        np.where(married, "Married-civ-spouse", "Never-married"),
        draw.choice(["Sales", "Tech-support", "Craft-repair", "?"], rows, p=[0.4, 0.3, 0.25, 0.05]),
        draw.choice(["Husband", "Not-in-family", "Own-child"], rows),
        draw.choice(["White", "Black", "Other"], rows),
        draw.choice(["Male", "Female"], rows),
        np.where(draw.random(rows) < 0.1, draw.integers(100, 99_999, rows), 0),
        np.where(draw.random(rows) < 0.05, draw.integers(100, 4356, rows), 0),
        hours,
        draw.choice(["United-States", "Mexico", "?"], rows, p=[0.9, 0.08, 0.02]),
        np.where(rich, ">50K", "<=50K"),
    ]
    return "\n".join(", ".join(map(str, row)) for row in zip(*columns, strict=True)) + "\n\n"


def ward(rows: int = ROWS, seed: int = 0) -> str:
    """A spreadsheet's export: semicolons, decimal commas, a BOM's worth of umlauts, levels called NA and None."""
    draw = np.random.default_rng(seed)
    weight = draw.normal(78, 14, rows).clip(40, 140).round(1)
    frame = pd.DataFrame({
        "Fall": [f"A-{i:05d}" for i in range(rows)],
        "Größe": draw.normal(1.72, 0.09, rows).round(2),
        "Gewicht": weight,
        "Allergie": draw.choice(["NA", "None", "Nüsse"], rows),
        "Station": draw.choice(["Nord", "Süd"], rows),
        "Diät": np.where(weight + draw.normal(0, 6, rows) > 88, "ja", "nein"),
    })  # fmt: skip
    return frame.to_csv(index=False, sep=";", decimal=",")


INSURANCE = {
    "attribute": "bmi",
    "unit": "kg/m^2",
    "domain": [10, 60],
    "numeric": ["age", "children", "charges"],
    "categorical": ["sex", "smoker", "region"],
    "label": {"quantile": 0.9},
}
PIMA = {
    "attribute": "BMI",
    "unit": "kg/m^2",
    "domain": [10, 70],
    "label": {"column": "Outcome"},
    "numeric": ["Pregnancies", "Glucose", "BloodPressure", "DiabetesPedigreeFunction", "Age"],
    "left_out": ["SkinThickness", "Insulin"],
    "missing": {"values": {"BMI": [0], "Glucose": [0], "BloodPressure": [0]}, "treat": "drop"},
}
ADULT = {
    "columns": [
        "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship",
        "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income",
    ],
    "attribute": "age", "unit": "years", "domain": [16, 91], "label": {"column": "income", "positive": ">50K"},
    "numeric": ["education-num", "capital-gain", "capital-loss", "hours-per-week"],
    "categorical": [
        "workclass", "education", "marital-status", "occupation", "relationship", "race", "sex", "native-country",
    ],
    "left_out": ["fnlwgt"], "missing": {"cells": ["?"], "treat": "drop"},
}  # fmt: skip
WARD = {
    "attribute": "Gewicht",
    "unit": "kg",
    "domain": [30, 150],
    "decimal": ",",
    "label": {"column": "Diät", "positive": "ja"},
    "numeric": ["Größe"],
    "categorical": ["Allergie", "Station"],
    "left_out": ["Fall"],
}


def by_rule(schema: dict, **rule: float) -> dict:
    """The schema with a rule about its attribute for the label; what was the label is left out."""
    was = [schema["label"]["column"]] if "column" in schema["label"] else []
    return schema | {"label": rule, "left_out": [*schema.get("left_out", []), *was]}


def toml_of(schema: dict) -> str:
    """A schema as TOML: JSON but for the equal signs and infinity."""

    def shown(value: object) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(key)} = {shown(part)}" for key, part in value.items()) + "}"
        return json.dumps(value, ensure_ascii=False).replace("Infinity", "inf")

    return "\n".join(f"{key} = {shown(value)}" for key, value in schema.items())
