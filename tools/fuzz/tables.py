"""Readers of tables for `tools.fuzz`: the insurance table, any with its schema, descriptions; as in `readers.py`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.random import Generator

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.tables.describe import describe
from rp_tutorial.data.tables.insurance import read_csv
from rp_tutorial.data.tables.people import MINIMUM_ROWS, PeopleTable
from rp_tutorial.data.tables.roles import read_schema
from rp_tutorial.data.tables.schema import COLUMNS, INTEGER
from rp_tutorial.data.tables.sources import load_table
from rp_tutorial.data.tables.synthetic import generate
from rp_tutorial.data.tables.tasks import table_task
from tools.fuzz.mutations import mutated, mutated_value, one_of

Try = Callable[[Generator], Exception | None]
HEADER = ("age", "sex", "bmi", "note", "smoker", "charges", "outcome")
SCHEMA = """# What the columns mean.
attribute = "bmi"
unit = "kg/m^2"
domain = [10.0, 60.0]
near = 1.0
numeric = ["age", "charges"]
categorical = ["sex", "smoker"]
left_out = ["note", "outcome"]

[label]
quantile = 0.75

[missing]
cells = ["?"]
values = { "age" = [0, "none"] }
treat = "drop"
"""
DECIDED = 'column = "outcome"\npositive = "yes"'


def insurance_table(folder: Path) -> Try:
    """A CSV of the 54 columns."""
    path = folder / "table.csv"
    frame = generate(100, seed=0)
    written = [frame.to_csv(index=False, sep=separator).encode() for separator in ",;\t"]

    def attempt(rng: Generator) -> None:
        path.write_bytes(mutated(one_of(written, rng), rng))
        found = read_csv(path)
        numbers = found.select_dtypes("number").to_numpy(float)
        assert tuple(found.columns) == COLUMNS
        assert len(found) >= MINIMUM_ROWS
        assert np.isfinite(numbers).all()
        assert not found.isna().to_numpy().any()
        assert (found[list(INTEGER)].dtypes == np.int64).all()

    return attempt


def own_table(folder: Path) -> Try:
    """A CSV of any shape with its schema, a TOML file or a dict; one of the two is wrong."""
    path, beside = folder / "table.csv", folder / "schema.toml"
    pairs = [
        (_csv(","), SCHEMA),
        (_csv(";", decimal=","), SCHEMA.replace("\n[label]", '\ndecimal = ","\n[label]')),
        (_csv("\t", header=False), f"columns = {list(HEADER)}\n" + SCHEMA.replace("quantile = 0.75", "above = 30")),
        (_csv("|"), SCHEMA.replace(', "outcome"', "").replace("quantile = 0.75", DECIDED)),
        (_csv(","), SCHEMA.replace('"drop"', '"category"')),
    ]

    def attempt(rng: Generator) -> None:
        table, schema = one_of(pairs, rng)
        how = rng.random()
        path.write_bytes(mutated(table, rng) if how < 0.5 else table)
        beside.write_bytes(mutated(schema.encode(), rng) if 0.5 <= how < 0.8 else schema.encode())
        said = beside if how < 0.8 else mutated_value(tomllib.loads(schema), rng)
        _check_table(load_table(path, schema=said))

    return attempt


def described(folder: Path) -> Try:
    """A CSV that is looked at; what is written about it can be read, and the table by it or one line says why not."""
    path, beside = folder / "table.csv", folder / "schema.toml"
    tables = [_csv(","), _csv(";", decimal=","), _csv("\t", header=False), _csv("|")]

    def attempt(rng: Generator) -> None:
        path.write_bytes(mutated(one_of(tables, rng), rng))
        beside.write_text(describe(path), encoding="utf-8")
        try:
            schema = read_schema(beside)
        except InputError as error:
            raise AssertionError(f"describes what it does not read: {error}") from error
        _check_table(load_table(path, schema=schema))

    return attempt


def _csv(separator: str, *, decimal: str = ".", header: bool = True) -> bytes:
    """A hundred and twenty people, some with a cell missing."""
    lines = [separator.join(HEADER)] if header else []
    for i in range(120):
        smoker, outcome = ("yes", "no", "?")[i % 3 if i < 9 else i % 2], ("no", "yes")[i % 7 > 4]
        cells = [str(18 + i % 50), ("female", "male")[i % 2], f"{18 + i * 37 % 250 / 10:.1f}", f"text {i}"]
        cells += [smoker, f"{1000 + i * 997 % 8191}.{i % 10}", outcome]
        lines.append(separator.join(cell.replace(".", decimal) if cell[:1].isdigit() else cell for cell in cells))
    return "\n".join(lines).encode()


def _check_table(table: PeopleTable) -> None:
    """Whatever was accepted is a table that an experiment can use."""
    frame, (low, high), values = table.frame, table.domain, table.frame[table.attribute]
    assert len(frame) >= MINIMUM_ROWS
    assert table.attribute in table.numeric
    assert np.isfinite(frame[list(table.numeric)].to_numpy(float)).all()
    assert not frame.isna().to_numpy().any()
    assert low <= values.min() < values.max() <= high
    assert 0 < table.near < high - low
    assert table.label.column is None or set(frame[table.label.column]) == {0, 1}
    assert table.label.column not in (*table.numeric, *table.categorical)
    task = table_task(table)
    assert bool(task.x_train.isfinite().all())
    assert set(task.y_train.tolist()) == {0, 1}
