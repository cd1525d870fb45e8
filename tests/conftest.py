"""Shared fixtures. The real data are not the project's: a test that needs them skips where they are absent."""

import os
from collections.abc import Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data: RP_TUTORIAL_REAL_DATA, or shared/data beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("RP_TUTORIAL_REAL_DATA", beside))
    if not folder.is_dir():
        pytest.skip("real data are absent: set RP_TUTORIAL_REAL_DATA to the folder that holds insurance/")
    return folder


@pytest.fixture(scope="session")
def real_insurance_csv(real_data: Path) -> Path:
    """5,000 real rows of the insurance table."""
    path = real_data / "insurance" / "medical_insurance_5000.csv"
    if not path.is_file():
        pytest.skip("real data are absent: no insurance/medical_insurance_5000.csv in the folder of real data")
    return path


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of its own for the tests of one file, so that none reads what an earlier run has stored."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RP_TUTORIAL_CACHE", str(folder))
        yield folder


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of a sweep that are forked, for a fresh interpreter takes seconds to import what they need."""
    from rp_tutorial.experiments.engine import engines

    if not hasattr(os, "fork"):
        pytest.skip("this system does not fork")
    forking = partial(engines.ProcessPoolExecutor, context=get_context("fork"))
    monkeypatch.setattr(engines, "ProcessPoolExecutor", forking)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The one browser of a process: Playwright allows no second one."""
    from playwright.sync_api import sync_playwright

    from tools.browser import ARGUMENTS, on_this_machine

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=on_this_machine(), args=ARGUMENTS)
        yield browser
        browser.close()
