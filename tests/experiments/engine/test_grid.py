"""The grid of a sweep: what a TOML file spans, and what it is refused for."""

from __future__ import annotations

from pathlib import Path

import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments.engine.experiment import experiment
from rp_tutorial.experiments.engine.grid import read_grid

GRID = """
seed = [0, 1]
profile = "smoke"

[fixed]
targets = 6

[axes]
arms = [[{defense = "none"}], [{defense = "smoothing", sigma = 0.18, n = 10}]]
"attack.patience" = [3, 6]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "grid.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_combination_is_a_cell_and_the_last_axis_is_the_fastest(tmp_path: Path) -> None:
    cells = read_grid(written(tmp_path, GRID), "inversion")
    assert len(cells) == 8
    assert cells[0].name == "seed = 0, arms = none, attack.patience = 3"
    assert cells[1].at["attack.patience"] == "6"
    assert [cell.seed for cell in cells] == [0] * 4 + [1] * 4
    assert {cell.profile for cell in cells} == {"smoke"}
    settings = experiment("inversion").settings("smoke", **cells[-1].settings)
    assert (settings.targets, settings.attack.patience, settings.arms[0].n) == (6, 6, 10)


def test_the_key_of_a_cell_is_its_content_and_its_code_not_its_place(tmp_path: Path) -> None:
    cells = read_grid(written(tmp_path, GRID), "inversion")
    keys = [str(cell.key) for cell in cells]
    assert len(set(keys)) == 8
    same = read_grid(written(tmp_path, GRID.replace("seed = [0, 1]", "seed = 1")), "inversion")
    assert [str(cell.key) for cell in same] == keys[4:]
    assert cells[0].key["code"] == experiment("inversion").code


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("axes = 3", "table [axes]"),
        ("nonsense = 1", "got 'nonsense', allowed is one of profile, data, schema, seed, fixed, axes"),
        ("[axes]\npatience = [1]", "patience"),
        ("[axes]\ntargets = ['many']", "targets"),
        ("[axes]\ntargets = []", "an axis with a value or more"),
        ("[axes]\ntargets = [4, 4]", "two equal cells"),
        ("[axes\n", "a TOML file that can be read"),
        ("profile = 'huge'", "profile"),
        ("seed = 0\n[axes]\ntargets = " + str(list(range(1, 400))) + "\npool = " + str(list(range(1, 400))), "at most"),
    ],
)
def test_a_bad_grid_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        read_grid(written(tmp_path, text), "inversion")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="grid"):
        read_grid(tmp_path / "none.toml", "inversion")
