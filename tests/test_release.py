"""What a release is made of: wheel and sdist, installed where nothing of the checkout is, and what else goes with them.

The versions in their ranges are tested in test_environment.py, the built book in test_book.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

import rp_tutorial
from tools import downloads
from tools.book import ROOT

VERSION = rp_tutorial.__version__
BESIDE_THE_PACKAGE = ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "tests")


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel made from it, without a network; setuptools writes where it works."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("rp_tutorial", *BESIDE_THE_PACKAGE):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(made), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def installed(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a new environment: the wheel, and the dependencies that are here already."""
    folder = tmp_path_factory.mktemp("environment")
    builder = venv.EnvBuilder()
    builder.create(folder)
    paths = builder.ensure_directories(folder)
    (wheel,) = distributions.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", paths.env_exe]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    theirs = sysconfig.get_path("purelib", scheme="venv", vars={"base": str(folder), "platbase": str(folder)})
    Path(theirs, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return Path(paths.bin_path)


def output_of(installed: Path, folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "RP_TUTORIAL_CACHE": str(folder / "cache")}
    environment.pop("PYTHONPATH", None)
    line = [str(installed / "rp-tutorial"), *arguments]
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_sdist_holds_the_package_and_nothing_beside_it(distributions: Path) -> None:
    with tarfile.open(distributions / f"rp_tutorial-{VERSION}.tar.gz") as archive:
        parts = {Path(name).parts[1] for name in archive.getnames() if len(Path(name).parts) > 1}
    said_by_setuptools = {"PKG-INFO", "setup.cfg", "rp_tutorial.egg-info"}
    assert parts == {"rp_tutorial", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"} | said_by_setuptools


def test_the_installed_wheel_lists_the_ledger_from_its_stored_runs(installed: Path, tmp_path: Path) -> None:
    where = [installed / "python", "-I", "-c", "import rp_tutorial; print(rp_tutorial.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert Path(found).is_relative_to(installed.parent)
    assert "reproduced" in output_of(installed, tmp_path, "ledger")


def test_the_installed_wheel_runs_an_experiment(installed: Path, tmp_path: Path) -> None:
    run = ("run", "insurance-threshold", "--profile", "smoke", "--data", "diabetes", "--out", "results")
    assert "base accuracy" in output_of(installed, tmp_path, *run)
    document = json.loads((tmp_path / "results" / "results.json").read_text(encoding="utf-8"))
    assert document["experiment"] == "insurance-threshold"


@pytest.mark.parametrize("kind", ["zip", "pdf"])
def test_the_first_page_names_what_a_release_attaches(kind: str) -> None:
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert f"_build/{downloads.NAME}.{kind}\n" in workflow
    first_page = (ROOT / "book" / "intro.md").read_text(encoding="utf-8")
    assert re.search(rf"{{release}}`\w+ <{downloads.NAME}.{kind}>`", first_page)
