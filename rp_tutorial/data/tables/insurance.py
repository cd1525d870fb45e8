"""The insurance table from any of its sources, checked, with the role of every column.

`load_table` is the one door: the seeded stand-in ("synthetic"), scikit-learn's diabetes study ("diabetes"), the Kaggle
file ("kaggle") or the path of a CSV of the same schema. What comes in from outside is refused with one line if it is
not what the schema says. Splitting, encoding and labels are in `tasks.py`, the columns in `schema.py`.
"""

import csv
import dataclasses
import hashlib
import os
import warnings
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from rp_tutorial.core.arguments import InputError, count, refuse
from rp_tutorial.core.registry import Registry
from rp_tutorial.core.streams import Purpose, numpy_generator
from rp_tutorial.data.tables.schema import CATEGORICAL, COLUMNS, INTEGER, csv_schema
from rp_tutorial.data.tables.synthetic import generate

LEAKING = ("risk_score", "is_high_risk")  # both contain the bit BMI > 30: no fair side information
Reader = Callable[[], pd.DataFrame]
READERS: Registry[Reader] = Registry("data", "rp_tutorial.data.tables")  # by the name that `--data` takes
KAGGLE_HANDLE = "mohankrishnathalla/medical-insurance-cost-prediction"
SEPARATORS, HEADER_LENGTH = ",;\t", 1_000_000
MINIMUM_ROWS = 100  # below it, 40 % for testing hold fewer than four rows above the 90th percentile
_IDENTIFIER = "person_id"
_BY_HAND = (
    f"or download it from kaggle.com/datasets/{KAGGLE_HANDLE} by hand and give the path of the CSV instead of 'kaggle'"
)


@dataclasses.dataclass(frozen=True)
class InsuranceTable:
    """Rows with a private attribute, and which columns an adversary may know.

    `numeric` (the attribute among them) and `categorical` name the features in the frame's order; the identifier and
    the columns in LEAKING stand in `frame` but in neither. `unit` is the attribute's. `fingerprint` is the sha256 of
    the columns and values of `frame`, the same on every machine and for every way pandas may store the text.
    """

    frame: pd.DataFrame
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    attribute: str
    unit: str
    source: str
    fingerprint: str

    def with_leaking(self) -> Self:
        """The same rows with LEAKING among the numeric features, to show what the leak does.

        Raises InputError where the source has no such columns (diabetes).
        """
        missing = [name for name in LEAKING if name not in self.frame]
        if missing:
            raise InputError(f"data: {self.source} has no column {missing[0]!r}, so there is no leak to show")
        new = tuple(name for name in LEAKING if name not in self.numeric)
        return dataclasses.replace(self, numeric=self.numeric + new)


def load_table(source: str | os.PathLike, *, rows: int | None = None, seed: int = 0) -> InsuranceTable:
    """The table from "synthetic", "diabetes", "kaggle" or the path of a CSV with the 54 columns.

    With `rows`, a seeded random subset of that many rows, in the source's order; for "synthetic", that many rows are
    generated. `seed` makes the synthetic rows and chooses the subset, and does nothing else.
    Raises InputError, one line, if the source cannot be read or fails the schema, or if `rows` is below 100 or above
    what the source has.

    >>> table = rp.load_table("synthetic", rows=1000)
    >>> table.attribute, table.unit, table.frame.shape
    ('bmi', 'kg/m^2', (1000, 54))

    Chapter: foundations/side-channel.
    """
    seed = count("seed", seed, minimum=0)
    if rows is not None:
        rows = count("rows", rows, minimum=MINIMUM_ROWS)
    name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else ""
    if not name.strip() or "\0" in name:
        raise refuse("data", source, "one of " + ", ".join(table_sources()) + ", or the path of a CSV file")
    if name == "synthetic":
        frame = generate(seed=seed) if rows is None else generate(rows, seed=seed)
    else:
        frame = _subset(READERS[name]() if name in READERS else read_csv(name), rows, seed)
    features = [column for column in frame if column != _IDENTIFIER and column not in LEAKING]
    numeric = tuple(column for column in features if pd.api.types.is_numeric_dtype(frame[column]))
    categorical = tuple(column for column in features if column not in numeric)
    return InsuranceTable(frame, numeric, categorical, "bmi", "kg/m^2", name, fingerprint(frame))


def table_source(name: str) -> Callable[[Reader], Reader]:
    """Registers a reader of a whole table, with BMI in the column `bmi`: `@table_source("mine")` above `def read()`.

    From then on `load`, every experiment on tables and the command line know it. Raises InputError for a taken name.
    """
    return READERS.registering(name, lambda read: read)


def table_sources() -> tuple[str, ...]:
    """Every named source; the path of a CSV file does as well."""
    return ("synthetic", *READERS)


def load_at_most(source: str | os.PathLike, rows: int | None, *, seed: int = 0) -> InsuranceTable:
    """`load_table`, but a source that has fewer than `rows` rows is used whole; None keeps every row."""
    if rows is None or os.fspath(source) == "synthetic":
        return load_table(source, rows=rows, seed=seed)
    whole = load_table(source, seed=seed)
    return whole if len(whole.frame) <= rows else load_table(source, rows=rows, seed=seed)


def read_csv(path: str | os.PathLike) -> pd.DataFrame:
    """The rows of a CSV file, in the schema's column order and dtypes, every value checked.

    A file or a pipe; commas, semicolons or tabs. Columns may come in any order, further columns are ignored, whole
    numbers may be written "48.0", and an empty or "None" cell of `alcohol_freq` is the category "None". Everything else
    that differs from the schema is refused: InputError, one line that starts with "data: PATH:".
    """
    shown = str(os.fspath(path)).replace("\n", " ")
    frame = _parse(Path(path).expanduser(), shown)
    frame["alcohol_freq"] = frame["alcohol_freq"].fillna("None")
    for name in COLUMNS:
        if name not in CATEGORICAL:
            frame[name] = _numbers(frame[name], shown)
    _refuse_missing(frame, shown)
    _validate(frame, shown)
    if len(frame) < MINIMUM_ROWS:
        raise InputError(
            f"data: {shown}: got {len(frame)} rows, allowed is at least {MINIMUM_ROWS} "
            "(fewer leave under four rows above the 90th percentile to test on)"
        )
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


def fingerprint(frame: pd.DataFrame) -> str:
    """sha256 (hex) of the column names and values, row by row order included; the index does not count.

    Numbers enter as little-endian float64 and text as UTF-8, so int or float, `object` or `str` make no difference.
    """
    digest = hashlib.sha256()
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column):
            content = (column.to_numpy(dtype="<f8") + 0.0).tobytes()  # + 0.0 turns -0.0 into 0.0
        else:
            content = "\x1f".join(map(str, column)).encode()
        digest.update(f"\x1e{name}\x1f{len(column)}\x1f".encode())
        digest.update(content)
    return digest.hexdigest()


def _subset(frame: pd.DataFrame, rows: int | None, seed: int) -> pd.DataFrame:
    if rows is None:
        return frame
    if rows > len(frame):
        raise refuse("rows", rows, f"at most {len(frame)}, all that the data have")
    kept = numpy_generator(Purpose.TABLE_ROWS, seed).choice(len(frame), size=rows, replace=False)
    return frame.iloc[np.sort(kept)].reset_index(drop=True)


def _csv_inside(folder: Path) -> Path:
    """The CSV file of the schema inside a downloaded folder: the first, by name, whose header has the columns."""
    found = sorted(folder.rglob("*.csv"))
    for path in found:
        if set(COLUMNS) <= set(_header(_content(path, str(path)), str(path))[0]):
            return path
    names = ", ".join(path.name for path in found) or "none"
    raise InputError(f"data: kaggle: no CSV with the {len(COLUMNS)} columns in the download (CSV files: {names})")


def _content(path: Path, shown: str) -> bytes:
    """The bytes of a file or of a pipe, read once, if they look like text."""
    try:
        if path.is_char_device() or path.is_block_device():
            raise InputError(f"data: {shown}: is a device, not a CSV file")
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        allowed = f"allowed are {', '.join(table_sources())} or the path of a CSV file"
        raise InputError(f"data: {shown}: no such file; {allowed}") from None
    except IsADirectoryError:
        raise InputError(f"data: {shown}: is a directory, not a CSV file") from None
    except OSError as error:
        raise InputError(f"data: {shown}: cannot be read ({error.strerror})") from None
    if b"\0" in content[:4096]:
        raise InputError(f"data: {shown}: is not a CSV file (it holds binary data)")
    if not content.strip():
        raise InputError(f"data: {shown}: is empty")
    return content


def _header(content: bytes, shown: str) -> tuple[list[str], str]:
    """The column names, and what separates them: of SEPARATORS the one that gives most names of the schema."""
    try:
        with TextIOWrapper(BytesIO(content), encoding="utf-8-sig", newline="") as file:
            line = file.readline(HEADER_LENGTH)
        headers = {separator: next(csv.reader([line], delimiter=separator), []) for separator in SEPARATORS}
    except UnicodeDecodeError:
        raise InputError(f"data: {shown}: is not UTF-8 text, so not a CSV file of this schema") from None
    except csv.Error as error:
        raise InputError(f"data: {shown}: is not a CSV file ({error})") from None
    separator = max(SEPARATORS, key=lambda s: len(set(headers[s]) & set(COLUMNS)))
    return headers[separator], separator


def _parse(path: Path, shown: str) -> pd.DataFrame:
    """The needed columns as pandas reads them: text as text, numbers as numbers where every cell is one."""
    content = _content(path, shown)
    header, separator = _header(content, shown)
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(f"data: {shown}: column {missing[0]!r} is missing{more}; got {len(header)} columns")
    repeated = [name for name in COLUMNS if header.count(name) > 1]
    if repeated:
        raise InputError(f"data: {shown}: column {repeated[0]!r} appears {header.count(repeated[0])} times")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of float_precision, which pandas 2 still needs
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header: shifted columns
            options = {"index_col": False, "low_memory": False, "encoding": "utf-8-sig"}
            # round_trip: the nearest float64, so that what was written comes back and keeps its fingerprint
            options |= {"sep": separator, "float_precision": "round_trip"}
            frame = pd.read_csv(BytesIO(content), dtype=dict.fromkeys(CATEGORICAL, str), **options)
    except UnicodeDecodeError:
        raise InputError(f"data: {shown}: is not UTF-8 text, so not a CSV file of this schema") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise InputError(f"data: {shown}: cannot be read as a CSV file ({reason})") from None
    if frame.empty:
        raise InputError(f"data: {shown}: has a header but no rows")
    return frame[list(COLUMNS)].copy()


def _numbers(column: pd.Series, shown: str) -> pd.Series:
    """The column as float64; the first cell that is neither empty nor a number is named."""
    if column.dtype == bool:
        raise InputError(f"data: {shown}: column {column.name!r}, row 1: got {column[0]}, allowed is a number")
    as_text = column.dtype == object  # so that integers of any length are numbers too, and infinite ones are refused
    numbers = pd.to_numeric(column.astype(str) if as_text else column, errors="coerce")
    bad = numbers.isna() & column.notna()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        given = str(column[row])[:40]
        raise InputError(f"data: {shown}: column {column.name!r}, row {row + 1}: got {given!r}, allowed is a number")
    return numbers.astype(float)


def _refuse_missing(frame: pd.DataFrame, shown: str) -> None:
    missing = frame.isna()
    if not missing.to_numpy().any():
        return
    name = missing.any().idxmax()
    row = int(np.flatnonzero(missing[name])[0])
    number = int(missing[name].sum())
    raise InputError(f"data: {shown}: column {name!r} has {number} missing values, the first in row {row + 1}")


def _validate(frame: pd.DataFrame, shown: str) -> None:
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
        raise InputError(f"data: {shown}: {place}: got {given}, allowed is {first['check']}") from None
