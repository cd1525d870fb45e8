"""The ledger: every claim of Table 1 and the figures has a row, and a row follows from the run it is read off."""

from __future__ import annotations

import json
import random

import pytest

from rp_tutorial import ledger
from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments.engine.documents import published, read_documents
from rp_tutorial.ledger.claim import IN_DIRECTION, NOT_COMPARABLE, NOT_REPRODUCED, OPEN, REPRODUCED
from rp_tutorial.ledger.verdicts import COLUMNS, render, table

DOCUMENTS = published()


def test_every_cell_of_table_1_and_every_figure_has_a_row() -> None:
    table = ledger.table()
    synthetic = table[table["data"] == "synthetic"]
    printed = {str(value) for row in ledger.TABLE1.values() for value in (f"{v:.2f}" for v in row)}
    assert printed <= set(synthetic["paper"])
    assert {"Table 1", "Figure 1", "Figure 3", "Figure 4"} <= set(table["where"])
    assert set(table.columns) == set(COLUMNS)
    assert set(table["verdict"]) <= {REPRODUCED, IN_DIRECTION, NOT_REPRODUCED, OPEN, NOT_COMPARABLE}


def test_measured_rows_say_profile_data_and_interval() -> None:
    table = ledger.table()
    measured = table[table["verdict"] != NOT_COMPARABLE]
    assert (measured["profile"] != "").all()
    assert (measured["data"] != "").all()
    numbers = measured[~measured["ours"].isin(["yes", "no", "open"])]
    assert numbers["interval"].str.contains(" to ").all()


def test_the_published_runs_support_what_the_book_says() -> None:
    """The chapter's sentences, as verdicts: accuracies yes, growing radii no, expansions yes."""
    table = ledger.table()
    ours = table[table["data"] == "synthetic"].set_index("claim")["verdict"]
    assert (ours[ours.index.str.startswith(("accuracy", "abstention", "expansion (", "base"))] == "reproduced").all()
    assert ours["average R grows with sigma"] == "not reproduced"
    assert ours["a smaller N reaches further left (alpha = .01)"] == "in direction"


def test_a_wrong_result_changes_the_verdict() -> None:
    (document,) = published("insurance-threshold", "synthetic")
    document["results"]["smoothed"][0].update(accuracy=0.9, accuracy_ci=[0.897, 0.903])
    table = ledger.table([document]).set_index("claim")["verdict"]
    assert table["accuracy (%), sigma = 1"] == "not reproduced"
    assert table["accuracy (%), sigma = 2"] == "reproduced"


def figure_3() -> dict:
    """An inversion run of two arms at one sigma, with hits by hand."""

    def arm(defense: str, sigma: float, n: int, hits: list[int], accuracy: float = 1.0) -> dict:
        about = {"defense": defense, "sigma": sigma, "n": n, "repeats": 1, "augmented": False}
        rates = {"asr": sum(hits) / len(hits), "asr_ci": [0.0, 1.0], "test_accuracy": accuracy}
        return about | rates | {"paper_accuracy": accuracy, "hits": hits, "name": f"{defense} {n}"}

    arms = [
        arm("none", 0.0, 1, [1] * 18 + [0] * 2),
        arm("smoothing", 0.1, 10, [1] * 4 + [0] * 16, 0.995),
        arm("smoothing", 0.1, 100, [1] * 9 + [0] * 11, 0.998),
    ]
    results = {"targets": 20, "arms": arms, "comparisons": []}
    return {"experiment": "inversion", "profile": "cpu", "data": "synthetic", "seed": 0, "results": results}


def test_figure_3_is_read_as_directions_with_paired_tests() -> None:
    found = ledger.table([figure_3()]).set_index("claim")["verdict"]
    assert found["RP lowers ASR at 99 % of the base test accuracy"] == "in direction"
    assert found["a larger N lowers ASR"] == "not reproduced"
    assert found["a larger N raises accuracy"] == "in direction"


def test_a_number_of_celeba_is_not_compared_with_drawn_faces() -> None:
    drawn, celeba = figure_3(), figure_3() | {"data": "celeba:CelebA"}
    drawn, celeba = (ledger.table([document]).set_index("claim")["verdict"] for document in (drawn, celeba))
    for sigma, n, compared in ((0.1, 10, "reproduced"), (0.1, 100, "reproduced"), (0.03, 100, "not comparable")):
        number = f"ASR (%), sigma = .{f'{sigma:g}'[2:]}, N = {n}"
        assert drawn[number] == "not comparable"
        assert celeba[number] == compared, "its interval, 0 to 100 %, meets whatever the paper printed"


def test_a_run_without_both_arms_gives_no_verdict_about_them() -> None:
    document = figure_3()
    del document["results"]["arms"][2]
    found = ledger.table([document]).set_index("claim")["verdict"]
    assert found["a larger N lowers ASR"] == "not comparable"
    assert found["it is invariance, not randomness, that stops the attack"] == "not comparable"


@pytest.mark.parametrize(
    ("difference", "low", "high", "p", "verdict"),
    [
        (0.3, 0.15, 0.45, 0.001, "not reproduced"),  # knowing the defence helps
        (0.1, -0.15, 0.35, 0.6, "open"),  # too few targets to tell
        (0.0, -0.03, 0.03, 1.0, "in direction"),  # as good as nothing, for sure
    ],
)
def test_too_few_targets_are_no_evidence_that_an_attacker_gains_nothing(
    difference: float, low: float, high: float, p: float, verdict: str
) -> None:
    test = {"attacker": "patient", "difference": difference, "low": low, "high": high, "p_value": p, "p_holm": p}
    best = [{"defense": name, "hits": [1, 0] * 10, "tests": [test]} for name in ("none", "smoothing, sigma 0.1")]
    document = {"experiment": "adaptive", "profile": "cpu", "data": "synthetic", "seed": 0, "results": {"best": best}}
    found = ledger.table([document]).set_index("claim")["verdict"]
    (claim,) = (name for name in found.index if "knowing the defence" in name)
    assert found[claim] == verdict


def test_the_seeds_of_a_run_are_one_row() -> None:
    table = ledger.table()
    inversion = table[(table["where"] == "Figure 3") & (table["data"] == "synthetic")]
    assert len(inversion) == inversion["claim"].nunique() > 3


def mutated(value, rng):
    """`value` with one thing in it gone or replaced, wherever it is."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.9:
        value = value.copy()
        place = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        if rng.random() < 0.2:
            del value[place]
        else:
            value[place] = mutated(value[place], rng)
        return value
    return rng.choice([None, 1, -1, float("inf"), float("nan"), "x", [], {}, [None], {"a": 1}, True, "<script>|\n=1"])


@pytest.mark.parametrize("seed", range(20))
def test_a_changed_document_is_told_or_refused_in_one_line(seed, tmp_path):
    rng = random.Random(seed)
    for _ in range(20):
        document = rng.choice(DOCUMENTS)
        for _ in range(rng.randint(1, 3)):
            document = mutated(document, rng)
        (tmp_path / "results.json").write_text(json.dumps(document))
        refused = ""
        try:
            for form in ("text", "markdown", "csv", "json"):
                render(table(read_documents(tmp_path)), form)
        except InputError as error:
            refused = str(error)
        assert "\n" not in refused


@pytest.mark.parametrize(
    "text",
    [
        '"a string"', "[1]", "7", "null", "[" * 100_000,
        '{"experiment": "nope", "profile": "", "data": "", "results": {}}',
    ],
)  # fmt: skip
def test_json_that_is_no_document_is_refused_in_one_line(text, tmp_path):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(InputError, match=r"^[^\n]*$"):
        read_documents(tmp_path)


def test_a_cell_stays_a_cell_in_markdown_and_csv():
    document = next(d for d in DOCUMENTS if d["experiment"] == "insurance-threshold")
    claims = table([document | {"profile": "<script>|1", "data": "=cmd|2\nx"}])
    rows = render(claims, "markdown").split("\n")
    assert len(rows) == len(claims) + 2
    assert len({row.replace("\\|", "").count("|") for row in rows}) == 1
    assert "<script>" not in "".join(rows)
    assert ",=cmd" not in render(claims, "csv")


def test_names_that_a_terminal_or_a_file_could_not_hold_stay_in_their_line():
    (document,) = published("guarantee-audit")
    found = table([document | {"profile": "a\n\x1b[2Jb", "data": "x\udcff.csv"}])
    for form in ("text", "markdown", "csv", "json"):
        shown = render(found, form)
        assert all(line.isprintable() for line in shown.split("\n"))
        assert len(shown.encode()) > 1000
