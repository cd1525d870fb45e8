"""Tables of any shape beside their schemas, made wrong at random, for `python -m tools.fuzz`."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import numpy as np
from numpy.random import Generator

from rp_tutorial.data.tables.describe import describe
from rp_tutorial.data.tables.people import PeopleTable
from rp_tutorial.data.tables.sources import load_table
from tools.fuzz.faces import Try
from tools.fuzz.mutations import mutated, mutated_value, one_of

ROWS = 101
SCHEMA = {
    "attribute": "bmi", "unit": "kg/m^2", "domain": [10, 60], "near": 1, "numeric": ["age"], "categorical": ["sex"],
    "left_out": ["id"], "decimal": ".", "label": {"column": "ill", "positive": "yes"},
    "missing": {"cells": ["?"], "values": {"age": [0]}, "treat": "drop"},
}  # fmt: skip
TOML = """attribute = "bmi"
unit = "kg/m^2"
domain = [10, 60]
numeric = ["age"]
categorical = ["sex"]
left_out = ["id", "ill"]
[label]
quantile = 0.9
[missing]
cells = ["?", "NA"]
treat = "category"
"""


def written(separator: str) -> bytes:
    """Five columns, rows of all kinds among them."""
    draw, text = np.random.default_rng(0), StringIO()
    rows = csv.writer(text, delimiter=separator, lineterminator="\n")
    rows.writerow(["id", "age", "sex", "bmi", "ill"])
    for i in range(ROWS):
        bmi, age = round(float(draw.normal(27, 4)), 1), int(draw.integers(18, 90))
        rows.writerow([i, age, one_of(("f", "m", "NA"), draw), bmi, one_of(("yes", "no"), draw)])
    return text.getvalue().encode()


TABLES = [written(separator) for separator in ",;\t|"]


def own_table(folder: Path) -> Try:
    """A CSV and its schema, one or both changed, the schema as a dict or as the text of a file."""
    path, toml = folder / "table.csv", folder / "schema.toml"

    def attempt(rng: Generator) -> None:
        which = int(rng.integers(3))
        path.write_bytes(mutated(one_of(TABLES, rng), rng) if which else one_of(TABLES, rng))
        if rng.random() < 0.5:
            toml.write_bytes(mutated(TOML.encode(), rng) if which != 1 else TOML.encode())
            checked(load_table(path, schema=toml))
        else:
            schema = mutated_value(SCHEMA, rng) if which != 1 else SCHEMA
            checked(load_table(path, schema=schema if isinstance(schema, dict) else {}))

    return attempt


def checked(table: PeopleTable) -> None:
    """Whatever was accepted is a table that an experiment can use."""
    (low, high), values = table.domain, table.frame[table.attribute]
    assert len(table.frame) >= 100
    assert low <= values.min() < values.max() <= high
    assert 0 < table.near < high - low
    assert table.attribute in table.numeric
    assert np.isfinite(table.frame[list(table.numeric)].to_numpy(dtype=float)).all()
    assert not table.frame.isna().to_numpy().any()
    assert table.label.column is None or set(table.frame[table.label.column]) == {0, 1}
    assert not {table.label.column} & {*table.numeric, *table.categorical}
    json.dumps([table.attribute, table.unit]).encode()


def described(folder: Path) -> Try:
    """A CSV that nobody has said anything of: what is written of it is read again, and holds."""
    path, toml = folder / "table.csv", folder / "schema.toml"

    def attempt(rng: Generator) -> None:
        path.write_bytes(mutated(one_of(TABLES, rng), rng))
        toml.write_text(describe(path), encoding="utf-8")
        checked(load_table(path, schema=toml))

    return attempt
