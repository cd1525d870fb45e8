"""The door to the insurance table: what it accepts, what it refuses in one line, and what it says about columns."""

import os
import sys
import types
from threading import Thread

import numpy as np
import pandas as pd
import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.tables import insurance
from rp_tutorial.data.tables.insurance import read_csv
from rp_tutorial.data.tables.people import LEAKING, PeopleTable, fingerprint
from rp_tutorial.data.tables.schema import CATEGORICAL, COLUMNS
from rp_tutorial.data.tables.sources import load_table
from rp_tutorial.data.tables.synthetic import generate


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return generate(300, seed=5)


@pytest.fixture
def write(tmp_path):
    """Write a frame, text or bytes to a file of its own and give back the path."""

    def to_file(content, name="table.csv"):
        path = tmp_path / name
        if isinstance(content, pd.DataFrame):
            content.to_csv(path, index=False)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to_file


def refusal(path) -> str:
    """The line that `read_csv` refuses `path` with, checked to be one line in the house's voice."""
    with pytest.raises(InputError) as error:
        read_csv(path)
    line = str(error.value)
    assert "\n" not in line
    assert "\r" not in line
    assert len(line) <= 400 + len(str(path))
    assert line.startswith(f"data: {path}: ")
    assert "Traceback" not in line
    return line


# --- What is accepted -------------------------------------------------------------------------------------------------


def test_what_was_generated_comes_back_unchanged(frame, write):
    back = read_csv(write(frame))
    pd.testing.assert_frame_equal(back, frame)
    assert fingerprint(back) == fingerprint(frame)


def test_column_order_and_further_columns_do_not_matter(frame, write):
    changed = frame[list(reversed(COLUMNS))].assign(note="free, text", unnamed=1)
    assert fingerprint(read_csv(write(changed))) == fingerprint(frame)


def test_a_saved_index_is_just_a_further_column(frame, tmp_path):
    path = tmp_path / "with_index.csv"
    frame.to_csv(path)
    assert fingerprint(read_csv(path)) == fingerprint(frame)


def test_whole_numbers_may_be_written_as_decimals(frame, write):
    decimals = frame.astype({"age": float, "person_id": float, "hypertension": float})
    path = write(decimals)
    assert ".0," in path.read_text().splitlines()[1]
    back = read_csv(path)
    assert back["age"].dtype == np.int64
    assert fingerprint(back) == fingerprint(frame)


@pytest.mark.parametrize("cell", ["", "None", "NaN"])
def test_no_alcohol_is_a_category_of_its_own(frame, write, cell):
    path = write(frame.assign(alcohol_freq=frame.alcohol_freq.replace("None", cell)))
    back = read_csv(path)
    assert (back.alcohol_freq == "None").sum() == (frame.alcohol_freq == "None").sum() > 0


def test_a_byte_order_mark_and_windows_line_ends_are_read(frame, write):
    text = frame.to_csv(index=False, lineterminator="\r\n")
    assert fingerprint(read_csv(write(b"\xef\xbb\xbf" + text.encode()))) == fingerprint(frame)


def test_an_unknown_plan_is_a_new_category_not_an_error(frame, write):
    back = read_csv(write(frame.assign(plan_type=["XPO"] + ["HMO"] * (len(frame) - 1))))
    assert back.plan_type[0] == "XPO"


def test_real_rows_are_read(real_insurance_csv):
    table = load_table(str(real_insurance_csv))
    assert table.frame.shape == (5000, 54)
    assert (table.frame.alcohol_freq == "None").mean() == pytest.approx(0.3, abs=0.03)


# --- What is refused --------------------------------------------------------------------------------------------------


def edited(frame: pd.DataFrame, row: int, **cells) -> pd.DataFrame:
    """A copy with some cells of one row (counted from 1) replaced, whatever their type."""
    copy = frame.astype(dict.fromkeys(cells, object))
    for name, value in cells.items():
        copy.loc[row - 1, name] = value
    return copy


BAD_VALUES = {
    "text for a number": ({"bmi": "heavy"}, "column 'bmi', row 7: got 'heavy', allowed is a number"),
    "text for a count": ({"age": "4O"}, "column 'age', row 7: got '4O', allowed is a number"),
    "decimal comma": ({"income": "50,3"}, "column 'income', row 7: got '50,3', allowed is a number"),
    "missing BMI": ({"bmi": None}, "column 'bmi' has 1 missing values, the first in row 7"),
    "missing category": ({"smoker": ""}, "column 'smoker' has 1 missing values, the first in row 7"),
    "missing count": ({"age": "NA"}, "column 'age' has 1 missing values, the first in row 7"),
    "BMI too low": ({"bmi": 9.9}, "column 'bmi', row 7: got 9.9, allowed is a number from 10 to 80"),
    "BMI too high": ({"bmi": 80.1}, "column 'bmi', row 7: got 80.1, allowed is a number from 10 to 80"),
    "infinite income": ({"income": "inf"}, "column 'income', row 7: got inf, allowed is a finite number"),
    "negative count": ({"visits_last_year": -1}, "column 'visits_last_year', row 7: got -1, allowed is a finite"),
    "negative cost": ({"annual_medical_cost": -5.5}, "column 'annual_medical_cost', row 7: got -5.5, allowed is"),
    "fraction of a person": ({"household_size": 2.5}, "column 'household_size', row 7: got 2.5, allowed is a whole"),
    "flag of 2": ({"diabetes": 2}, "column 'diabetes', row 7: got 2, allowed is 0 or 1"),
    "age of 130": ({"age": 130}, "column 'age', row 7: got 130, allowed is a number from 0 to 120"),
    "score above 1": ({"risk_score": 1.2}, "column 'risk_score', row 7: got 1.2, allowed is a number from 0 to 1"),
    "unknown smoker": ({"smoker": "Rarely"}, "column 'smoker', row 7: got 'Rarely', allowed is one of Never, Former"),
}


@pytest.mark.parametrize(("cells", "expected"), BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_a_bad_value_is_refused_with_its_column_and_row(frame, write, cells, expected):
    assert expected in refusal(write(edited(frame, 7, **cells)))


def lines(frame: pd.DataFrame) -> list[str]:
    return frame.to_csv(index=False).splitlines()


BAD_FILES = {
    "empty": (lambda f: b"", "is empty"),
    "white space only": (lambda f: b" \n \n", "is empty"),
    "header only": (lambda f: lines(f)[0], "has a header but no rows"),
    "binary": (lambda f: bytes(range(256)) * 40, "is not a CSV file (it holds binary data)"),
    "a picture": (lambda f: b"\x89PNG\r\n\x1a\n" + bytes([200]) * 99, "is not UTF-8 text"),
    "not UTF-8 in the header": (lambda f: "größe,bmi\n1,2\n".encode("latin-1"), "is not UTF-8 text"),
    "not UTF-8 further down": (
        lambda f: edited(f, 250, region="Süden").to_csv(index=False).encode("latin-1"),
        "is not UTF-8 text",
    ),
    "another text": (lambda f: "Dear reader,\nthis is a letter.\n", "column 'person_id' is missing (and 53 more)"),
    "a row too long": (lambda f: "\n".join([*lines(f)[:9], lines(f)[9] + ",1"]), "cannot be read as a CSV file"),
    "every row too long": (
        lambda f: "\n".join([lines(f)[0]] + [row + ",1" for row in lines(f)[1:]]),
        "cannot be read as a CSV file",
    ),
    "a row too short": (
        lambda f: "\n".join(line.rsplit(",", 3)[0] if i == 9 else line for i, line in enumerate(lines(f))),
        "column 'proc_lab_count' has 1 missing values, the first in row 9",
    ),
    "an open quote": (
        lambda f: "\n".join('"' + line if i == 9 else line for i, line in enumerate(lines(f))),
        "cannot be read as a CSV file",
    ),
    "BMI missing": (lambda f: f.drop(columns="bmi"), "column 'bmi' is missing; got 53 columns"),
    "BMI misspelt": (lambda f: f.rename(columns={"bmi": "BMI"}), "column 'bmi' is missing; got 54 columns"),
    "BMI twice": (
        lambda f: "\n".join([lines(f)[0] + ",bmi"] + [row + ",30" for row in lines(f)[1:]]),
        "column 'bmi' appears 2 times",
    ),
    "truth values for a flag": (lambda f: f.assign(diabetes=f.diabetes == 1), "column 'diabetes', row 1: got "),
    "free text for a category": (
        lambda f: f.assign(region=[f"street {i}" for i in range(len(f))]),
        "column 'region': got 300 categories, allowed is at most 64 categories",
    ),
    "too few rows": (lambda f: f.iloc[:99], "got 99 rows, allowed is at least 100"),
    "every BMI missing": (lambda f: f.assign(bmi=None), "column 'bmi' has 300 missing values, the first in row 1"),
}


@pytest.mark.parametrize(("spoil", "expected"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_refused_in_one_line(frame, write, spoil, expected):
    assert expected in refusal(write(spoil(frame)))


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_semicolons_tabs_and_bars_are_recognised(frame, tmp_path, separator, encoding):
    frame.to_csv(tmp_path / "table.csv", index=False, sep=separator, encoding=encoding)
    assert fingerprint(read_csv(tmp_path / "table.csv")) == fingerprint(read_csv_of(frame, tmp_path))


def read_csv_of(frame, tmp_path):
    frame.to_csv(tmp_path / "commas.csv", index=False)
    return read_csv(tmp_path / "commas.csv")


def test_a_home_folder_and_a_pipe_are_read(frame, tmp_path, monkeypatch):
    expected = fingerprint(read_csv_of(frame, tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fingerprint(read_csv("~/commas.csv")) == expected
    os.mkfifo(tmp_path / "pipe")
    content = (tmp_path / "commas.csv").read_bytes()
    writer = Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    assert fingerprint(read_csv(tmp_path / "pipe")) == expected
    writer.join()


@pytest.mark.parametrize("column", ["age", "bmi", "person_id"])
def test_a_number_of_400_digits_is_refused_in_one_line(frame, tmp_path, column):
    spoilt = frame.astype({column: object})
    spoilt.loc[3, column] = "9" * 400
    spoilt.to_csv(tmp_path / "table.csv", index=False)
    assert "\n" not in refusal(tmp_path / "table.csv")


def test_a_device_is_refused(tmp_path):
    assert "is a device" in refusal("/dev/zero")


def test_a_missing_file_and_a_directory_are_refused(tmp_path):
    assert "no such file; allowed are synthetic, diabetes, kaggle or the path" in refusal(tmp_path / "nowhere.csv")
    assert "is a directory" in refusal(tmp_path)
    (tmp_path / "file").write_text("not a folder")
    assert "no such file" in refusal(tmp_path / "file" / "deeper.csv")
    assert "cannot be read (File name too long)" in refusal(tmp_path / ("x" * 300))


@pytest.mark.parametrize("source", ["", "  ", None, 3, b"synthetic", "synthetics", "a\0b"])
def test_an_unknown_source_is_refused_with_the_known_ones(source):
    with pytest.raises(InputError, match=r"^data: .*synthetic, diabetes, kaggle") as error:
        load_table(source)
    assert "\n" not in str(error.value)


def test_a_path_with_a_line_end_still_gives_one_line():
    with pytest.raises(InputError) as error:
        load_table("no\nsuch\nfile.csv")
    assert "\n" not in str(error.value)


# --- Rows, roles, fingerprint -----------------------------------------------------------------------------------------


def test_roles_leave_out_the_identifier_and_the_leak():
    table = load_table("synthetic", rows=200)
    assert isinstance(table, PeopleTable)
    assert set(table.numeric) | set(table.categorical) == set(COLUMNS) - {"person_id", *LEAKING}
    assert table.categorical == CATEGORICAL
    assert (table.attribute, table.unit, table.source) == ("bmi", "kg/m^2", "synthetic")
    assert "bmi" in table.numeric
    assert set(LEAKING) <= set(table.frame.columns)


def test_the_leak_can_be_let_in():
    table = load_table("synthetic", rows=200)
    leaky = table.with_leaking()
    assert leaky.numeric == table.numeric + LEAKING
    assert leaky.with_leaking().numeric == leaky.numeric
    assert leaky.fingerprint == table.fingerprint


def test_diabetes_is_numeric_throughout_and_has_no_leak():
    table = load_table("diabetes")
    assert table.frame.shape == (442, 10)
    assert table.categorical == ()
    assert table.frame.bmi.between(18, 42.3).all()
    with pytest.raises(InputError, match="diabetes has no column 'risk_score'"):
        table.with_leaking()


def test_rows_generate_or_choose_a_seeded_subset(frame, write):
    assert len(load_table("synthetic", rows=1234).frame) == 1234
    path = str(write(frame))
    first, again, other = (load_table(path, rows=150, seed=seed) for seed in (1, 1, 2))
    assert len(first.frame) == 150
    assert first.fingerprint == again.fingerprint != other.fingerprint
    kept = frame[frame.person_id.isin(first.frame.person_id)].reset_index(drop=True)
    pd.testing.assert_frame_equal(first.frame, kept)


@pytest.mark.parametrize(("source", "rows"), [("diabetes", 443), ("diabetes", 99), ("synthetic", 0), ("diabetes", 2.5)])
def test_too_many_or_too_few_rows_are_refused(source, rows):
    with pytest.raises(InputError, match=r"^rows: got"):
        load_table(source, rows=rows)


@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(InputError, match=r"^seed: got"):
        load_table("diabetes", seed=seed)


def test_seed_without_rows_leaves_a_file_as_it_is():
    assert load_table("diabetes", seed=0).fingerprint == load_table("diabetes", seed=1).fingerprint
    assert (
        load_table("synthetic", rows=200, seed=0).fingerprint != load_table("synthetic", rows=200, seed=1).fingerprint
    )


def test_fingerprint_is_of_the_content_not_of_its_storage(frame):
    stored_otherwise = frame.astype(dict.fromkeys(CATEGORICAL, object)).astype({"age": float, "smoker": "category"})
    stored_otherwise.index = stored_otherwise.index + 10
    assert fingerprint(stored_otherwise) == fingerprint(frame)
    assert len(fingerprint(frame)) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.iloc[::-1],
        lambda f: f.iloc[:-1],
        lambda f: f.rename(columns={"bmi": "BMI"}),
        lambda f: edited(f, 3, bmi=f.bmi[2] + 0.1),
        lambda f: edited(f, 3, smoker="Often"),
    ],
)
def test_fingerprint_changes_with_the_content(frame, change):
    assert fingerprint(change(frame)) != fingerprint(frame)


def test_fingerprint_of_a_known_table_does_not_drift():
    table = pd.DataFrame({"bmi": [27.0, 30.5], "smoker": ["Never", "Current"]})
    assert fingerprint(table) == "ce6ba015f27cb45426e34d27adae38c06cf5a3b118517fd8c354b1bc51e61317"


# --- Kaggle -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def kagglehub(monkeypatch, tmp_path):
    """kagglehub with its download function replaced by one that gives a folder on this machine."""
    module = sys.modules.get("kagglehub") or types.ModuleType("kagglehub")
    asked = []

    def dataset_download(handle):
        asked.append(handle)
        return str(tmp_path)

    monkeypatch.setitem(sys.modules, "kagglehub", module)
    monkeypatch.setattr(module, "dataset_download", dataset_download, raising=False)
    return types.SimpleNamespace(module=module, folder=tmp_path, asked=asked)


def test_kaggle_reads_the_right_file_of_the_downloaded_folder(frame, kagglehub):
    (kagglehub.folder / "a_readme.csv").write_text("column,meaning\nbmi,body mass index\n")
    inner = kagglehub.folder / "versions" / "1"
    inner.mkdir(parents=True)
    frame.to_csv(inner / "medical_insurance.csv", index=False)
    table = load_table("kaggle")
    assert table.source == "kaggle"
    assert table.fingerprint == fingerprint(frame)
    assert kagglehub.asked == ["mohankrishnathalla/medical-insurance-cost-prediction"]


def test_kaggle_without_the_file_says_what_it_found(kagglehub):
    (kagglehub.folder / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"^data: kaggle: no CSV with the 54 columns .*other\.csv"):
        load_table("kaggle")


def test_kaggle_offline_says_how_to_get_the_file_by_hand(kagglehub, monkeypatch):
    def unreachable(handle):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(kagglehub.module, "dataset_download", unreachable)
    with pytest.raises(InputError) as error:
        load_table("kaggle")
    line = str(error.value)
    assert line.startswith("data: kaggle: the download failed (no route to host)")
    assert "by hand" in line
    assert "\n" not in line


def test_kaggle_without_kagglehub_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(InputError, match=r'pip install "rp-tutorial\[kaggle\]".*by hand'):
        insurance.kaggle()
