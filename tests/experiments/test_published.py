"""The stored runs: of the settings in the code, and of all the seeds that an experiment says it publishes."""

from __future__ import annotations

import dataclasses
import json

import pytest

from rp_tutorial import ledger
from rp_tutorial.experiments.engine import runner
from tools.publish import rounded

DOCUMENTS = ledger.published()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: f"{d['experiment']}-{d['data']}-{d['seed']}")
def test_a_stored_run_is_of_the_settings_in_the_code(document: dict) -> None:
    """Change a setting of a profile, and its stored runs have to be made again (python -m tools.publish)."""
    settings = runner.experiment_module(document["experiment"]).PROFILES[document["profile"]]
    assert document["settings"] == rounded(json.loads(json.dumps(dataclasses.asdict(settings))))


@pytest.mark.parametrize("experiment", runner.EXPERIMENTS)
def test_every_seed_that_is_said_to_be_published_is_stored(experiment: str) -> None:
    seeds = [d["seed"] for d in DOCUMENTS if (d["experiment"], d["data"]) == (experiment, "synthetic")]
    assert sorted(seeds) == list(getattr(runner.experiment_module(experiment), "PUBLISHED_SEEDS", (0,)))
