"""A table of any shape by its schema: what is read is what stands in the file, however it is written."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
from own_tables import ADULT, INSURANCE, PIMA, WARD, adult, insurance, pima, ward

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.tables.own import is_number, to_numbers
from rp_tutorial.data.tables.people import PeopleTable
from rp_tutorial.data.tables.sources import load_at_most, load_table
from rp_tutorial.data.tables.tasks import ThresholdTask, table_task


def load(tmp_path: Path, content: str | bytes, schema: dict, name: str = "table.csv") -> PeopleTable:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_table(path, schema=schema)


def plain_rows(text: str, separator: str) -> list[list[str]]:
    """The cells by the standard library alone."""
    return [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=separator) if row]


def test_the_seven_columns_of_insurance_are_read_as_they_are(tmp_path: Path) -> None:
    frame = insurance()
    table = load(tmp_path, frame.to_csv(index=False), INSURANCE)
    pd.testing.assert_frame_equal(table.frame, frame.astype({"age": float, "children": float}), check_dtype=False)
    assert (table.attribute, table.unit, table.domain, table.near) == ("bmi", "kg/m^2", (10.0, 60.0), 1.25)
    assert table.numeric == ("age", "bmi", "children", "charges")
    assert table.categorical == ("sex", "smoker", "region")


def test_a_declared_zero_of_pima_leaves_its_row_out_and_an_undeclared_one_stays(tmp_path: Path) -> None:
    frame = pima()
    table = load(tmp_path, frame.to_csv(index=False), PIMA)
    taken = frame[(frame[["BMI", "Glucose", "BloodPressure"]] != 0).all(axis=1)]
    assert 0 < table.dropped == len(frame) - len(taken)
    for name in table.numeric:
        assert table.frame[name].tolist() == taken[name].tolist()
    assert table.frame["Outcome"].tolist() == taken["Outcome"].tolist()
    assert (table.frame["Pregnancies"] == 0).any()
    assert not {"Outcome", "Insulin"} & {*table.numeric, *table.categorical}


def test_adult_has_no_header_blanks_behind_commas_and_question_marks(tmp_path: Path) -> None:
    text = adult()
    table = load(tmp_path, text, ADULT)
    rows = [dict(zip(ADULT["columns"], row, strict=True)) for row in plain_rows(text, ",")]
    kept = [row for row in rows if "?" not in row.values()]
    assert table.dropped == len(rows) - len(kept) > 0
    assert table.frame["age"].tolist() == [float(row["age"]) for row in kept]
    assert table.frame["occupation"].tolist() == [row["occupation"] for row in kept]
    assert table.frame["income"].tolist() == [int(row["income"] == ">50K") for row in kept]


def test_a_missing_category_may_be_a_level_and_a_missing_number_never(tmp_path: Path) -> None:
    text = adult()
    schema = ADULT | {"missing": {"cells": ["?"], "treat": "category"}}
    table = load(tmp_path, text, schema)
    occupations = [row[6] for row in plain_rows(text, ",")]
    assert table.dropped == 0
    assert table.frame["occupation"].tolist() == [o if o != "?" else "(missing)" for o in occupations]
    lines = text.splitlines()
    lines[4] = "?" + lines[4][lines[4].index(",") :]
    assert load(tmp_path, "\n".join(lines), schema).dropped == 1


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_separators_marks_and_line_ends_make_no_difference(
    tmp_path: Path, separator: str, mark: str, line_end: str
) -> None:
    frame = insurance()
    text = mark + frame.to_csv(index=False, sep=separator, lineterminator=line_end)
    expected = load(tmp_path, frame.to_csv(index=False), INSURANCE).fingerprint
    assert load(tmp_path, text, INSURANCE).fingerprint == expected
    headless = (mark + frame.to_csv(index=False, header=False, sep=separator)).encode()
    assert load(tmp_path, headless, INSURANCE | {"columns": list(frame)}).fingerprint == expected


def test_decimal_commas_are_read_where_they_are_declared_and_refused_where_not(tmp_path: Path) -> None:
    text = ward()
    table = load(tmp_path, text, WARD)
    rows = plain_rows(text, ";")[1:]
    assert table.frame["Gewicht"].tolist() == [float(row[2].replace(",", ".")) for row in rows]
    with pytest.raises(InputError, match=r"row 1: got '1,\d+', allowed is a finite number; decimal = \",\" reads"):
        load(tmp_path, text, WARD | {"decimal": "."})
    thousands = text.replace(rows[0][2], "1.078,5", 1)
    with pytest.raises(InputError, match=r"column 'Gewicht', row 1: got '1\.078,5'"):
        load(tmp_path, thousands, WARD)


def test_na_and_none_are_levels_until_they_are_declared(tmp_path: Path) -> None:
    text = ward()
    table = load(tmp_path, text, WARD)
    found = [row[4 - 1] for row in plain_rows(text, ";")[1:]]
    assert table.frame["Allergie"].tolist() == found
    assert {"NA", "None"} < set(found)
    declared = WARD | {"missing": {"values": {"Allergie": ["NA"]}, "treat": "drop"}}
    assert load(tmp_path, text, declared).frame["Allergie"].tolist() == [level for level in found if level != "NA"]


def test_a_home_folder_a_pipe_and_a_toml_file_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = insurance().to_csv(index=False).encode()
    (tmp_path / "table.csv").write_bytes(content)
    lines = [f"{key} = {value!r}" for key, value in INSURANCE.items() if key != "label"]
    (tmp_path / "schema.toml").write_text("\ufeff" + "\n".join([*lines, "label.quantile = 0.9"]), encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = load_table("~/table.csv", schema="~/schema.toml")
    assert (expected.fingerprint, expected.label.quantile) == (load(tmp_path, content, INSURANCE).fingerprint, 0.9)
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    assert load_table(tmp_path / "pipe", schema=INSURANCE).fingerprint == expected.fingerprint
    writer.join()


def test_rows_are_a_seeded_subset_with_a_fingerprint_of_its_own(tmp_path: Path) -> None:
    whole = load(tmp_path, insurance().to_csv(index=False), INSURANCE)
    some = load_table(tmp_path / "table.csv", schema=INSURANCE, rows=150, seed=3)
    assert len(some.frame) == 150
    assert some.fingerprint != whole.fingerprint
    assert some.domain == whole.domain
    assert load_at_most(tmp_path / "table.csv", 9999, schema=INSURANCE).fingerprint == whole.fingerprint
    assert load_at_most(tmp_path / "table.csv", 150, schema=INSURANCE, seed=3).fingerprint == some.fingerprint


def test_what_is_a_number_is_a_plain_decimal_and_becomes_the_nearest_double() -> None:
    good = ["0", "-1", "+2.5", ".5", "5.", "1e3", "-1.25E-4", "0.1", "123456789.123456789"]
    bad = ["", " ", "nan", "inf", "0x10", "1_000", "1,5", "1.5.2", "e5", "--1", "1e", "٣", "True", "1 2", "."]
    assert is_number(pd.Series(good)).all()
    assert not is_number(pd.Series(bad)).any()
    assert to_numbers(pd.Series(good)).tolist() == [float(text) for text in good]
    assert np.isnan(to_numbers(pd.Series(bad))).all()
    assert to_numbers(pd.Series(["1,5", "1.5", "2"]), ",").tolist()[::2] == [1.5, 2.0]


def test_the_task_is_the_one_that_the_schema_says(tmp_path: Path) -> None:
    text = insurance().to_csv(index=False)
    above = table_task(load(tmp_path, text, INSURANCE | {"label": {"above": 30}}))
    assert isinstance(above, ThresholdTask)
    assert above.threshold == 30
    assert above.y_test.tolist() == [int(value > 30) for value in above.test_attribute.tolist()]
    quantile = table_task(load(tmp_path, text, INSURANCE))
    train = quantile.attribute_of(quantile.x_train.double())
    assert quantile.threshold == pytest.approx(float(np.quantile(train.numpy(), 0.9)), rel=1e-6)
    decided = table_task(load(tmp_path, pima().to_csv(index=False), PIMA))
    assert decided.feature_names[decided.attribute_column] == "BMI"
    assert "Outcome" not in decided.feature_names
    with pytest.raises(InputError, match=r"^table: got 'diabetes', allowed is one that was loaded with a schema"):
        table_task(load_table("diabetes"))
