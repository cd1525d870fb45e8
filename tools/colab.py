"""The reader notebooks in an environment like Colab's: `python -m tools.colab`, some ten minutes and 6 GB.

It makes a new environment with the versions of packages that Colab comes with, and runs there the first cells of every
notebook, the one that installs included, and all cells of a few. `google.colab` is made up, and the package is a wheel
of this checkout, as what the cell names is not yet what is tested. What the cell says is made in tools/notebooks.py.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from tools.chapters import ROOT, Chapter, code_chapters
from tools.notebooks import address

# The oldest that Colab's runtimes of 2026 have (2026.07: numpy 2.0; later ones: 2.1). Torch is the one at hand.
VERSIONS = (
    "numpy==2.0.2",
    "pandas==2.2.2",
    "altair==5.5.0",
    "scipy==1.16.*",
    "scikit-learn==1.6.1",
    "pillow==11.3.*",
    "typer==0.15.*",
    "joblib==1.5.*",
    "tqdm==4.67.*",
    "safetensors==0.5.*",
    "platformdirs==4.3.*",
    "torch",
    "ipykernel",
)
WHOLE = ("foundations/certified-robustness", "insurance/bmi-threshold", "comparisons/dp-sgd")
FIRST = 3  # cells of code: the installation, the parameters, the imports
ON_COLAB = "import sys, types\n\nsys.modules['google.colab'] = types.ModuleType('google.colab')"
KERNEL = "colab"


def make_environment(folder: Path) -> Path:
    """A new environment in `folder` with Colab's versions; its Python."""
    venv.create(folder, with_pip=True, clear=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    _pip(python, "install", *VERSIONS)
    return python


def make_wheel(folder: Path) -> Path:
    """A wheel of the checkout, in `folder`, made from a copy: setuptools leaves a folder `build` where it works."""
    source = folder / "source"
    shutil.copytree(ROOT / "rp_tutorial", source / "rp_tutorial", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    _pip(Path(sys.executable), "wheel", "--no-deps", "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    return wheel


def add_kernel(folder: Path, python: Path) -> None:
    """Let this process find the Python of the environment as a kernel."""
    spec = {"argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": KERNEL}
    (folder / "kernels" / KERNEL).mkdir(parents=True)
    (folder / "kernels" / KERNEL / "kernel.json").write_text(json.dumps(spec | {"language": "python"}))
    os.environ["JUPYTER_PATH"] = str(folder)


def as_on_colab(chapter: Chapter, wheel: Path, *, cells: int | None) -> NotebookNode:
    """The reader notebook of a chapter at the smoke profile, its first `cells` cells of code or all, from the wheel."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{chapter.stem}.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"][:cells]
    here = code[0].source.replace(f"git+{address()}", wheel.as_uri())
    if here == code[0].source:
        raise SystemExit(f"{chapter.stem}: the first cell does not name git+{address()}; run `make notebooks`")
    parameters = [new_code_cell('profile = "smoke"\nseed = 0') if _tagged(cell) else cell for cell in code[1:]]
    notebook.cells = [new_code_cell(ON_COLAB), new_code_cell(here), *parameters]
    return notebook


def run(notebook: NotebookNode, folder: Path) -> str:
    """Execute it with an empty cache in `folder`; "" or what the failing cell said last."""
    os.environ["RP_TUTORIAL_CACHE"] = str(folder / "cache")
    client = NotebookClient(notebook, kernel_name=KERNEL, timeout=1200, resources={"metadata": {"path": str(folder)}})
    try:
        client.execute()
    except CellExecutionError as error:
        return f"{error.ename}: {error.evalue}"
    return ""


def versions(python: Path) -> set[str]:
    """What is installed there of the packages in VERSIONS, name==version."""
    named = {version.partition("=")[0] for version in VERSIONS}
    return {line for line in _pip(python, "freeze").splitlines() if line.partition("=")[0] in named}


def main() -> int:
    """Command line; exit code 1 if a notebook fails or a package in VERSIONS was replaced."""
    parser = argparse.ArgumentParser(description="Run the reader notebooks with the versions that Colab has.")
    parser.add_argument("--whole", nargs="*", default=WHOLE, help="chapters to run to the end, such as faces/defended")
    whole = set(parser.parse_args().whole)
    chapters = code_chapters()
    if unknown := whole - {chapter.stem for chapter in chapters}:
        parser.error(f"--whole: got {', '.join(sorted(unknown))}, allowed are {', '.join(c.stem for c in chapters)}")
    os.environ.pop("PYTHONPATH", None)  # the wheel is what runs there, not this checkout
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python, wheel = make_environment(folder / "environment"), make_wheel(folder)
        add_kernel(folder, python)
        before = versions(python)
        failed = 0
        # Those without extras first: an extra that is missing in a header is then missing in the environment.
        for chapter in sorted(chapters, key=Chapter.distribution):
            failed += _report(chapter, wheel, folder, whole=chapter.stem in whole)
        replaced = before - versions(python)
    print("replaced: " + (", ".join(sorted(replaced)) or "nothing"))
    return 1 if failed or replaced else 0


def _report(chapter: Chapter, wheel: Path, folder: Path, *, whole: bool) -> bool:
    shutil.rmtree(folder / "cache", ignore_errors=True)
    start = time.perf_counter()
    said = run(as_on_colab(chapter, wheel, cells=None if whole else FIRST), folder)
    how = "all cells" if whole else "first cells"
    print(f"{chapter.stem}, {how}: {said or 'ok'} ({time.perf_counter() - start:.0f} s)", flush=True)
    return bool(said)


def _tagged(cell: NotebookNode) -> bool:
    return "parameters" in cell.metadata.get("tags", [])


def _pip(python: Path, *arguments: str) -> str:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    raise SystemExit(main())
