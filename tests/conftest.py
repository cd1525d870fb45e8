"""Shared fixtures. The real data are not the project's: a test that needs them skips where they are absent."""

import os
from pathlib import Path

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
