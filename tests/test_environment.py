"""One set of versions, said in four places: pyproject.toml, constraints.txt, environment.yml, and what is installed."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import rp_tutorial
from rp_tutorial import doctor
from tools.book import ROOT
from tools.colab import VERSIONS
from tools.lock import lock_text, pins

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKED = ("book", "test", "bench", "dp", "ray", "lab", "kaggle")  # the extras that constraints.txt covers
INSTALLED = ("book", "test", "bench", "dp")  # the extras that `make` installs
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PINS = pins(CONSTRAINTS)
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
PYTHONS = ("3.11.0", "3.11.9", "3.12.0", "3.13.0")


def direct(*extras: str) -> list[Requirement]:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    return [Requirement(line) for line in lines]


def conda_pip() -> list[str]:
    return next(entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict))


@pytest.mark.parametrize("requirement", direct(*LOCKED), ids=lambda requirement: requirement.name)
def test_every_direct_dependency_is_pinned_inside_its_range(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    assert name in PINS, f"{name} has no pin: make lock"
    assert Version(PINS[name]) in requirement.specifier


@pytest.mark.parametrize("requirement", direct(*INSTALLED), ids=lambda requirement: requirement.name)
def test_what_is_installed_is_what_is_pinned(requirement: Requirement) -> None:
    installed = Version(importlib.metadata.version(requirement.name))
    assert installed.public == PINS[canonicalize_name(requirement.name)]


def test_what_colab_has_is_inside_the_ranges() -> None:
    has = {part.name: part.specifier for part in map(Requirement, VERSIONS) if part.specifier}
    ranges = {part.name: part.specifier for part in direct()}
    assert set(has) <= set(ranges)
    oldest = {name: next(iter(specifier)).version.replace("*", "0") for name, specifier in has.items()}
    assert [name for name, version in oldest.items() if Version(version) not in ranges[name]] == []


def test_every_pin_is_exact_and_holds_on_every_platform() -> None:
    lines = [line for line in CONSTRAINTS.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][\w.!]*", line) for line in lines)
    assert not [line for line in lines if re.match(r"nvidia|cuda|triton|pytorch-triton|rp-tutorial", line)]
    assert lock_text(PINS) == CONSTRAINTS


@pytest.mark.parametrize("name", sorted(PINS))
def test_every_pin_runs_on_every_python_of_the_project(name: str) -> None:
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("pinned for another platform or an extra that is not installed here")
    allowed = SpecifierSet(metadata.get("Requires-Python") or "")
    assert all(Version(python) in allowed for python in PYTHONS)


def test_conda_takes_the_same_pins_and_extras() -> None:
    constraint, package = conda_pip()
    assert constraint == "-c constraints.txt"
    named = re.fullmatch(r"-e \.\[([\w,]+)\]", package)
    assert named
    assert {"book", "test"} <= set(named[1].split(",")) <= set(LOCKED)


def test_conda_pins_nothing_but_python_and_pip() -> None:
    plain = [entry for entry in CONDA["dependencies"] if isinstance(entry, str)]
    (python,) = [entry for entry in plain if entry.startswith("python=")]
    assert sorted(plain) == ["pip", python]
    assert Version(python.removeprefix("python=")) in SpecifierSet(PROJECT["requires-python"])


def test_make_and_conda_install_from_the_same_files() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert '$(PIP_INSTALL) -c constraints.txt -e ".[$(EXTRAS)]"' in makefile
    assert '$(PIP_INSTALL) -c constraints.txt -e ".[lab]"' in makefile
    assert f"EXTRAS = {','.join(INSTALLED)}" in makefile


def test_the_extras_readers_are_told_of_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = [set(named.split(",")) for named in re.findall(r"-e \"?\.\[([\w,]+)\]", readme)]
    assert told
    assert set().union(*told) | {"book", "test", "dp", "kaggle", "coursework", "ray"} <= set(EXTRAS)
    assert all(named <= set(LOCKED) for named in told), "installed with constraints.txt, which does not cover it"


@pytest.mark.parametrize(
    "name", ["Dockerfile", ".devcontainer/devcontainer.json", ".github/workflows/release.yml", "README.md"]
)
def test_what_containers_and_the_readme_have_make_do_is_in_the_makefile(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(VENV)", ".venv")
    targets = set(re.findall(r"= (\.venv/\S+)$", makefile, re.MULTILINE))
    targets |= set(" ".join(re.findall(r"^([\w -]+):", makefile, re.MULTILINE)).split())
    asked = re.findall(
        r"(?:`|RUN |run: |: \"|^)make ([\w./-]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE
    )
    assert asked
    assert set(asked) <= targets


def test_the_container_starts_what_make_lab_starts() -> None:
    makefile, dockerfile = ((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "Dockerfile"))
    assert "$(PY) -m jupyterlab notebooks" in makefile
    (started,) = re.findall(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)
    program = [part for part in json.loads(started) if part not in ("--ip=0.0.0.0", "--no-browser")]
    assert program == [".venv/bin/python", "-m", "jupyterlab", "notebooks"]


def test_what_windows_runs_in_place_of_make_needs_no_posix_module() -> None:
    """tools/fuzz and any_cpu are left out: they limit memory and emulate processors, by means of Linux."""
    posix = {"fcntl", "grp", "pwd", "pty", "resource", "termios"}
    files = [*(ROOT / "tools").glob("*.py"), *(ROOT / "tools" / "assignments").glob("*.py")]
    files += (ROOT / "rp_tutorial").rglob("*.py")
    for file in files:
        parsed = ast.parse(file.read_text(encoding="utf-8"))
        imports = [node for node in parsed.body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {alias.name for node in imports for alias in node.names} | {
            node.module for node in imports if isinstance(node, ast.ImportFrom)
        }
        assert not names & posix, file


def test_doctor_lists_every_extra_that_brings_something() -> None:
    assert set(doctor.EXTRAS) == {extra for extra, brought in EXTRAS.items() if brought}


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["version"] == rp_tutorial.__version__ == str(citation["version"])


def test_a_local_build_of_torch_is_locked_by_its_public_version() -> None:
    frozen = (
        "torch==2.14.1+cpu\nnvidia-cublas==1\ncuda-toolkit==13\ntriton==3\nPyYAML==6\n-e /somewhere\nrp-tutorial==1\n"
    )
    assert pins(frozen) == {"torch": "2.14.1", "pyyaml": "6"}
