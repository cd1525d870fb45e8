"""The command line: what it prints, its exit codes, and one line for every kind of bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import rp_tutorial
from rp_tutorial.cli import main
from rp_tutorial.core.files import write_sealed
from rp_tutorial.data.tables.synthetic import generate
from rp_tutorial.experiments.engine.documents import published
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that go wrong, each in its own way."""
    folder = tmp_path_factory.mktemp("bad")
    good = generate(300, seed=0)

    def write(name: str, frame: pd.DataFrame) -> None:
        frame.to_csv(folder / f"{name}.csv", index=False)

    write("good", good)
    write("missing-column", good.drop(columns="bmi"))
    write("wrong-type", good.astype({"age": object}).replace({"age": {good["age"][0]: "old"}}))
    write("missing-value", good.assign(bmi=good["bmi"].where(good.index != 7)))
    write("bmi-too-low", good.assign(bmi=good["bmi"].where(good.index != 7, 3.0)))
    write("bmi-too-high", good.assign(bmi=good["bmi"].where(good.index != 7, 99.0)))
    write("no-rows", good.head(0))
    write("few-rows", good.head(20))
    write("one-label", good.assign(bmi=27.0))
    (folder / "to-nothing").symlink_to("nowhere")
    (folder / "to-itself").symlink_to("to-itself")
    (folder / "taken" / "results.json").mkdir(parents=True)
    (folder / "empty.csv").write_text("")
    (folder / "picture.csv").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00" * 50)
    (folder / "prose.csv").write_text("Not a table.\nJust a few words, and a comma.\n")
    (folder / "not-results").mkdir()
    (folder / "not-results" / "results.json").write_text('{"experiment": "x"}')
    (folder / "broken-results").mkdir()
    (folder / "broken-results" / "results.json").write_text("{")
    return folder


BAD_INPUT = {
    "unknown command": "invert",
    "no experiment": "run",
    "unknown experiment": "run bmi",
    "unknown profile": "run insurance-threshold --profile huge",
    "unknown device": "run insurance-threshold --device tpu",
    "a device of another library": "run insurance-threshold --device gpu",
    "unknown cache action": "cache purge",
    "negative seed": "run insurance-threshold --seed -1",
    "seed is a word": "run insurance-threshold --seed zero",
    "unknown setting": "run insurance-threshold --set sigmaz=1",
    "a setting without a value": "run insurance-threshold --set sigmas",
    "a setting of another type": "run insurance-threshold --set n=many",
    "no such file of parts": "--with {bad}/nowhere.py doctor",
    "a file of parts that cannot be run": "--with {bad}/prose.csv doctor",
    "unknown option": "run insurance-threshold --sigma 1",
    "option without a value": "run insurance-threshold --seed",
    "out is a file": "run insurance-threshold --profile smoke --out {bad}/good.csv",
    "out below a file": "run insurance-threshold --profile smoke --out {bad}/good.csv/below",
    "out is a link to nothing": "run insurance-threshold --profile smoke --out {bad}/to-nothing",
    "out is a link to itself": "run insurance-threshold --profile smoke --out {bad}/to-itself",
    "out has a folder where results go": "run insurance-threshold --profile smoke --out {bad}/taken",
    "no such file": "run insurance-threshold --data {bad}/nowhere.csv",
    "a folder": "run insurance-threshold --data {bad}",
    "missing column": "run insurance-threshold --data {bad}/missing-column.csv",
    "wrong type": "run insurance-threshold --data {bad}/wrong-type.csv",
    "missing value": "run insurance-threshold --data {bad}/missing-value.csv",
    "BMI too low": "run insurance-threshold --data {bad}/bmi-too-low.csv",
    "BMI too high": "run insurance-threshold --data {bad}/bmi-too-high.csv",
    "no rows": "run insurance-threshold --data {bad}/no-rows.csv",
    "few rows": "run insurance-threshold --data {bad}/few-rows.csv",
    "one label": "run insurance-threshold --data {bad}/one-label.csv",
    "empty file": "run insurance-threshold --data {bad}/empty.csv",
    "a picture": "run insurance-threshold --data {bad}/picture.csv",
    "prose": "run insurance-threshold --data {bad}/prose.csv",
    "data without a verb": "data",
    "unknown data set": "data check voices {bad}",
    "no source of faces": "data check faces {bad}",
    "no such face folder": "data check faces folder:{bad}/nowhere",
    "check nothing": "data check insurance",
    "check a bad file": "data check insurance {bad}/missing-value.csv",
    "unknown format": "ledger --format pdf",
    "no results": "ledger --results {bad}/nowhere",
    "foreign results": "ledger --results {bad}/not-results",
    "broken results": "ledger --results {bad}/broken-results",
}


def call(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(line.split())
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


@pytest.mark.parametrize("line", BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_one_line_and_exit_code_2(
    line: str, bad_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in bad_files.rglob("*") if path.is_file()}
    code, out, err = call(line.format(bad=bad_files), capsys)
    assert code == 2
    assert out == ""
    assert err.startswith("rp-tutorial: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [], "something half-written"
    assert {path: path.read_bytes() for path in bad_files.rglob("*") if path.is_file()} == before


def test_bad_files_are_named_with_what_is_wrong(bad_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = {"missing-column": "bmi", "wrong-type": "age", "missing-value": "bmi", "bmi-too-high": "99"}
    for name, word in told.items():
        _, _, err = call(f"data check insurance {bad_files / name}.csv", capsys)
        assert name in err
        assert word in err


def test_run_writes_results_and_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(f"run insurance-threshold --profile smoke --seed 0 --out {tmp_path / 'out'}", capsys)
    assert code == 0
    assert "base accuracy" in out
    assert "stage" in err, "progress goes to stderr"
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert document["experiment"] == "insurance-threshold"
    code, out, _ = call(f"ledger --results {tmp_path / 'out'} --format json", capsys)
    assert code == 0
    assert {row["data"] for row in json.loads(out)} == {"synthetic", ""}


def test_the_cache_is_measured_checked_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(tmp_path))
    write_sealed(tmp_path / "results" / "tiny" / "rows.json", b"[1]")
    write_sealed(tmp_path / "nets" / "tiny" / "net.pt", b"weights")
    assert "2 entries" in call("cache", capsys)[1]
    (tmp_path / "nets" / "tiny" / "net.pt").write_bytes(b"")
    code, out, _ = call("cache check", capsys)
    assert (code, out.count("net.pt")) == (0, 1)
    assert "rows.json" not in out
    assert "cleared" in call("cache clear", capsys)[1]
    assert "0 entries" in call("cache check", capsys)[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_output_that_cannot_be_written_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rp_tutorial", "ledger"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_says_that_the_same_command_resumes(number: int, tmp_path: Path) -> None:
    line = [
        sys.executable,
        "-m",
        "rp_tutorial",
        "run",
        "frontier",
        "--profile",
        "smoke",
        "--out",
        str(tmp_path / "out"),
    ]
    environment = {**os.environ, "RP_TUTORIAL_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    # Tests that a shell runs in the background ignore SIGINT, and so would what they start.
    run = subprocess.Popen(
        line, env=environment, stderr=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )
    while run.stderr.read(1) not in (b"", b"\r"):  # the bar of stages: the work has begun
        pass
    run.send_signal(number)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 130
    assert err.decode().rstrip().endswith("stopped; finished stages are kept and the same command resumes")


def test_run_all_gives_every_experiment_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = call(f"run all --profile smoke --out {tmp_path}", capsys)
    assert code == 0
    assert (tmp_path / "insurance-threshold" / "results.json").exists()


def test_doctor_names_versions_devices_data_and_profiles(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call("doctor", capsys)
    assert code == 0
    for word in (
        "torch",
        "devices",
        "insurance-threshold",
        "synthetic",
        "--profile gpu",
        "cache",
        "lfw",
        "celeba:PATH",
    ):
        assert word in out


def test_data_check_describes_a_file(bad_files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(f"data check insurance {bad_files / 'good.csv'}", capsys)
    assert code == 0
    assert "300 rows" in out
    assert "90th percentile" in out
    assert "fingerprint" in out


def test_run_says_which_data_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call("run --help", capsys)
    for word in ("synthetic", "kaggle", "lfw", "folder:PATH", "celeba:PATH"):
        assert word in out


@pytest.mark.parametrize("form", ["text", "markdown", "csv", "json"])
def test_the_ledger_prints_in_every_format(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(f"ledger --format {form}", capsys)
    assert code == 0
    assert "reproduced" in out


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 0
    assert "doctor" in capsys.readouterr().out


def test_version_is_printed_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version", capsys)[:2] == (0, f"{rp_tutorial.__version__}\n")


def test_the_file_of_the_command_line_is_a_command_too() -> None:
    done = subprocess.run([sys.executable, "-m", "rp_tutorial.cli", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{rp_tutorial.__version__}\n")


def test_letters_that_the_terminal_has_no_code_for_are_spelled_out(tmp_path: Path) -> None:
    (document,) = published("guarantee-audit")
    (tmp_path / "results.json").write_text(json.dumps(document | {"data": "日本.csv"}), encoding="utf-8")
    command = [sys.executable, "-m", "rp_tutorial", "ledger", "--results", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONIOENCODING": "cp1252"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u65e5\\u672c.csv" in done.stdout


def test_a_stop_by_keyboard_leaves_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rp_tutorial.doctor.report", interrupt)
    code, _, err = call("doctor", capsys)
    assert code == 130
    assert "resumes" in err


def test_the_installed_command_ends_with_2_on_bad_input() -> None:
    command = Path(sys.executable).with_name("rp-tutorial")
    done = subprocess.run([command, "run", "bmi"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"rp-tutorial: experiment: got 'bmi', allowed is one of {', '.join(EXPERIMENTS)}, all\n"
