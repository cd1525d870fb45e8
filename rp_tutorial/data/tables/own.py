"""A table of any shape, read by its schema: what is private, what is decided, which columns an onlooker knows.

A schema is a TOML file or a dict (`describe.py` writes one by looking at the file). Every column has one role, and
whatever the file and the schema do not agree on is refused in one line. Cells are text until the schema says otherwise,
so "NA" and "None" are levels like any other unless they are declared missing.
"""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.tables.people import PeopleTable, fingerprint, refuse_few
from rp_tutorial.data.tables.reading import content_of, first_rows, parsed
from rp_tutorial.data.tables.roles import NEAR_PARTS, Names, Schema, meant
from rp_tutorial.data.tables.schema import MOST_LEVELS

MISSING_LEVEL = "(missing)"  # the category of cells that have none


def read_table(path: str, schema: Schema) -> PeopleTable:
    """The rows of a CSV file whose columns are what `schema` says. Raises InputError, one line."""
    where = f"data: {path}"
    cells = read_cells(Path(path), schema, where)
    gaps = _gaps(cells, schema)
    kept = _complete(gaps, schema, where)
    frame, label = {}, schema.label
    for name in cells:
        column = cells[name][kept]
        if name in schema.categorical:
            frame[name] = column.where(~gaps[name][kept], MISSING_LEVEL)
            _refuse_levels(frame[name], where)
        elif name == label.column:
            frame[name] = _decided(column, label.positive, schema.decimal, where)
        else:
            frame[name] = _numbers(column, schema.decimal, where)
    table = pd.DataFrame(frame).reset_index(drop=True)
    refuse_few(len(table), where, dropped=int((~kept).sum()))
    _check_attribute(table[schema.attribute], schema, where)
    numeric = tuple(name for name in table if name == schema.attribute or name in schema.numeric)
    categorical = tuple(name for name in table if name in schema.categorical)
    _refuse_twins(table, numeric, categorical, where)
    low, high = schema.domain
    return PeopleTable(
        table, numeric, categorical, schema.attribute, schema.unit, path, fingerprint(table), domain=(low, high),
        near=schema.near or (high - low) / NEAR_PARTS, label=label, dropped=int((~kept).sum()),
    )  # fmt: skip


def read_cells(path: Path, schema: Schema, where: str) -> pd.DataFrame:
    """The columns that have a use, as stripped text, in the file's order."""
    content = content_of(path, where)
    roles = dict(schema.roles)
    rows, separator = first_rows(content, where, () if schema.columns else roles)
    first = tuple(cell.strip() for cell in rows[0])
    names = schema.columns or first
    _check_names(names, first, roles, where, headless=bool(schema.columns))
    cells = text_cells(content, separator, where, names, headless=bool(schema.columns))
    return cells[[name for name in names if roles[name] != "left_out"]]


def text_cells(content: bytes, separator: str, where: str, names: Iterable[str], *, headless: bool) -> pd.DataFrame:
    """Every cell as stripped text; a cell that a short row lacks is empty."""
    options = {"names": list(names), "header": None if headless else 0, "dtype": str, "keep_default_na": False}
    frame = parsed(content, separator, where, **options)
    return frame.apply(lambda column: column.str.strip())


def is_number(cells: pd.Series, decimal: str = ".") -> NDArray[np.bool_]:
    """Which cells are decimal numbers, and nothing else: no blanks, thousands, hexadecimals, nan or inf. [rows]."""
    mark = re.escape(decimal)
    return cells.str.fullmatch(rf"[+-]?([0-9]+({mark}[0-9]*)?|{mark}[0-9]+)([eE][+-]?[0-9]+)?").to_numpy(dtype=bool)


def to_numbers(cells: pd.Series, decimal: str = ".") -> NDArray[np.float64]:
    """The cells as numbers, NaN where they are none. [rows]."""
    codes, levels = pd.factorize(cells)  # a column has far fewer numbers than cells
    written = pd.Series(levels)
    text = written.where(is_number(written, decimal), "nan").str.replace(decimal, ".", regex=False)
    return text.to_numpy(dtype=object).astype(float)[codes]


def _check_names(
    names: tuple[str, ...], first: tuple[str, ...], roles: dict[str, str], where: str, *, headless: bool
) -> None:
    """The names of the file's columns against those of the schema."""
    if headless and set(first) == set(names):
        raise InputError(f"{where}: its first row is a header, so the schema needs no columns")
    if headless and len(names) != len(first):
        raise InputError(f"{where}: has {len(first)} columns, but the schema names {len(names)} in columns")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"{where}: column {twice[0]!r} appears {names.count(twice[0])} times")
    for name, role in roles.items():
        if name not in names:
            hint = meant(name, names)
            if not headless and is_number(pd.Series(first)).any():
                hint = "; its first row looks like data: columns = [...] names those of a file without a header"
            raise InputError(f"{where}: no column is called {name!r}, which the schema has in {role}{hint}")
    for name in names:
        if name not in roles:
            raise InputError(
                f"{where}: column {name!r} has no role in the schema; allowed is to name it in numeric, categorical or "
                "left_out"
            )


def _equal(cells: pd.Series, value: str | float, decimal: str) -> NDArray[np.bool_]:
    """Which cells are this text, or this number however it is written."""
    return (cells == value).to_numpy() if isinstance(value, str) else to_numbers(cells, decimal) == value


def _gaps(cells: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Which cells have no value."""
    gaps = cells.isin(["", *(text.strip() for text in schema.missing.cells)])
    for name, values in (schema.missing.values or {}).items():
        for value in values:
            gaps[name] |= _equal(cells[name], value, schema.decimal)
    return gaps


def _complete(gaps: pd.DataFrame, schema: Schema, where: str) -> pd.Series:
    """Which rows are kept: bool [rows]."""
    counted = gaps.sum()
    if schema.missing.treat is None and counted.any():
        name = str(counted.ne(0).idxmax())
        raise InputError(
            f"{where}: column {name!r} has {counted[name]} missing values, the first in row {gaps[name].idxmax() + 1}; "
            'missing.treat = "drop" leaves such rows out'
        )
    needed = [name for name in gaps if schema.missing.treat == "drop" or name not in schema.categorical]
    return ~gaps[needed].any(axis=1)


def _numbers(cells: pd.Series, decimal: str, where: str) -> NDArray[np.float64]:
    """The column as finite numbers; the first cell that is none is named."""
    numbers = to_numbers(cells, decimal)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        given, row = cells.iloc[bad[0]], cells.index[bad[0]] + 1
        raise InputError(
            f"{where}: column {cells.name!r}, row {row}: got {given[:40]!r}, allowed is a finite number"
            f"{_about(given, decimal)}"
        )
    return numbers


def _about(given: str, decimal: str) -> str:
    """What may help with a cell that is not a number."""
    if decimal == "." and is_number(pd.Series([given]), ",")[0]:
        return '; decimal = "," reads commas'
    return "; missing.cells and missing.values declare what is none" if given.isalpha() or not given.isalnum() else ""


def _decided(cells: pd.Series, positive: str | float | None, decimal: str, where: str) -> NDArray[np.int64]:
    """The label, 0 or 1."""
    values = sorted(cells.unique())
    told = ", ".join(repr(value[:40]) for value in values[:4]) + (", ..." if len(values) > 4 else "")
    if len(values) < 2:
        raise InputError(f"{where}: column {cells.name!r} is {told} in every row, so there is nothing to decide")
    if positive is None:
        numbers = set(to_numbers(pd.Series(values), decimal))
        if numbers != {0.0, 1.0}:
            raise InputError(
                f"{where}: column {cells.name!r} has {len(values)} values ({told}), so the schema has to say "
                "which one counts as 1: label.positive"
            )
        positive = 1.0
    label = _equal(cells, positive, decimal)
    if label.all() or not label.any():
        raise InputError(
            f"{where}: column {cells.name!r} has the values {told}; label.positive: got {positive!r}, "
            "allowed is one of them"
        )
    return label.astype(np.int64)


def _check_attribute(values: pd.Series, schema: Schema, where: str) -> None:
    low, high = schema.domain
    outside = int(((values < low) | (values > high)).sum())
    if outside:
        raise InputError(
            f"{where}: {outside} of {len(values)} rows have {schema.attribute!r} outside the schema's domain "
            f"[{low:g}, {high:g}] (they go from {values.min():g} to {values.max():g}); allowed is one that holds all"
        )
    if values.nunique() < 2:
        raise InputError(f"{where}: the attribute {schema.attribute!r} is {values.iloc[0]:g} in every row")


def _refuse_levels(column: pd.Series, where: str) -> None:
    levels = column.nunique()
    if levels > MOST_LEVELS:
        raise InputError(
            f"{where}: column {column.name!r} has {levels} categories, allowed are at most {MOST_LEVELS} "
            "(left_out takes other columns)"
        )


def _refuse_twins(table: pd.DataFrame, numeric: Names, categorical: Names, where: str) -> None:
    """Features are called by their column, or column=level, and have to differ."""
    names = [*numeric, *(f"{name}={level}" for name in categorical for level in table[name].unique())]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"{where}: two features would be called {twice[0]!r}; allowed are other names of the columns")
