"""The experiments on tables that people have, from the command line: described, run, and told in their own words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from own_tables import ADULT, INSURANCE, PIMA, WARD, adult, by_rule, insurance, pima, toml_of, ward

from rp_tutorial.cli import main
from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments.engine.experiment import experiment
from rp_tutorial.experiments.engine.runner import run
from rp_tutorial.ledger.verdicts import table as ledger

pytestmark = pytest.mark.usefixtures("own_cache")
TABLES = {
    "insurance.csv": (insurance().to_csv(index=False), INSURANCE, {"quantile": 0.9}),
    "pima.tsv": (pima().to_csv(index=False, sep="\t"), PIMA, {"above": 33}),
    "adult.data": (adult(), ADULT, {"quantile": 0.8}),
    "ward.csv": ("\ufeff" + ward(), WARD, {"above": 80}),
}
SMALLER = {  # the same work on fewer records
    "threshold": "--set trajectory_records=5 --set trajectory_points=100",
    "eligibility": "--set records=8 --set n_estimate=1000",
    "frontier": "--set task.records=20",
}


@pytest.fixture(scope="module", params=TABLES)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of the files."""
    path = tmp_path_factory.mktemp("own") / request.param
    path.write_text(TABLES[request.param][0], encoding="utf-8")
    return path


def call(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(line.split())
    return int(left.value.code or 0), *capsys.readouterr()


def ran(name: str, path: Path, schema: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[dict, str]:
    """The document of a run, and all that it told a reader."""
    line = f"run insurance-{name} --profile smoke --data {path} --schema {schema} --out {out} {SMALLER[name]}"
    code, said, err = call(line, capsys)
    assert code == 0, err
    others = [file.read_text(encoding="utf-8") for file in out.iterdir() if file.name != "results.json"]
    return json.loads((out / "results.json").read_text(encoding="utf-8")), "\n".join([said, *others])


@pytest.mark.parametrize("name", ["eligibility", "frontier"])
def test_an_experiment_runs_on_a_table_as_it_was_described(
    path: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(f"data describe {path} --out {tmp_path}/schema.toml", capsys)[0] == 0
    document, told = ran(name, path, tmp_path / "schema.toml", tmp_path / "out", capsys)
    check_told(document, told, path)


@pytest.mark.parametrize("name", SMALLER)
def test_an_experiment_runs_on_a_table_whose_schema_a_person_wrote(
    path: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, schema, rule = TABLES[path.name]
    (tmp_path / "s.toml").write_text(toml_of(by_rule(schema, **rule) if name == "threshold" else schema), "utf-8")
    document, told = ran(name, path, tmp_path / "s.toml", tmp_path / "out", capsys)
    check_told(document, told, path)
    (check_threshold if name == "threshold" else check_domain)(document, schema)


def check_told(document: dict, told: str, path: Path) -> None:
    """The words are those of the table."""
    results, schema = document["results"], document["schema"]
    assert document["data"] == path.name
    assert (results["attribute"], results["unit"]) == (schema["attribute"], schema["unit"])
    assert results["attribute"] in told
    assert results["unit"] in told
    if results["attribute"].lower() != "bmi":
        assert "bmi" not in told.lower()
        assert "kg/m" not in told


def check_threshold(document: dict, schema: dict) -> None:
    results, settings = document["results"], document["settings"]
    rule = TABLES[document["data"]][2]
    assert results["threshold"] == rule.get("above", results["threshold"])
    assert settings["quantile"] == rule.get("quantile", settings["quantile"])
    assert results["base"]["accuracy"] > 0.9
    width = (schema["domain"][1] - schema["domain"][0]) / 40
    assert results["bin_width"] == pytest.approx(settings["bin_width"] * width)
    farthest = settings["trajectory_step"] * settings["trajectory_points"] * width
    assert all(row["reach"] <= farthest * (1 + 1e-9) for row in results["trajectory"]["classifiers"])


def check_domain(document: dict, schema: dict) -> None:
    settings = document["settings"].get("task", document["settings"])
    assert settings["domain"] == schema["domain"]
    if "oracles" in document["results"]:
        low, high = schema["domain"]
        step = settings["step"] * document["results"]["near"]
        assert document["results"]["imputation"]["median_length"] == pytest.approx(high - low, abs=2 * step)
        assert all(0 <= row["median_length"] <= high - low + 2 * step for row in document["results"]["oracles"])


def written(tmp_path: Path, name: str) -> tuple[str, dict]:
    (tmp_path / name).write_text(TABLES[name][0], encoding="utf-8")
    return str(tmp_path / name), TABLES[name][1]


def test_the_label_of_eligibility_is_the_column_and_the_bit_of_the_frontier_the_median(tmp_path: Path) -> None:
    data, schema = written(tmp_path, "pima.tsv")
    lab = experiment("insurance-eligibility").lab("smoke", data=data, schema=schema)
    frame = pima()
    frame = frame[(frame[["BMI", "Glucose", "BloodPressure"]] != 0).all(axis=1)]
    labels = np.concatenate([lab.task.y_train.numpy(), lab.task.y_test.numpy()])
    assert sorted(labels.tolist()) == sorted(frame["Outcome"].tolist())
    frontier = experiment("insurance-frontier").lab("smoke", data=data, schema=schema)
    below = (frontier.bench.task.attribute_of(frontier.bench.task.x_train) < frontier.at_least - 1e-3).double().mean()
    assert 0.4 < float(below) <= 0.5
    assert (frontier.bench.grid[frontier.above] >= frontier.at_least - 1e-3).all()


def test_another_schema_is_another_stage_and_the_same_one_is_remembered(tmp_path: Path) -> None:
    data, schema = written(tmp_path, "insurance.csv")
    small = {"profile": "smoke", "data": data, "records": 2, "test_rows": 20, "sigmas": (1.0,), "train_steps": 5}

    def stages(**changes: object) -> tuple[dict, str]:
        lab = experiment("insurance-eligibility").lab(**small, schema=schema | changes)
        return lab.key, json.dumps(lab.key, sort_keys=True, default=str)

    first, again, other = stages(), stages(), stages(domain=[5, 70])
    assert first == again
    assert first[1] != other[1]
    assert first[0]["data"] == other[0]["data"]
    document = run("insurance-eligibility", **small, schema=schema)
    assert document["schema"]["domain"] == [10, 60]
    assert document["schema"]["label"] == {"quantile": 0.9, "above": None, "column": None, "positive": None}
    assert str(tmp_path) not in json.dumps(document)


def test_a_run_on_an_own_table_is_no_measurement_of_the_papers_claims(tmp_path: Path) -> None:
    data, schema = written(tmp_path, "insurance.csv")
    few = {"trajectory_records": 2, "trajectory_points": 5, "steps": 50, "sigmas": (1.0,)}
    document = run("insurance-threshold", profile="smoke", data=data, schema=schema, **few)
    assert "insurance.csv" not in set(ledger([document])["data"])


def test_the_threshold_experiment_refuses_a_label_column(tmp_path: Path) -> None:
    data, schema = written(tmp_path, "pima.tsv")
    with pytest.raises(InputError, match=r"^schema: got .*label.quantile or label.above: insurance-threshold decides"):
        experiment("insurance-threshold").lab("smoke", data=data, schema=schema)


@pytest.mark.parametrize("name", ["inversion", "guarantee-audit", "frontier"])
def test_an_experiment_without_a_table_takes_no_schema(name: str) -> None:
    with pytest.raises(InputError, match=rf"^schema: got .*allowed is none: {name} reads no table"):
        experiment(name).lab("smoke", schema=INSURANCE)


BAD_LINES = {
    "a schema without data": "run insurance-threshold --schema {folder}/schema.toml",
    "a schema that is not there": "run insurance-threshold --data {folder}/insurance.csv --schema {folder}/none.toml",
    "a schema of a kind of faces": "run inversion --schema {folder}/schema.toml",
    "faces with a schema": "data check faces synthetic --schema {folder}/schema.toml",
    "describe nothing": "data describe",
    "describe what is not there": "data describe {folder}/none.csv",
    "describe a folder": "data describe {folder}",
    "describe over a file": "data describe {folder}/insurance.csv --out {folder}/schema.toml",
    "describe below a file": "data describe {folder}/insurance.csv --out {folder}/schema.toml/x.toml",
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_bad_lines_end_with_2_in_one_line(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, "insurance.csv")
    (tmp_path / "schema.toml").write_text(toml_of(INSURANCE), encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    code, out, err = call(line.format(folder=tmp_path), capsys)
    assert (code, out) == (2, "")
    assert err.startswith("rp-tutorial: ")
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "schema.toml").read_text(encoding="utf-8") == toml_of(INSURANCE)


def test_what_a_schema_makes_of_a_table_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, "adult.data")
    (tmp_path / "schema.toml").write_text(toml_of(ADULT), encoding="utf-8")
    code, out, _ = call(f"data check insurance {tmp_path}/adult.data --schema {tmp_path}/schema.toml", capsys)
    assert code == 0
    for words in ("5 numeric and 8 categorical", "left out for missing values: ", "years", "decided 1 by income: "):
        assert words in out
