"""The script for a GPU walks its whole path here, in small and on a CPU, without the libraries of the book."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCKED = ("altair", "pandera", "pydantic", "opacus", "dp_accounting", "papermill", "bs4", "kagglehub", "jupyter_book")
BLOCK = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"{{name}} is not on such a machine", name=name)
sys.meta_path.insert(0, Block())
"""


def test_the_script_measures_and_publishes_with_torch_and_little_else(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCK)
    own = {"PYTHON": sys.executable, "OUT": str(tmp_path / "out"), "PYTHONPATH": str(tmp_path),
           "RP_TUTORIAL_CACHE": str(tmp_path / "cache"), "STEPS": "speed faces"}  # fmt: skip
    done = subprocess.run(
        ["bash", "tools/gpu_check.sh", "--smoke"], cwd=ROOT, env=os.environ | own, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    speed = json.loads((tmp_path / "out" / "device.json").read_text())
    ran = {row["what"] for row in speed["forward"] if "cannot" not in row}
    assert {"float32", "autocast bfloat16, folded"} <= ran
    assert all(isinstance(speed[part], list) for part in ("rounding", "profile", "votes", "batches"))
    (document,) = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*-smoke.json")]
    assert (document["experiment"], document["profile"], document["device"]) == ("face-smoothing", "smoke", "cpu")
    assert (tmp_path / "out" / "stages.tgz").is_file()


def test_what_is_cut_off_is_a_failure_and_leaves_its_stages(tmp_path: Path) -> None:
    (tmp_path / "cache" / "results").mkdir(parents=True)
    own = {"PYTHON": sys.executable, "OUT": str(tmp_path), "RP_TUTORIAL_CACHE": str(tmp_path / "cache"), "LIMIT": "0"}
    done = subprocess.run(
        ["bash", "tools/gpu_check.sh", "--smoke"], cwd=ROOT, env=os.environ | own, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stdout.count("failed") == 3
    assert (tmp_path / "stages.tgz").is_file()
