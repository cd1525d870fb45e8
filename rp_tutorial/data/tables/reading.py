"""A file as text: opened once, its separator recognised, its cells parsed; every fault is one line.

What the columns of a table mean is said elsewhere: those of the insurance schema in `insurance.py`, a user's in
`own.py`.
"""

import csv
import warnings
from collections.abc import Collection
from io import BytesIO, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from rp_tutorial.core.arguments import InputError

SEPARATORS, LINE_LENGTH = "\t;|,", 1_000_000
LOOKED_AT = 20  # lines that show how a file is written


def content_of(path: Path, where: str, *, kind: str = "a CSV file", otherwise: str = "") -> bytes:
    """The bytes of a file or of a pipe, read once, if they look like text. `where` begins every message."""
    try:
        path = path.expanduser()
        if path.is_char_device() or path.is_block_device():
            raise InputError(f"{where}: is a device, not {kind}")
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{where}: no such file{otherwise}") from None
    except IsADirectoryError:
        raise InputError(f"{where}: is a directory, not {kind}") from None
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror})") from None
    except (ValueError, RuntimeError) as error:  # a zero byte in the name, a user without a home folder
        raise InputError(f"{where}: cannot be read ({error})") from None
    if b"\0" in content[:4096]:
        raise InputError(f"{where}: is not {kind} (it holds binary data)")
    if not content.strip():
        raise InputError(f"{where}: is empty")
    return content


def first_rows(content: bytes, where: str, known: Collection[str] = ()) -> tuple[list[list[str]], str]:
    """The first rows, the header among them, and what separates their cells.

    Of SEPARATORS the one that gives most `known` names, then the one that cuts all rows alike, into most cells.
    """
    try:
        with TextIOWrapper(BytesIO(content), encoding="utf-8-sig", newline="") as file:
            filled = (line for line in iter(lambda: file.readline(LINE_LENGTH), "") if line.strip())
            lines = list(islice(filled, LOOKED_AT))
        cut = {mark: list(csv.reader(lines, delimiter=mark, skipinitialspace=True)) for mark in SEPARATORS}
    except UnicodeDecodeError:
        raise _not_utf8(where) from None
    except csv.Error as error:
        raise InputError(f"{where}: is not a CSV file ({error})") from None

    def fit(mark: str) -> tuple[int, int, int]:
        header, widths = cut[mark][0], {len(row) for row in cut[mark]}
        named = len({cell.strip() for cell in header} & set(known))
        return named, len(header) if len(widths) == 1 and len(header) > 1 else 0, len(header)

    separator = max(SEPARATORS, key=fit)
    return cut[separator], separator


def parsed(content: bytes, separator: str, where: str, **options: Any) -> pd.DataFrame:
    """All rows by pandas. Rows longer than the header are refused; what is missing in short ones is NaN."""
    fixed = {"sep": separator, "skipinitialspace": True, "index_col": False, "encoding": "utf-8-sig"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of float_precision, which pandas 2 still needs
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header: shifted columns
            # round_trip: the nearest float64, so that what was written comes back and keeps its fingerprint
            frame = pd.read_csv(BytesIO(content), float_precision="round_trip", low_memory=False, **fixed, **options)
    except UnicodeDecodeError:
        raise _not_utf8(where) from None
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise InputError(f"{where}: cannot be read as a CSV file ({reason})") from None
    if frame.empty:
        raise InputError(f"{where}: has a header but no rows")
    return frame


def _not_utf8(where: str) -> InputError:
    return InputError(f"{where}: is not UTF-8 text; a spreadsheet can save it as UTF-8")
