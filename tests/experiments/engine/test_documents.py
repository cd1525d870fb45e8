"""Results documents: those that are shipped, those that are read, several seeds as one, and which of them are stale."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments.engine import documents
from rp_tutorial.experiments.engine.documents import joined, published, seeds_joined, stale
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS
from tools import publish

DOCUMENTS = published(profile=None)
WAITING = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(publish.UNFINISHED.glob("*.json"))]
# Settings that there are no longer, and what they were in every stored run: nothing done, or what is always done now.
GONE = {"shifts": 0, "weight": 0.0, "noise_sigma": 0.0, "radius_cap": None, "public_layers": "last"}
INNER = {"net": ""}  # settings of an arm that are newer than stored runs, and what they were in each of these


@pytest.mark.parametrize("document", DOCUMENTS + WAITING, ids=publish.file_name)
def test_a_stored_run_is_of_the_settings_in_the_code(document: dict) -> None:
    """Change a setting of a profile, and its stored runs have to be made again (python -m tools.publish).

    A setting that is newer than the run has to have its default, with which the run would have been the same.
    """
    then = without_what_is_gone(document["settings"])
    settings = EXPERIMENTS[document["experiment"]].profiles[document["profile"]]
    on_device = dataclasses.asdict(settings) | {"device": document["settings"]["device"]}
    now = publish.rounded(json.loads(json.dumps(on_device)))
    newer = {field.name: default_of(field) for field in dataclasses.fields(settings) if field.name not in then}
    assert without(now, INNER) == without(then | newer, INNER)


def default_of(field: dataclasses.Field) -> Any:
    """As JSON, whether it is given or made."""
    made = (
        field.default if field.default_factory is dataclasses.MISSING else dataclasses.asdict(field.default_factory())
    )
    return publish.rounded(json.loads(json.dumps(made)))


def without_what_is_gone(settings: dict) -> dict:
    return without(settings, GONE)


def without(settings: Any, left_out: dict) -> Any:
    """Settings without those that have just the value in `left_out`, inside of others and of lists as well."""
    if isinstance(settings, list):
        return [without(value, left_out) for value in settings]
    if not isinstance(settings, dict):
        return settings
    kept = {name: value for name, value in settings.items() if name not in left_out or value != left_out[name]}
    return {name: without(value, left_out) for name, value in kept.items()}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_seed_that_is_said_to_be_published_is_stored(name: str) -> None:
    """Or none is, and those that there are wait for the others: nobody looks at a part of a study."""
    stored, seeds = [d["seed"] for d in published(name, "synthetic")], EXPERIMENTS[name].seeds
    waiting = {d["seed"] for d in WAITING if d["experiment"] == name}
    assert (stored == [] and waiting < set(seeds)) if waiting else stored == list(seeds)


def test_runs_that_wait_for_others_are_of_the_code_that_computes_the_others() -> None:
    assert not stale(WAITING), "seeds of one study have to be of one code: put it back, or start the study again"


def test_a_stored_run_lies_under_its_own_name() -> None:
    for stored, folder in ((DOCUMENTS, publish.PUBLISHED), (WAITING, publish.UNFINISHED)):
        assert {publish.file_name(d) for d in stored} == {path.name for path in folder.glob("*.json")}


def test_a_run_is_stale_as_soon_as_its_code_is_another() -> None:
    fresh = DOCUMENTS[0] | {"code": EXPERIMENTS[DOCUMENTS[0]["experiment"]].code}
    old, unknown = fresh | {"code": "0" * 16}, {name: value for name, value in fresh.items() if name != "code"}
    assert [document for document, _ in stale([fresh, old, unknown])] == [old, unknown]


def test_stale_runs_are_listed_by_name_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    publish.main(["--stale"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [publish.file_name(d) for d, _ in stale(DOCUMENTS)]


def test_seeds_of_one_run_are_joined_and_other_runs_stand_for_themselves() -> None:
    found = seeds_joined(published("face-smoothing") + published("inversion", "synthetic"))
    assert [d["experiment"] for d in found].count("inversion") == 1
    assert len(found) == 1 + len(published("face-smoothing"))


def test_documents_of_two_experiments_cannot_be_joined() -> None:
    with pytest.raises(InputError, match="documents of one experiment"):
        joined([published("inversion")[0], published("frontier")[0]])
    with pytest.raises(InputError, match="whose seeds can be joined"):
        joined(published("face-smoothing"))


def test_a_document_that_is_none_is_refused(tmp_path) -> None:
    for text, words in (("{", "cannot be read as JSON"), ('{"experiment": "x"}', "lacks profile, data, results")):
        (tmp_path / "results.json").write_text(text)
        with pytest.raises(InputError, match=words):
            documents.read_documents(tmp_path)
