"""What the runs of `adaptive` say together: the best attacker of every defence, several seeds as one, tidy tables.

Nothing here attacks. How the best is chosen without flattering it is in `statistics/best_of_several`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rp_tutorial.statistics.best_of_several import alternating, best_against
from rp_tutorial.statistics.joining import Joining, join_rows

REFERENCE = "BREP-MI"  # the attacker that knows nothing of a defence


def best(rows: list[dict[str, Any]], *, halves: np.ndarray | None = None) -> list[dict[str, Any]]:
    """For every defence the best attacker that knows it, beside BREP-MI: chosen on some targets, judged on others.

    Of those who see labels and nothing else.
    """
    found, rows = [], [row for row in _seen(rows) if row["sees"] == "labels"]
    for label in dict.fromkeys(row["defense"] for row in rows):
        own = [row for row in rows if row["defense"] == label]
        hits = {row["attacker"]: np.array(row["hits"], dtype=bool) for row in own}
        split = alternating(len(own[0]["hits"])) if halves is None else halves
        about = {name: own[0][name] for name in ("test_accuracy", "test_accuracy_ci")}
        found.append({"defense": label, **about, **best_against(hits, REFERENCE, split)})
    return found


SEEDS = Joining(  # of the row of a pair
    rates={"asr": "hits", "asr_start": "start_hits", "test_accuracy": "test_images"},
    lists=("hits", "start_hits", "queries_by_target", "expansions"),
    sums=("init_found", "seconds", "queries", "search_queries", "forward_passes", "abstained", "stopped"),
    means=("surrogate_accuracy",),
    by_seed=("asr",),
)


def join(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several seeds as one set of results: hits joined target by target, the best chosen anew on all halves.

    Raises InputError if the runs have different defences or attackers.
    """
    rows = join_rows([_seen(run["rows"]) for run in results], SEEDS, by=("defense", "attacker"))
    halves = np.concatenate([alternating(run["targets"]) for run in results])
    return results[0] | {
        "targets": sum(run["targets"] for run in results),
        "seeds": len(results),
        "rows": rows,
        "best": best(rows, halves=halves),
    }


def _seen(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows; in a run from before anybody saw more than labels, everybody saw labels."""
    return [{"sees": "labels"} | row for row in rows]


def table(results: dict[str, Any]) -> pd.DataFrame:
    """A row a defence and attacker, without the columns that hold a value a target."""
    return pd.DataFrame(_seen(results["rows"])).drop(columns=list(SEEDS.lists), errors="ignore")


def best_table(results: dict[str, Any]) -> pd.DataFrame:
    """A row a defence: BREP-MI and the best attacker that knows the defence."""
    return pd.DataFrame(results["best"]).drop(columns=["hits", "tests"])
