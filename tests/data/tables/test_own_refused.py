"""Tables and schemas that do not go together: each is refused in one line that names what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_tables import ADULT, INSURANCE, PIMA, insurance, pima, toml_of

from rp_tutorial.cli import main
from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.tables.sources import load_table


def cell(row: int, name: str, value: object) -> str:
    """The insurance table with one cell of one row (counted from 1) replaced."""
    frame = insurance().astype({name: object})
    frame.loc[row - 1, name] = value
    return frame.to_csv(index=False)


def but(**changes: object) -> dict:
    """The insurance schema with other values; None leaves a key out."""
    return {key: value for key, value in (INSURANCE | changes).items() if value is not None}


TEXT = insurance().to_csv(index=False)
STREETS = insurance(2000).assign(region=[f"street {i}" for i in range(2000)]).to_csv(index=False)
BAD_SCHEMAS = {
    "unknown key": (but(atribute="bmi"), "atribute: no such key; did you mean 'attribute'?"),
    "unknown key of the label": (but(label={"quantil": 0.9}), "label.quantil: no such key; did you mean 'quantile'?"),
    "unknown key of missing": (but(missing={"strings": ["?"]}), "missing.strings: no such key; allowed are 'cells'"),
    "no attribute": (but(attribute=None), "attribute: is needed"),
    "no domain": (but(domain=None), "domain: is needed"),
    "no label": (but(label=None), "label: is needed"),
    "attribute is a number": (but(attribute=3), "attribute: got 3; input should be a valid string"),
    "unit is nothing": (but(unit=" "), "unit: got ' ', allowed is a word"),
    "domain reversed": (but(domain=[60, 10]), "domain: got [60, 10], allowed is [lowest, highest]"),
    "domain of one number": (but(domain=[10]), "domain.1: is needed"),
    "domain of words": (but(domain=["10", "60"]), "domain.0: got '10'; input should be a valid number"),
    "domain infinite": (but(domain=[10, float("inf")]), "domain.1: got inf; input should be a finite number"),
    "domain true": (but(domain=[True, 60]), "domain.0: got True; input should be a valid number"),
    "near too small": (but(near=1e-9), "near: got 1e-09, allowed is a two-hundredth to a quarter"),
    "near negative": (but(near=-1), "near: got -1, allowed is"),
    "two rules": (but(label={"quantile": 0.9, "above": 30}), "label: got quantile and above, allowed is one of"),
    "no rule": (but(label={}), "label: got nothing, allowed is one of quantile, above, column"),
    "quantile of 90": (but(label={"quantile": 90}), "label.quantile: got 90, allowed is a number strictly between"),
    "above the domain": (but(label={"above": 99}), "label.above: got 99, allowed is a number inside the domain"),
    "positive of a rule": (but(label={"above": 30, "positive": 1}), "label.positive: got 1.0, allowed only beside"),
    "label is the attribute": (but(label={"column": "bmi"}), "'bmi' stands in attribute and in label.column"),
    "attribute also left out": (but(left_out=["bmi"]), "column 'bmi' stands in attribute and in left_out"),
    "two roles": (but(categorical=["sex", "age", "smoker", "region"]), "'age' stands in numeric and in categorical"),
    "twice in one list": (but(numeric=["age", "age", "charges"]), "column 'age' stands twice in numeric"),
    "nothing but the attribute": (but(numeric=[], categorical=[]), "got none, allowed is at least one column"),
    "numeric is one word": (but(numeric="age"), "numeric: got 'age'; input should be a valid tuple"),
    "missing of a column without a use": (
        but(missing={"values": {"bim": [0]}}),
        "no column in use is called 'bim'; did you mean 'bmi'?",
    ),
    "treat unknown": (
        but(missing={"treat": "keep"}),
        "missing.treat: got 'keep'; input should be 'drop' or 'category'",
    ),
    "decimal unknown": (but(decimal="'"), "decimal: got \"'\"; input should be '.' or ','"),
}


@pytest.mark.parametrize(("schema", "expected"), BAD_SCHEMAS.values(), ids=BAD_SCHEMAS.keys())
def test_a_bad_schema_is_refused_before_the_table_is_read(schema: dict, expected: str) -> None:
    assert expected in refusal("nowhere.csv", schema, "schema: ")


BAD_PAIRS = {
    "no such column": (
        TEXT,
        but(attribute="BMI"),
        "no column is called 'BMI', which the schema has in attribute; did you mean",
    ),
    "a column without a role": (TEXT, but(numeric=["age", "children"]), "column 'charges' has no role in the schema"),
    "attribute is text": (
        TEXT,
        but(attribute="smoker", categorical=["sex", "region"], numeric=["age", "bmi", "children", "charges"]),
        "column 'smoker', row 1: got",
    ),
    "word for a number": (
        cell(7, "age", "old"),
        INSURANCE,
        "column 'age', row 7: got 'old', allowed is a finite number; missing.cells",
    ),
    "attribute nan": (cell(7, "bmi", "nan"), INSURANCE, "column 'bmi', row 7: got 'nan', allowed is a finite number"),
    "attribute infinite": (
        cell(7, "bmi", "inf"),
        INSURANCE,
        "column 'bmi', row 7: got 'inf', allowed is a finite number",
    ),
    "a number of 400 digits": (cell(7, "charges", "9" * 400), INSURANCE, "column 'charges', row 7: got '9999"),
    "an empty cell": (
        cell(7, "bmi", ""),
        INSURANCE,
        "column 'bmi' has 1 missing values, the first in row 7; missing.treat",
    ),
    "an empty category": (cell(7, "smoker", ""), INSURANCE, "column 'smoker' has 1 missing values, the first in row 7"),
    "outside the domain": (
        TEXT,
        but(domain=[25, 35]),
        "of 400 rows have 'bmi' outside the schema's domain [25, 35] (they go from 16",
    ),
    "label with one value": (
        pima().assign(Outcome=1).to_csv(index=False),
        PIMA,
        "column 'Outcome' is '1' in every row",
    ),
    "label with three values": (
        pima().assign(Outcome=lambda f: f.index % 3).to_csv(index=False),
        PIMA,
        "has 3 values ('0', '1', '2'), so the schema has to say",
    ),
    "label of two words": (
        pima().replace({"Outcome": {0: "no", 1: "yes"}}).to_csv(index=False),
        PIMA,
        "has 2 values ('no', 'yes'), so the schema",
    ),
    "positive that nobody has": (
        pima().to_csv(index=False),
        PIMA | {"label": {"column": "Outcome", "positive": "yes"}},
        "label.positive: got 'yes', allowed is one of them",
    ),
    "a constant attribute": (
        insurance().assign(bmi=30).to_csv(index=False),
        INSURANCE,
        "the attribute 'bmi' is 30 in every row",
    ),
    "two columns of one name": (TEXT.replace("charges", "age", 1), INSURANCE, "column 'age' appears 2 times"),
    "10,000 levels": (STREETS, INSURANCE, "column 'region' has 2000 categories, allowed are at most 64"),
    "too few rows": ("\n".join(TEXT.splitlines()[:80]), INSURANCE, "got 79 rows, allowed is at least 100"),
    "too few rows are left": (
        pima().assign(BMI=lambda f: f["BMI"].where(f.index < 90, 0)).to_csv(index=False),
        PIMA,
        "more have missing values), allowed is at least 100",
    ),
    "a header and no rows": (TEXT.splitlines()[0], INSURANCE, "has a header but no rows"),
    "no header": (
        TEXT.split("\n", 1)[1],
        INSURANCE,
        "its first row looks like data: columns = [...] names those of a file without",
    ),
    "a header that is named again": (
        TEXT,
        but(columns=list(insurance())),
        "its first row is a header, so the schema needs no columns",
    ),
    "columns of another file": (TEXT.split("\n", 1)[1], ADULT, "has 7 columns, but the schema names 15 in columns"),
    "a row too long": (
        TEXT.replace("\n", ",1\n").replace("charges,1", "charges"),
        INSURANCE,
        "cannot be read as a CSV file",
    ),
    "two features of one name": (
        TEXT.replace("age,", "sex=male,", 1),
        but(numeric=["sex=male", "children", "charges"]),
        "two features would be called 'sex=male'",
    ),
    "empty": ("", INSURANCE, "is empty"),
    "prose": (
        "Dear reader,\nthis is a letter.\n",
        INSURANCE,
        "no column is called 'bmi', which the schema has in attribute",
    ),
    "binary": ("\0\1\2" * 99, INSURANCE, "is not a CSV file (it holds binary data)"),
    "another encoding": (
        TEXT.replace("male", "männlich").encode("latin-1"),
        INSURANCE,
        "is not UTF-8 text; a spreadsheet can save it",
    ),
}


@pytest.mark.parametrize(("content", "schema", "expected"), BAD_PAIRS.values(), ids=BAD_PAIRS.keys())
def test_a_table_that_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, content: str | bytes, schema: dict, expected: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert expected in refusal(path, schema, f"data: {path}: ")


def refusal(path: str | Path, schema: object, begins: str) -> str:
    with pytest.raises(InputError) as error:
        load_table(path, schema=schema)
    line = str(error.value)
    assert line.isprintable()
    assert line.startswith(begins)
    return line


BAD_FILES = {
    "not TOML": ("attribute: bmi\n", "is not TOML ("),
    "empty": ("", "is empty"),
    "a table instead": (TEXT, "is not TOML ("),
    "nested without end": ("a = " + "[" * 3000, "is not TOML ("),
    "a list": ("numeric = 3", "attribute: is needed"),
    "a key twice": ("unit = 'a'\nunit = 'b'", "is not TOML ("),
    "another encoding": ("unit = 'größe'".encode("latin-1"), "is not UTF-8 text, so not a TOML file"),
    "binary": (b"\0" * 50, "is not a TOML file (it holds binary data)"),
}


@pytest.mark.parametrize(("content", "expected"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_toml_file_is_refused_by_its_name(tmp_path: Path, content: str | bytes, expected: str) -> None:
    path = tmp_path / "schema.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert expected in refusal("nowhere.csv", path, f"schema: {path}: ")


def test_a_schema_that_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal("nowhere.csv", tmp_path / "none.toml", "schema: ")
    assert "is a directory, not a TOML file" in refusal("nowhere.csv", tmp_path, "schema: ")
    assert "is a device" in refusal("nowhere.csv", "/dev/zero", "schema: ")
    assert "allowed is the path of a TOML file, or a dict" in refusal("nowhere.csv", 3, "schema: got 3")
    assert "cannot be read" in refusal("nowhere.csv", "a\0b", "schema: ")


@pytest.mark.parametrize("source", ["synthetic", "diabetes", "kaggle"])
def test_a_named_source_needs_no_schema(source: str) -> None:
    assert f"allowed is none for --data {source}" in refusal(source, INSURANCE, "schema: got ")


def test_a_table_of_another_shape_without_a_schema_is_told_of_it(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(TEXT, encoding="utf-8")
    assert "needs a schema, which `rp-tutorial data describe` writes" in refusal(tmp_path / "table.csv", None, "data: ")


@pytest.mark.parametrize("bad", [*BAD_SCHEMAS, *BAD_PAIRS])
def test_the_command_line_leaves_with_2_and_the_same_line(
    bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, schema, expected = BAD_PAIRS[bad] if bad in BAD_PAIRS else (TEXT, *BAD_SCHEMAS[bad])
    (tmp_path / "table.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "schema.toml").write_text(toml_of(schema), encoding="utf-8")
    line = f"run insurance-eligibility --data {tmp_path}/table.csv --schema {tmp_path}/schema.toml --out {tmp_path}/out"
    with pytest.raises(SystemExit) as left:
        main(line.split())
    out, err = capsys.readouterr()
    assert (left.value.code, out) == (2, "")
    assert err.startswith("rp-tutorial: ")
    assert err.count("\n") == 1
    assert expected in err
    assert not (tmp_path / "out").exists()
