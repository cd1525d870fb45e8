"""A table of people in memory: its rows, the role of every column, what is decided, and its fingerprint.

Where tables come from is in `sources.py`; tasks are made from them in `tasks.py`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Self

import pandas as pd

from rp_tutorial.core.arguments import InputError

if TYPE_CHECKING:
    from rp_tutorial.data.tables.roles import Rule

LEAKING = ("risk_score", "is_high_risk")  # both contain the bit BMI > 30: no fair side information
MINIMUM_ROWS = 100  # below it, 40 % for testing hold fewer than four rows above the 90th percentile
BMI_DOMAIN = (12.0, 50.4)  # lowest and highest that the insurance table can hold, kg/m^2


@dataclasses.dataclass(frozen=True)
class PeopleTable:
    """Rows with a private attribute, and which columns an adversary may know.

    `numeric` (the attribute among them) and `categorical` name the features in the frame's order; an identifier, the
    columns in LEAKING and a label stand in `frame` but in neither. `unit` is the attribute's, and so are `domain`, all
    values that an adversary thinks possible, and `near`, a difference that counts as small. `label` says what is
    decided, where the table says so itself; its column holds 0 and 1. `dropped`: rows left out for missing values.
    `fingerprint` is the sha256 of the columns and values of `frame`, the same on every machine and for every way pandas
    may store the text.
    """

    frame: pd.DataFrame
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    attribute: str
    unit: str
    source: str
    fingerprint: str
    domain: tuple[float, float] = BMI_DOMAIN
    near: float = 1.0
    label: Rule | None = None
    dropped: int = 0

    def with_leaking(self) -> Self:
        """The same rows with LEAKING among the numeric features, to show what the leak does.

        Raises InputError where the source has no such columns (diabetes).
        """
        missing = [name for name in LEAKING if name not in self.frame]
        if missing:
            raise InputError(f"data: {self.source} has no column {missing[0]!r}, so there is no leak to show")
        new = tuple(name for name in LEAKING if name not in self.numeric)
        return dataclasses.replace(self, numeric=self.numeric + new)


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


def refuse_few(rows: int, where: str, *, dropped: int = 0) -> None:
    """Raises InputError below MINIMUM_ROWS."""
    if rows < MINIMUM_ROWS:
        why = f" ({dropped} more have missing values)" if dropped else ""
        raise InputError(
            f"{where}: got {rows} rows{why}, allowed is at least {MINIMUM_ROWS} "
            "(fewer leave under four rows above the 90th percentile to test on)"
        )
