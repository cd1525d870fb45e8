"""A schema for a table, written by looking at it: a TOML file with a comment beside every guess.

What can be seen is seen (separator, numbers, missing cells, identifiers, the range of the attribute); what only its
owner knows is guessed and said to be. The reader of the result is `own.py`.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.tables.own import is_number, text_cells, to_numbers
from rp_tutorial.data.tables.people import refuse_few
from rp_tutorial.data.tables.reading import content_of, first_rows
from rp_tutorial.data.tables.roles import NEAR_PARTS
from rp_tutorial.data.tables.schema import MOST_LEVELS

NOTHING = ("", "?")  # cells that are missing whatever column they stand in
NOT_A_NUMBER = ("NA", "N/A", "NaN", "nan", "null", "NULL", "None", "none", "-", ".")  # and these among numbers
PRIVATE = ("bmi", "body mass index", "glucose", "age", "income", "charges")  # what is guessed to be private, in order
UNITS = {"bmi": "kg/m^2", "body mass index": "kg/m^2", "glucose": "mg/dl", "age": "years"}
DECIDED = ("outcome", "label", "class", "target", "income", "diagnosis", "churn", "default", "y")
GAP = 0.3  # of the middle value: zeros with nothing between them and this are suspected to be missing values
REPEATS = 0.999  # correlation with the attribute above which a column is the attribute again


@dataclass
class Look:
    """A file as it looks: what is found column by column."""

    cells: pd.DataFrame
    decimal: str
    numeric: dict[str, np.ndarray] = field(default_factory=dict)  # NaN where a cell is missing
    categorical: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # with the reason
    values: dict[str, list[str | int]] = field(default_factory=dict)  # what stands for a missing number


def describe(path: str | os.PathLike) -> str:
    """The text of a TOML file that says what the columns of a CSV are: guesses to be checked, each with a comment.

    `load_table(path, schema=...)` reads the table by it. Raises InputError, one line, for a file that is no table, has
    fewer than 100 rows or no column of numbers.
    """
    where = f"data: {os.fspath(path)}"
    content = content_of(Path(path), where)
    rows, separator = first_rows(content, where)
    first = [cell.strip() for cell in rows[0]]
    headless = bool(is_number(pd.Series(first)).any())
    names = [f"column_{i}" for i in range(1, len(first) + 1)] if headless else first
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{where}: column {twice!r} appears {names.count(twice)} times")
    cells = text_cells(content, separator, where, names, headless=headless)
    refuse_few(len(cells), where)
    look = _looked_at(cells, "," if separator == ";" and _has_commas(cells) else ".")
    label, positive = _label(look)
    attribute = _attribute(look, where, besides=label)
    _leave_out_repeats(look, attribute)
    if _zero_is_far(look.numeric[attribute]):  # what is said of it below has to be true of its values
        look.numeric[attribute][look.numeric[attribute] == 0] = np.nan
        look.values.setdefault(attribute, []).append(0)
    return "\n".join(_lines(Path(path).name, look, attribute, label, positive, headless=headless)) + "\n"


def _has_commas(cells: pd.DataFrame) -> bool:
    """Whether numbers are written with a comma."""
    return any((is_number(cells[name], ",") & ~is_number(cells[name])).any() for name in cells)


def _looked_at(cells: pd.DataFrame, decimal: str) -> Look:
    look = Look(cells, decimal)
    for name in cells:
        column, levels = cells[name], cells[name].nunique()
        words = sorted(set(column) & set(NOT_A_NUMBER))
        values = to_numbers(column, decimal)  # NaN where a cell is empty or a word
        rest = values[~column.isin([*NOTHING, *words]).to_numpy()]
        if levels == 1 or (len(rest) and len(set(rest)) == 1):
            look.left_out[name] = "the same in every row"
        elif len(rest) and np.isfinite(rest).all():
            if len(set(rest)) == len(column) and (rest % 1 == 0).all():
                look.left_out[name] = "a whole number that is another in every row: an identifier"
                continue
            look.numeric[name] = values
            if words:
                look.values[name] = [*words]
        elif levels > MOST_LEVELS:
            look.left_out[name] = f"{levels:,} different texts: an identifier, a date or free text"
        else:
            look.categorical.append(name)
    return look


def _label(look: Look) -> tuple[str | None, str | float | None]:
    """The column that looks as if it were decided, and which of its two values is the rarer; or none."""
    two = [name for name in look.cells if look.cells[name].nunique() == 2 and name not in look.left_out]
    named = [name for name in two if name.lower() in DECIDED]
    last = [name for name in two if name == look.cells.columns[-1]]
    for name in (named + last)[:1]:
        counted = look.cells[name].value_counts()
        binary = name in look.numeric and set(look.numeric[name]) == {0.0, 1.0}
        return name, 1 if binary else str(counted.index[-1])
    return None, None


def _attribute(look: Look, where: str, *, besides: str | None) -> str:
    """A column of numbers whose name says that it is private; else the one with most different values."""
    able = {name: len(np.unique(v[~np.isnan(v)])) for name, v in look.numeric.items() if name != besides}
    able = {name: distinct for name, distinct in able.items() if distinct > 2} or able
    if not able:
        raise InputError(f"{where}: has no column of numbers that could be the private attribute")
    named = [name for word in PRIVATE for name in able if name.lower().replace("_", " ") == word]
    return (named or sorted(able, key=lambda name: -able[name]))[0]


def _leave_out_repeats(look: Look, attribute: str) -> None:
    """Columns that are the attribute in another unit or rounded."""
    own = look.numeric[attribute]
    for name in [name for name in look.numeric if name != attribute]:
        both = ~np.isnan(own) & ~np.isnan(look.numeric[name])
        spread = min(np.std(own[both]), np.std(look.numeric[name][both])) if both.any() else 0.0
        if spread > 0 and abs(np.corrcoef(own[both], look.numeric[name][both])[0, 1]) > REPEATS:
            look.left_out[name] = f"the same as {attribute} in another form"
            del look.numeric[name]


def _lines(
    file: str, look: Look, attribute: str, label: str | None, positive: str | float | None, *, headless: bool
) -> Iterable[str]:
    """The file, line by line."""
    values = look.numeric[attribute]
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    others = [name for name in look.numeric if name not in (attribute, label)]
    unit = UNITS.get(attribute.lower().replace("_", " "), "unit")
    yield f"# What {_quoted(file)} means: {len(look.cells):,} rows. Every line is a guess; change what is wrong."
    yield ""
    if headless:
        yield "# The first row looks like data, so the columns have no names yet. Give them names, here and below."
        yield f"columns = {_list(look.cells)}"
        yield ""
    yield f"# The private attribute, a number. It could be {_list(others[:5])} as well." if others else "# Private."
    yield f"attribute = {_quoted(attribute)}"
    yield f"unit = {_quoted(unit)}  # as charts and tables write it"
    yield "# Lowest and highest value, as observed. Change it to what is publicly known: the domain is what an attacker"
    yield "# assumes, and it has to hold every row."
    yield f"domain = [{low!r}, {high!r}]"
    yield f"near = {_round((high - low) / NEAR_PARTS)!r}  # a difference that counts as small; sets are in tenths of it"
    yield ""
    yield "# What else an onlooker knows of a person: numbers, and categories of at most 64 levels."
    yield f"numeric = {_list(others)}"
    yield f"categorical = {_list(name for name in look.categorical if name != label)}"
    for name, reason in look.left_out.items():
        yield f"# {_quoted(name)}: {reason}"
    yield f"left_out = {_list(look.left_out)}"
    if look.decimal == ",":
        yield 'decimal = ","  # numbers are written with a comma'
    yield ""
    yield from _label_lines(label, positive, float(np.nanmedian(values)))
    yield ""
    yield from _missing_lines(look)


def _label_lines(label: str | None, positive: str | float | None, middle: float) -> Iterable[str]:
    yield "[label]  # what is decided: one of the three rules, for the label 1"
    rules = ["quantile = 0.9  # the attribute exceeds this quantile of the training rows"]
    rules.append(f"above = {middle!r}  # the attribute exceeds this value")
    if label is None:
        yield rules[0]
        yield f"# {rules[1]}"
        yield '# column = "NAME"  # a column of the table, which is then no feature, has the value `positive`'
        yield '# positive = "yes"'
    else:
        yield f"column = {_quoted(label)}  # this column, which is then no feature, has the value `positive`"
        yield f"positive = {_quoted(positive) if isinstance(positive, str) else positive}"
        yield from (f"# {rule}" for rule in rules)


def _missing_lines(look: Look) -> Iterable[str]:
    used = look.cells.drop(columns=list(look.left_out))
    marks = ["?"] if (used == "?").any(axis=None) else []
    yield "[missing]"
    yield f"cells = {_list(marks)}  # beside empty cells, these have no value in any column"
    if look.values:
        yield f"values = {_table(look.values)}  # and these in one column"
    zeros = {name: [0] for name, values in look.numeric.items() if _zero_is_far(values)}
    if zeros:
        yield "# Zeros far below the next value: if they stand for values that nobody took, this line says so."
        yield f"# values = {_table(look.values | zeros)}"
    yield "# drop leaves out rows with a missing value; category makes a level of it where a column has levels."
    yield 'treat = "drop"'


def _zero_is_far(values: np.ndarray) -> bool:
    """Whether 0 may stand for a value that nobody took: far below all others."""
    positive = values[values > 0]
    some = (values == 0).any() and not (values < 0).any() and len(np.unique(positive)) > 10
    return bool(some and positive.min() > GAP * np.median(positive))


def _round(value: float) -> float:
    """To 1, 2 or 5 times a power of ten, the nearest above or at it in most cases."""
    power = 10.0 ** np.floor(np.log10(value))
    step = min((1.0, 2.0, 5.0, 10.0), key=lambda step: abs(step - value / power))
    return float(f"{step * power:.3g}")


def _quoted(text: object) -> str:
    """A TOML string."""
    return re.sub("\x7f", r"\\u007F", json.dumps(str(text), ensure_ascii=False))


def _table(lists: Mapping[str, list[str | int]]) -> str:
    return f"{{ {', '.join(f'{_quoted(name)} = {_list(values)}' for name, values in lists.items())} }}"


def _list(names: Iterable[object]) -> str:
    return f"[{', '.join(_quoted(name) if isinstance(name, str) else str(name) for name in names)}]"
