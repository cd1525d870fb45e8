"""What `rp-tutorial doctor` says: what is installed, which devices and data there are, what each profile needs."""

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator

import torch

from rp_tutorial.data.faces.lfw import lfw_folder
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS, PROFILES
from rp_tutorial.experiments.engine.runner import versions
from rp_tutorial.experiments.engine.stages import cache_dir

EXTRAS = {
    "book": ("jupyter_book", "to build the book (make book)"),
    "test": ("playwright", "to run the tests (make test)"),
    "lab": ("jupyterlab", "for JupyterLab on the notebooks (make lab)"),
    "dp": ("opacus", "for DP-SGD: frontier, distillation, adaptive"),
    "ray": ("ray", "for sweeps over several machines (sweep --engine ray)"),
    "coursework": ("otter", "to pack autograders by hand (make assignments needs no more than a network)"),
    "kaggle": ("kagglehub", "for --data kaggle"),
    "bench": ("art", "for python -m benchmarks"),
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def report() -> Iterator[str]:
    """The lines of the report, in order. Nothing is downloaded and nothing is run."""
    yield "versions    " + ", ".join(f"{name} {version}" for name, version in versions().items())
    yield f"machine     {platform.platform()}, {os.cpu_count()} cores{_memory()}"
    yield "devices     " + ", ".join(_devices())
    for extra, (module, purpose) in EXTRAS.items():
        state = "installed" if importlib.util.find_spec(module) else f'missing: pip install "rp-tutorial[{extra}]"'
        yield f"extra       {extra}: {state} ({purpose})"
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    yield f"browser     {browser or 'none found: the browser tests need Chromium'}"
    yield f"cache       {cache_dir()} ($RP_TUTORIAL_CACHE changes it)"
    folder = lfw_folder()
    lfw = f"found in {folder}" if folder.is_dir() else "not found (rp-tutorial data fetch faces)"
    yield f"faces       synthetic: built in; lfw: {lfw}; your own: --data folder:PATH or celeba:PATH"
    for name, experiment in EXPERIMENTS.items():
        yield f"experiment  {name}: data {', '.join(experiment.reads.sources())}"
        for profile in PROFILES:
            yield f"            --profile {profile}: {experiment.needs[profile]}"


def _devices() -> Iterator[str]:
    yield f"cpu ({torch.get_num_threads()} threads)"
    for index in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(index)
        yield f"cuda:{index} ({found.name}, {found.total_memory / 2**30:.0f} GiB)"
    if not torch.cuda.is_available():
        yield "no CUDA device"


def _memory() -> str:
    try:
        return f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB of memory"
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return ""
