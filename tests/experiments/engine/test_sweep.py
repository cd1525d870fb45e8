"""Sweeps: cells side by side, remembered by content, whole after failures, killed workers and a killed node."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rp_tutorial.cli import main
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.registry import load_parts, loaded_parts
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS
from rp_tutorial.experiments.engine.grid import Cell, read_grid
from rp_tutorial.experiments.engine.stages import kept
from rp_tutorial.experiments.engine.sweep import sweep

SQUARES = Path(__file__).resolve().parents[2] / "helpers" / "squares.py"
GRID = 'profile = "smoke"\nseed = [0, 1]\n[fixed]\nfolder = "{folder}"\n[axes]\nx = [1.0, 2.0, 3.0]\n'


@pytest.fixture
def squares(own_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Cells of the experiment that squares, in a cache of their own; further lines may change the grid."""
    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(tmp_path / "cache"))
    load_parts(str(SQUARES))

    def cells(more: str = "", data: object = "synthetic") -> list[Cell]:
        file = tmp_path / "grid.toml"
        file.write_text(GRID.format(folder=tmp_path.as_posix()) + more, encoding="utf-8")
        return read_grid(file, "squares", data=str(data))

    yield cells
    EXPERIMENTS.remove("squares")


def swept(cells: list[Cell], **how: Any) -> list[dict[str, Any]]:
    return sweep(cells, parts=(str(SQUARES),), **how)


def results(rows: list[dict[str, Any]]) -> list[Any]:
    return [row["document"] and row["document"]["results"] for row in rows]


WANTED = [{"square": x * x, "seed": seed} for seed in (0, 1) for x in (1.0, 2.0, 3.0)]


def test_cells_are_computed_once_and_remembered_by_their_content(squares: Any, tmp_path: Path) -> None:
    cells = squares()
    first = swept(cells, out=tmp_path / "out")
    assert results(first) == WANTED
    assert {row["status"] for row in first} == {"finished"}
    again = swept(cells, engine="local", jobs=1)
    assert results(again) == WANTED
    assert {row["status"] for row in again} == {"remembered"}
    told = json.loads((tmp_path / "out" / "sweep.json").read_text(encoding="utf-8"))
    assert [row["at"] for row in told] == [cell.at for cell in cells]
    document = json.loads((tmp_path / "out" / "0002" / "results.json").read_text(encoding="utf-8"))
    assert document == first[2]["document"]


@pytest.mark.usefixtures("forks")
def test_a_damaged_entry_is_computed_again_and_a_cell_of_other_code_is_not_believed(squares: Any) -> None:
    cells = squares()[:2]
    swept(cells)
    for path in kept():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    rows = swept(cells)
    assert results(rows) == WANTED[:2]
    assert {row["status"] for row in rows} == {"finished"}


@pytest.mark.usefixtures("forks")
def test_a_failed_cell_is_reported_with_its_reason_and_a_lost_worker_costs_its_cell_a_retry(
    squares: Any, tmp_path: Path
) -> None:
    rows = swept(squares("kills = [0, 1]\nfails = [false, true]\n")[:8])
    assert [row["status"] for row in rows] == ["finished", "failed"] * 4
    assert {row["reason"] for row in rows[1::2]} == {"RuntimeError('no square today')"}
    assert [found["square"] for found in results(rows)[::2]] == [1.0, 1.0, 4.0, 4.0]
    assert len(list(tmp_path.glob("killed-*"))) == 2


@pytest.mark.usefixtures("forks")
def test_a_cell_that_kills_every_worker_is_given_up(squares: Any) -> None:
    rows = swept(squares("kills = [9]\n")[:1])
    assert rows[0]["status"] == "failed"
    assert "its worker was lost 3 times" in rows[0]["reason"]


def test_two_nodes_of_ray_give_the_local_results_and_so_they_do_when_one_is_killed(
    squares: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).resolve().parents[3])]))
    cells = squares("seconds = [0.3]\n")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second, seen = cluster.add_node(num_cpus=1), []
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")

        def kill_one(row: dict[str, Any]) -> None:
            seen.append(row["cell"])
            if len(seen) == 1:
                cluster.remove_node(second, allow_graceful=False)

        rows = swept(cells, engine="ray", progress=kill_one)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert results(rows) == WANTED
    assert sorted(seen) == list(range(6))
    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(tmp_path / "another"))
    local = swept(cells)
    assert {row["status"] for row in local} == {"finished"}
    assert json.dumps(results(local)) == json.dumps(results(rows))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"engine": "slurm"}, "engine: got 'slurm', allowed is one of local, ray"),
        ({"jobs": 0}, "jobs"),
        ({"gpus": -1.0}, "gpus"),
        ({"out": SQUARES}, "is not a folder"),
    ],
)
def test_what_no_sweep_can_do_is_refused_before_it_begins(squares: Any, how: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as refused:
        swept(squares(), **how)
    assert said in str(refused.value)


@pytest.mark.usefixtures("forks")
def test_the_command_line_tells_every_cell_and_leaves_with_one_where_some_failed(
    squares: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    squares("fails = [false, true]\n")
    asked = ["--with", str(SQUARES), "sweep", "squares", "--grid", str(tmp_path / "grid.toml")]
    with pytest.raises(SystemExit) as left:
        main([*asked, "--out", str(tmp_path / "out")])
    assert left.value.code == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "0000  finished   seed = 0, x = 1.0, fails = False"
    assert said[1] == "0001  failed     seed = 0, x = 1.0, fails = True: RuntimeError('no square today')"
    assert said[-1] == f"6 of 12 cells are in {tmp_path / 'out'}; the same command tries the others again"
    assert str(SQUARES) in loaded_parts()
    squares()
    with pytest.raises(SystemExit) as left:
        main([*asked, "--out", str(tmp_path / "out")])
    assert left.value.code == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"6 of 6 cells are in {tmp_path / 'out'}"


@pytest.mark.usefixtures("forks")
def test_cells_of_a_file_that_has_changed_are_computed_again(squares: Any, tmp_path: Path) -> None:
    (tmp_path / "factor").write_text("1.0")
    cells = squares(data=tmp_path / "factor")
    assert results(swept(cells)) == WANTED
    (tmp_path / "factor").write_text("3.0")
    assert results(swept(cells)) == [{**wanted, "square": 3 * wanted["square"]} for wanted in WANTED]
