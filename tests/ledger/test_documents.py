"""Documents: the shipped ones are found by experiment and data, and a folder says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.ledger.documents import published, read_documents


def test_published_runs_are_found_by_experiment_and_data_with_their_seeds_together() -> None:
    found = published("inversion", "synthetic")
    assert {(d["experiment"], d["data"]) for d in found} == {("inversion", "synthetic")}
    assert sorted(d["seed"] for d in found) == [0, 1, 2]
    assert len(published()) > len(published("inversion")) > len(found)


def test_results_are_read_from_every_folder_below(tmp_path: Path) -> None:
    document = published("guarantee-audit")[0]
    for name in ("a", "b/c"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "results.json").write_text(json.dumps(document))
    assert read_documents(tmp_path) == [document, document]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "which holds no results.json"),
        ("{", "cannot be read as JSON"),
        ('{"experiment": "inversion"}', "lacks profile, data, results"),
    ],
)
def test_a_folder_without_results_documents_is_refused_in_one_line(
    text: str | None, words: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_documents(tmp_path)
    assert "\n" not in str(caught.value)
