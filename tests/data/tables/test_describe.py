"""A schema written by looking: it can be read again, and says of a file what its maker knows of it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from own_tables import adult, insurance, pima, ward

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.tables.describe import describe
from rp_tutorial.data.tables.sources import load_table
from rp_tutorial.data.tables.synthetic import generate

SHAPES = {
    "insurance": insurance().to_csv(index=False),
    "pima": pima().to_csv(index=False),
    "adult": adult(),
    "ward": "\ufeff" + ward(),
    "tabs": insurance().to_csv(index=False, sep="\t"),
    "54 columns": generate(300, seed=0).to_csv(index=False),
    "a saved index": insurance().to_csv(),
    "quotes and bars": insurance().rename(columns={"age": 'age "in years"', "bmi": "b|mi"}).to_csv(index=False),
}


def said(tmp_path: Path, content: str) -> dict:
    """What `describe` says of a file, as data."""
    path = tmp_path / "table.csv"
    path.write_text(content, encoding="utf-8")
    return tomllib.loads(describe(path))


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_written_is_read_as_it_is(tmp_path: Path, shape: str) -> None:
    schema = said(tmp_path, SHAPES[shape])
    table = load_table(tmp_path / "table.csv", schema=schema)
    low, high = schema["domain"]
    values = table.frame[table.attribute]
    assert low <= values.min() < values.max() <= high
    (tmp_path / "schema.toml").write_text(describe(tmp_path / "table.csv"), encoding="utf-8")
    assert load_table(tmp_path / "table.csv", schema=tmp_path / "schema.toml").fingerprint == table.fingerprint


def test_insurance_is_about_bmi_with_a_rule(tmp_path: Path) -> None:
    found = said(tmp_path, SHAPES["insurance"])
    assert (found["attribute"], found["unit"], found["label"]) == ("bmi", "kg/m^2", {"quantile": 0.9})
    assert found["domain"] == [insurance()["bmi"].min(), insurance()["bmi"].max()]
    assert (found["numeric"], found["categorical"]) == (["age", "children", "charges"], ["sex", "smoker", "region"])


def test_zeros_of_the_attribute_that_nobody_has_are_declared_and_others_proposed(tmp_path: Path) -> None:
    found = said(tmp_path, SHAPES["pima"])
    assert (found["attribute"], found["label"]) == ("BMI", {"column": "Outcome", "positive": 1})
    assert found["missing"]["values"] == {"BMI": [0]}
    assert found["domain"][0] >= 18
    assert '# values = { "BMI" = [0], "Glucose" = [0], "BloodPressure" = [0] }' in describe(tmp_path / "table.csv")


def test_a_first_row_of_data_is_said_to_be_one(tmp_path: Path) -> None:
    found, decided = said(tmp_path, SHAPES["adult"]), [row.split(", ")[-1] for row in adult().splitlines() if row]
    assert found["columns"] == [f"column_{i}" for i in range(1, 16)]
    assert found["label"] == {
        "column": "column_15",
        "positive": min(set(decided), key=decided.count),
    }
    assert found["missing"] == {"cells": ["?"], "treat": "drop"}
    assert "The first row looks like data" in describe(tmp_path / "table.csv")


def test_a_spreadsheet_with_decimal_commas_and_levels_called_na(tmp_path: Path) -> None:
    found = said(tmp_path, SHAPES["ward"])
    assert found["decimal"] == ","
    assert found["label"] == {"column": "Diät", "positive": "ja"}
    assert found["left_out"] == ["Fall"]
    table = load_table(tmp_path / "table.csv", schema=found)
    assert {"NA", "None"} < set(table.frame["Allergie"])
    assert table.dropped == 0


def test_identifiers_constants_repeats_and_words_for_missing_numbers_are_seen(tmp_path: Path) -> None:
    frame = insurance()
    frame = frame.assign(
        patient=range(1000, 1400), country="US", bmi_rounded=frame["bmi"].round(1), name=[f"n{i}" for i in range(400)]
    ).astype({"age": object})
    frame.loc[[3, 5], "age"] = "NA"
    found = said(tmp_path, frame.to_csv(index=False))
    assert set(found["left_out"]) == {"patient", "country", "bmi_rounded", "name"}
    assert found["missing"]["values"] == {"age": ["NA"]}
    assert load_table(tmp_path / "table.csv", schema=found).dropped == 2


def test_names_of_columns_cannot_break_the_file(tmp_path: Path) -> None:
    names = {"age": 'a"b', "sex": "s\\x", "region": "r]\n[label]", "charges": "c\x7f#"}
    found = said(tmp_path, insurance().rename(columns=names).to_csv(index=False))
    assert {*found["numeric"], *found["categorical"]} >= {'a"b', "s\\x", "c\x7f#"}


BAD = {
    "empty": ("", "is empty"),
    "prose": ("Dear reader,\nthis is a letter.\n", "got 1 rows, allowed is at least 100"),
    "no numbers": ("a,b\n" + "x,u\ny,v\n" * 60, "has no column of numbers"),
    "one name twice": (SHAPES["insurance"].replace("charges", "age", 1), "column 'age' appears 2 times"),
    "binary": ("\0" * 9, "is not a CSV file (it holds binary data)"),
    "ragged": (SHAPES["insurance"].replace("\n", ",1\n").replace("charges,1", "charges"), "cannot be read as a CSV"),
}


@pytest.mark.parametrize(("content", "expected"), BAD.values(), ids=BAD.keys())
def test_what_is_no_table_is_refused_in_one_line(tmp_path: Path, content: str, expected: str) -> None:
    with pytest.raises(InputError) as error:
        said(tmp_path, content)
    assert str(error.value).startswith(f"data: {tmp_path}/table.csv: ")
    assert expected in str(error.value)
