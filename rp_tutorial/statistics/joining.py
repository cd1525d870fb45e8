"""Several seeds of one run as one: counts are added, lists put one behind the other, and rates are taken anew.

An arm of an experiment is a row of results. Which of its fields are counts, lists, rates or means is declared by the
experiment; the joining itself is written here, once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rp_tutorial.core.arguments import refuse
from rp_tutorial.statistics.paired import Rate, rate_of

Row = dict[str, Any]


@dataclass(frozen=True)
class Joining:
    """What the fields of a row are. Fields that are not named keep the value of the first seed.

    rates: name -> what it is a share of: a list of hits, or a number of trials. sums: counts, or counts by reason.
    lists: a value for each target. means: averages that no count stands behind, None where unknown. Of those in
    `by_seed` the values of the single seeds are kept as well. A field that no row has is left out.
    """

    rates: Mapping[str, str] = field(default_factory=dict)
    sums: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    means: tuple[str, ...] = ()
    by_seed: tuple[str, ...] = ()

    def __call__(self, rows: Sequence[Row]) -> Row:
        """One row of all seeds, each rate with its exact interval under `<name>_ci`."""
        first, joined = rows[0], dict(rows[0])
        for name in (n for n in self.lists if n in first):
            joined[name] = [value for row in rows for value in row[name]]
        for name in (n for n in self.sums if n in first):
            parts = [Counter(row[name]) if isinstance(row[name], dict) else row[name] for row in rows]
            joined[name] = dict(sum(parts, Counter())) if isinstance(parts[0], Counter) else sum(parts)
        for name, of in self.rates.items():
            joined |= joined_rate(rows, name, of).told(name)
            if not isinstance(first[of], list):
                joined[of] = sum(row[of] for row in rows)
        for name in (n for n in self.means if n in first):
            known = [row[name] for row in rows if row[name] is not None]
            joined[name] = float(np.mean(known)) if known else None
        return joined | {f"{name}_by_seed": [row[name] for row in rows] for name in self.by_seed}


def joined_rate(rows: Sequence[Row], name: str, of: str) -> Rate:
    """The rate `name` of all rows together: of their hits, or of their counts, which a share of n trials gives back."""
    if isinstance(rows[0][of], list):
        hits = [hit for row in rows for hit in row[of]]
        return rate_of(sum(hits), len(hits))
    return rate_of(sum(round((row[name] or 0) * row[of]) for row in rows), sum(row[of] for row in rows))


def join_rows(runs: Sequence[Sequence[Row]], joining: Joining, *, by: Sequence[str] = ("name",)) -> list[Row]:
    """The rows of several runs of the same arms, joined arm by arm; `by` tells an arm.

    Raises InputError if there is no run, or the runs have different arms.
    """
    check_same_arms(runs, by=by)
    return [joining(rows) for rows in zip(*runs, strict=True)]


def check_same_arms(runs: Sequence[Sequence[Row]], *, by: Sequence[str] = ("name",)) -> None:
    """Refuses runs that cannot be joined, in one line."""
    arms = [[tuple(row[key] for key in by) for row in run] for run in runs]
    if not arms or any(other != arms[0] for other in arms):
        raise refuse("documents", [len(run) for run in arms], "at least one run, all of the same arms")
