"""What the runs of `adaptive` say together: the best attacker of every defence, several seeds as one, tidy tables.

Nothing here attacks. How the best is chosen without flattering it is in `best_attacker`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from rp_tutorial.attacks.inversion.attackers import published
from rp_tutorial.attacks.inversion.settings import BREP_MI
from rp_tutorial.core.arguments import refuse
from rp_tutorial.experiments.faces.inversion import pooled_rates
from rp_tutorial.statistics.best_of_several import alternating, best_against

REFERENCE = published(BREP_MI).name  # the attacker that knows nothing of a defence


def best(rows: list[dict[str, Any]], *, halves: np.ndarray | None = None) -> list[dict[str, Any]]:
    """For every defence the best attacker that knows it, beside BREP-MI: chosen on some targets, judged on others."""
    found = []
    for label in dict.fromkeys(row["defense"] for row in rows):
        own = [row for row in rows if row["defense"] == label]
        hits = {row["attacker"]: np.array(row["hits"], dtype=bool) for row in own}
        split = alternating(len(own[0]["hits"])) if halves is None else halves
        about = {name: own[0][name] for name in ("test_accuracy", "test_accuracy_ci")}
        found.append({"defense": label, **about, **best_against(hits, REFERENCE, split)})
    return found


def pool(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """Several seeds of one run as one set of results: hits joined target by target, the best chosen anew on all halves.

    Raises InputError if the runs have different defences or attackers.
    """
    results = [document["results"] for document in documents]
    pairs = [[(row["defense"], row["attacker"]) for row in result["rows"]] for result in results]
    if any(other != pairs[0] for other in pairs):
        raise refuse("documents", [len(pair) for pair in pairs], "runs of the same defences and attackers")
    rows = [_pooled(list(same)) for same in zip(*(result["rows"] for result in results), strict=True)]
    halves = np.concatenate([alternating(result["targets"]) for result in results])
    return results[0] | {
        "targets": sum(result["targets"] for result in results),
        "seeds": len(results),
        "rows": rows,
        "best": best(rows, halves=halves),
    }


def _pooled(rows: list[dict[str, Any]]) -> dict[str, Any]:
    sums = [name for name in ("queries", "search_queries", "forward_passes", "abstained") if name in rows[0]]
    lists = [name for name in ("queries_by_target", "expansions") if name in rows[0]]
    return rows[0] | {
        **pooled_rates(rows),
        **{name: sum(row[name] for row in rows) for name in (*sums, "init_found", "seconds")},
        **{name: [value for row in rows for value in row[name]] for name in lists},
        **(
            {"stopped": dict(sum((Counter(row["stopped"]) for row in rows), Counter()))} if "stopped" in rows[0] else {}
        ),
        **{name: float(np.mean([row[name] for row in rows])) for name in ("surrogate_accuracy",) if name in rows[0]},
    }


PER_TARGET = ("hits", "start_hits", "queries_by_target", "expansions")


def table(results: dict[str, Any]) -> pd.DataFrame:
    """A row a defence and attacker, without the columns that hold a value a target."""
    return pd.DataFrame(results["rows"]).drop(columns=list(PER_TARGET), errors="ignore")


def best_table(results: dict[str, Any]) -> pd.DataFrame:
    """A row a defence: BREP-MI and the best attacker that knows the defence."""
    return pd.DataFrame(results["best"]).drop(columns=["hits", "tests"])
