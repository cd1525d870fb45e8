"""The one door to tables: a named source, a CSV of the insurance schema, or a CSV of any shape beside its schema.

Readers are in `insurance.py` and `own.py`, what a table is in `people.py`; tasks are made from it in `tasks.py`.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rp_tutorial.core.arguments import count, refuse
from rp_tutorial.core.streams import Purpose, numpy_generator
from rp_tutorial.data.tables.insurance import IDENTIFIER, read_csv
from rp_tutorial.data.tables.people import LEAKING, MINIMUM_ROWS, PeopleTable, fingerprint
from rp_tutorial.data.tables.registry import READERS, table_sources
from rp_tutorial.data.tables.synthetic import generate

if TYPE_CHECKING:
    from rp_tutorial.data.tables.roles import AnySchema


def load_table(
    source: str | os.PathLike, *, schema: AnySchema | None = None, rows: int | None = None, seed: int = 0
) -> PeopleTable:
    """The table from "synthetic", "diabetes", "kaggle" or the path of a CSV; without `schema`, one of the 54 columns.

    schema: the path of a TOML file, as `rp-tutorial data describe FILE.csv` writes it, or the same as a dict: what is
    private, what is decided, and which columns an onlooker knows, for a CSV of any shape.
    With `rows`, a seeded random subset of that many rows, in the source's order; for "synthetic", that many rows are
    generated. `seed` makes the synthetic rows and chooses the subset, and does nothing else.
    Raises InputError, one line, if the source cannot be read or is not what the schema says, if a named source is given
    a schema, or if `rows` is below 100 or above what the source has.

    >>> table = rp.load_table("synthetic", rows=1000)
    >>> table.attribute, table.unit, table.frame.shape
    ('bmi', 'kg/m^2', (1000, 54))

    Chapter: foundations/side-channel.
    """
    seed = count("seed", seed, minimum=0)
    if rows is not None:
        rows = count("rows", rows, minimum=MINIMUM_ROWS)
    name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else ""
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise refuse("data", source, "one of " + ", ".join(table_sources()) + ", or the path of a CSV file")
    if schema is not None:
        from rp_tutorial.data.tables.own import read_table  # pydantic, which a table of one's own needs alone
        from rp_tutorial.data.tables.roles import read_schema

        if name in table_sources():
            raise refuse("schema", schema, f"none for --data {name}, whose columns are known; it describes a CSV file")
        return _some_rows(read_table(name, read_schema(schema)), rows, seed)
    if name == "synthetic":
        return _insurance(generate(seed=seed) if rows is None else generate(rows, seed=seed), name)
    return _some_rows(_insurance(READERS[name]() if name in READERS else read_csv(name), name), rows, seed)


def load_at_most(
    source: str | os.PathLike, rows: int | None, *, schema: AnySchema | None = None, seed: int = 0
) -> PeopleTable:
    """`load_table`, but a source that has fewer than `rows` rows is used whole; None keeps every row."""
    if os.fspath(source) == "synthetic":
        return load_table(source, schema=schema, rows=rows, seed=seed)
    whole = load_table(source, schema=schema, seed=seed)
    return whole if rows is None or len(whole.frame) <= rows else _some_rows(whole, rows, seed)


def _insurance(frame: pd.DataFrame, name: str) -> PeopleTable:
    """A table with BMI in the column `bmi`: every column is a feature but the identifier and what leaks BMI."""
    features = [column for column in frame if column != IDENTIFIER and column not in LEAKING]
    numeric = tuple(column for column in features if pd.api.types.is_numeric_dtype(frame[column]))
    categorical = tuple(column for column in features if column not in numeric)
    return PeopleTable(frame, numeric, categorical, "bmi", "kg/m^2", name, fingerprint(frame))


def _some_rows(table: PeopleTable, rows: int | None, seed: int) -> PeopleTable:
    """A seeded random subset, in the table's order."""
    if rows is None:
        return table
    if rows > len(table.frame):
        raise refuse("rows", rows, f"at most {len(table.frame)}, all that the data have")
    kept = numpy_generator(Purpose.TABLE_ROWS, seed).choice(len(table.frame), size=rows, replace=False)
    frame = table.frame.iloc[np.sort(kept)].reset_index(drop=True)
    return dataclasses.replace(table, frame=frame, fingerprint=fingerprint(frame))
