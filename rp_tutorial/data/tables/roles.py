"""The schema of a user's own table: the role of every column, as a TOML file or a dict says it.

Here is what can be said and checked without the table; the table is read in `own.py`. A schema is written by looking at
a file in `describe.py`.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AllowInfNan, ConfigDict, Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from rp_tutorial.core.arguments import InputError, refuse
from rp_tutorial.data.tables.reading import content_of

Text = Annotated[str, Strict()]
Number = Annotated[float, Strict(), AllowInfNan(False)]
Names = tuple[Text, ...]
NEAR_PARTS = 40  # of the domain, where a schema does not say what is near
CONFIG = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=CONFIG)
class Rule:
    """What is decided about a row: one of three rules for the label 1.

    quantile: the attribute exceeds this quantile of the training rows. above: it exceeds this value, in its unit.
    column: that column has the value `positive` (1 of 0 and 1, if left out); it is no feature then.
    """

    quantile: Number | None = None
    above: Number | None = None
    column: Text | None = None
    positive: Text | Number | None = None


@dataclass(frozen=True, config=CONFIG)
class Missing:
    """Which cells have no value, and what becomes of their rows. An empty cell never has one.

    cells: further texts, in every column. values: texts or numbers, column by column, as 0 for a glucose of nobody.
    treat: "drop" leaves the rows out; "category" gives categorical columns a category of its own and leaves out rows
    without a number or a label; left out, missing cells are refused.
    """

    cells: Names = ()
    values: dict[Text, tuple[Text | Number, ...]] | None = None
    treat: Literal["drop", "category"] | None = None


@dataclass(frozen=True, config=CONFIG)
class Schema:
    """The columns of a table by role: each is the attribute, the label's, numeric, categorical or left out.

    unit: of the attribute, as charts write it; domain: its lowest and highest value that an onlooker thinks possible;
    near: a difference in it that counts as small, a fortieth of the domain if left out. columns: the names, for a file
    without a header. decimal: what stands before the fraction of a number.
    """

    attribute: Text
    unit: Text
    domain: tuple[Number, Number]
    label: Rule
    numeric: Names = ()
    categorical: Names = ()
    left_out: Names = ()
    near: Number | None = None
    columns: Names = ()
    decimal: Literal[".", ","] = "."
    missing: Missing = Missing()

    @property
    def roles(self) -> list[tuple[str, str]]:
        """Every (column, role)."""
        lists = {"numeric": self.numeric, "categorical": self.categorical, "left_out": self.left_out}
        single = [(self.attribute, "attribute"), *([(self.label.column, "label.column")] if self.label.column else [])]
        return single + [(name, role) for role, names in lists.items() for name in names]


AnySchema = str | os.PathLike | Mapping[str, Any] | Schema


def read_schema(source: AnySchema) -> Schema:
    """The schema of a TOML file or of a dict, checked as far as it can be without the table. Raises InputError."""
    if isinstance(source, Schema):
        return source
    if isinstance(source, Mapping):
        where, content = "schema", dict(source)
    elif isinstance(source, str | os.PathLike):
        where = f"schema: {os.fsdecode(source)}"
        content = _toml(Path(os.fsdecode(source)), where)
    else:
        raise refuse("schema", source, "the path of a TOML file, or a dict")
    try:
        schema = TypeAdapter(Schema).validate_python(content)
    except ValidationError as error:
        raise _first_of(error, where) from None
    _check(schema, where)
    return schema


def _toml(path: Path, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content_of(path, where, kind="a TOML file").decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{where}: is not UTF-8 text, so not a TOML file") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{where}: is not TOML ({error})") from None


def _first_of(error: ValidationError, where: str) -> InputError:
    """The first thing that is wrong, with the place and, for a key that there is not, the one that was meant."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    if first["type"] == "unexpected_keyword_argument":
        within = {"label": Rule, "missing": Missing}.get(place[0], Schema) if len(place) > 1 else Schema
        keys = list(within.__dataclass_fields__)
        return InputError(f"{where}: {'.'.join(place)}: no such key{meant(place[-1], keys)}")
    said = "is needed" if first["type"] == "missing" else f"got {first['input']!r}; {first['msg'].lower()}"
    return InputError(f"{where}: {'.'.join(place) or 'schema'}: {said}")


def meant(given: str, allowed: Iterable[str]) -> str:
    """What to say of a name that there is not."""
    allowed = list(allowed)
    close = difflib.get_close_matches(given, allowed, n=1) or [n for n in allowed if n.lower() == given.lower()]
    return f"; did you mean {close[0]!r}?" if close else f"; allowed are {', '.join(map(repr, allowed[:20]))}"


def _check(schema: Schema, where: str) -> None:
    """Everything that needs no table."""
    (low, high), label, near = schema.domain, schema.label, schema.near
    if not low < high:
        raise InputError(f"{where}: domain: got [{low:g}, {high:g}], allowed is [lowest, highest]")
    if near is not None and not (high - low) / 200 <= near <= (high - low) / 4:
        raise InputError(f"{where}: near: got {near:g}, allowed is a two-hundredth to a quarter of the domain's length")
    given = [name for name in ("quantile", "above", "column") if getattr(label, name) is not None]
    if len(given) != 1:
        raise InputError(
            f"{where}: label: got {' and '.join(given) or 'nothing'}, allowed is one of quantile, above, column"
        )
    if label.quantile is not None and not 0 < label.quantile < 1:
        raise InputError(
            f"{where}: label.quantile: got {label.quantile:g}, allowed is a number strictly between 0 and 1"
        )
    if label.above is not None and not low < label.above < high:
        raise InputError(f"{where}: label.above: got {label.above:g}, allowed is a number inside the domain")
    if label.positive is not None and label.column is None:
        raise InputError(f"{where}: label.positive: got {label.positive!r}, allowed only beside label.column")
    roles = {}
    for name, role in schema.roles:
        if name in roles:
            twice = f"twice in {role}" if roles[name] == role else f"in {roles[name]} and in {role}"
            raise InputError(f"{where}: column {name!r} stands {twice}, allowed is one role for each column")
        roles[name] = role
    if not schema.numeric and not schema.categorical:
        raise InputError(
            f"{where}: numeric, categorical: got none, allowed is at least one column beside the attribute"
        )
    for key, text in (("attribute", schema.attribute), ("unit", schema.unit)):
        if not text.strip() or not text.isprintable():
            raise InputError(f"{where}: {key}: got {text!r}, allowed is a word to print, as bmi and kg/m^2")
    for name in schema.missing.values or ():
        if roles.get(name, "left_out") == "left_out":
            raise InputError(f"{where}: missing.values: no column in use is called {name!r}{meant(name, roles)}")
