"""The insurance table from outside: a CSV of its 54 columns, the Kaggle file, and scikit-learn's diabetes study.

What is not what the schema says is refused with one line. The columns are in `schema.py`, the door in `sources.py`; a
CSV of another shape is read in `own.py`.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.tables.people import refuse_few
from rp_tutorial.data.tables.reading import content_of, first_rows, parsed
from rp_tutorial.data.tables.registry import table_source, table_sources
from rp_tutorial.data.tables.schema import CATEGORICAL, COLUMNS, INTEGER, csv_schema

KAGGLE_HANDLE = "mohankrishnathalla/medical-insurance-cost-prediction"
IDENTIFIER = "person_id"
_BY_HAND = (
    f"or download it from kaggle.com/datasets/{KAGGLE_HANDLE} by hand and give the path of the CSV instead of 'kaggle'"
)


def read_csv(path: str | os.PathLike) -> pd.DataFrame:
    """The rows of a CSV file, in the schema's column order and dtypes, every value checked.

    A file or a pipe; commas, semicolons, tabs or bars. Columns may come in any order, further ones are ignored, whole
    numbers may be written "48.0", and an empty or "None" cell of `alcohol_freq` is the category "None". Everything else
    that differs from the schema is refused: InputError, one line that starts with "data: PATH:".
    """
    where = f"data: {os.fspath(path)}"
    frame = _parse(Path(path), where)
    frame["alcohol_freq"] = frame["alcohol_freq"].fillna("None")
    for name in COLUMNS:
        if name not in CATEGORICAL:
            frame[name] = _numbers(frame[name], where)
    _refuse_missing(frame, where)
    _validate(frame, where)
    refuse_few(len(frame), where)
    return frame.astype(dict.fromkeys(INTEGER, np.int64))


@table_source("diabetes")
def diabetes() -> pd.DataFrame:
    """The 442 patients of scikit-learn's diabetes study, 10 numeric columns, BMI in kg/m^2 in `bmi`.

    Real, small and shipped with scikit-learn; `sex` is coded 1 and 2, s1 to s6 are blood serum measurements.
    The disease progression that the study predicts is left out. Source: Efron et al., Least Angle Regression (2004).
    """
    from sklearn.datasets import load_diabetes

    return load_diabetes(as_frame=True, scaled=False).data.astype(float)


@table_source("kaggle")
def kaggle() -> pd.DataFrame:
    """The 100,000 rows of the Kaggle data set, downloaded once by kagglehub into its own cache, then checked.

    Raises InputError, one line with the way out, if kagglehub is not installed, the download fails, or the folder
    has no CSV of the schema.
    """
    try:
        import kagglehub
    except ImportError:
        message = f'data: kaggle needs kagglehub: pip install "rp-tutorial[kaggle]", {_BY_HAND}'
        raise InputError(message) from None
    try:
        folder = Path(kagglehub.dataset_download(KAGGLE_HANDLE))
    except Exception as error:  # network, credentials, quota: kagglehub has no common base class for them
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"data: kaggle: the download failed ({reason}): try again, {_BY_HAND}") from error
    return read_csv(_csv_inside(folder))


def _csv_inside(folder: Path) -> Path:
    """The CSV file of the schema inside a downloaded folder: the first, by name, whose header has the columns."""
    found = sorted(folder.rglob("*.csv"))
    for path in found:
        rows, _ = first_rows(content_of(path, f"data: {path}"), f"data: {path}", COLUMNS)
        if set(COLUMNS) <= set(rows[0]):
            return path
    names = ", ".join(path.name for path in found) or "none"
    raise InputError(f"data: kaggle: no CSV with the {len(COLUMNS)} columns in the download (CSV files: {names})")


def _parse(path: Path, where: str) -> pd.DataFrame:
    """The needed columns as pandas reads them: text as text, numbers as numbers where every cell is one."""
    named = f"; allowed are {', '.join(table_sources())} or the path of a CSV file"
    content = content_of(path, where, otherwise=named)
    rows, separator = first_rows(content, where, COLUMNS)
    header = rows[0]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(
            f"{where}: column {missing[0]!r} is missing{more}; got {len(header)} columns; a table of another shape "
            "needs a schema, which `rp-tutorial data describe` writes"
        )
    repeated = [name for name in COLUMNS if header.count(name) > 1]
    if repeated:
        raise InputError(f"{where}: column {repeated[0]!r} appears {header.count(repeated[0])} times")
    return parsed(content, separator, where, dtype=dict.fromkeys(CATEGORICAL, str))[list(COLUMNS)].copy()


def _numbers(column: pd.Series, where: str) -> pd.Series:
    """The column as float64; the first cell that is neither empty nor a number is named."""
    if column.dtype == bool:
        raise InputError(f"{where}: column {column.name!r}, row 1: got {column[0]}, allowed is a number")
    as_text = column.dtype == object  # so that integers of any length are numbers too, and infinite ones are refused
    numbers = pd.to_numeric(column.astype(str) if as_text else column, errors="coerce")
    bad = numbers.isna() & column.notna()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        given = str(column[row])[:40]
        raise InputError(f"{where}: column {column.name!r}, row {row + 1}: got {given!r}, allowed is a number")
    return numbers.astype(float)


def _refuse_missing(frame: pd.DataFrame, where: str) -> None:
    missing = frame.isna()
    if not missing.to_numpy().any():
        return
    name = missing.any().idxmax()
    row = int(np.flatnonzero(missing[name])[0])
    number = int(missing[name].sum())
    raise InputError(
        f"{where}: column {name!r} has {number} missing values, the first in row {row + 1} "
        "(an empty cell, or NA, None and the like)"
    )


def _validate(frame: pd.DataFrame, where: str) -> None:
    """Run the pandera schema and turn its first failure into one line."""
    import pandera.errors

    try:
        csv_schema().validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        first = errors.failure_cases.iloc[0]
        place, given = f"column {first['column']!r}", first["failure_case"]
        if pd.notna(first["index"]):
            place += f", row {int(first['index']) + 1}"
            given = repr(given[:40]) if isinstance(given, str) else f"{given:.15g}"
        else:
            given = f"{frame[first['column']].nunique()} categories"
        raise InputError(f"{where}: {place}: got {given}, allowed is {first['check']}") from None
