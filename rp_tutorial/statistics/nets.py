"""Two arms compared net by net, and the three verdicts: a difference is shown, excluded, or not decided.

Targets that share a net share the luck of its training, so what is counted here is nets. The tests are in
`sign_flips.py`, how many nets a question needs in `studies.py`; comparisons given one net are in `paired.py`.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rp_tutorial.core.arguments import open_unit, refuse
from rp_tutorial.statistics.families import holm
from rp_tutorial.statistics.sign_flips import interval, p_difference, p_equivalent
from rp_tutorial.statistics.studies import LEVEL, MARGIN, POWER, fewest, power_to_exclude, power_to_find


@dataclass(frozen=True)
class NetComparison:
    """Arm a against arm b over the same nets: is the rate of b below that of a?

    `difference` = a - b, the mean over units, with the 95 % interval [low, high] of the sign flips. `p_value` is of "no
    difference", corrected for the `questions` of a family, `p_equivalent` of "a difference of `margin` or more". units:
    what was drawn independently, the nets or the groups of nets that share their targets. spread: standard deviation
    over units; NaN of one. discordance: share of the pairs that just one arm inverts.

    Chapter: appendix/plan.
    """

    difference: float
    low: float
    high: float
    p_value: float
    p_equivalent: float
    nets: int
    units: int
    pairs: int
    spread: float
    discordance: float
    margin: float = MARGIN
    questions: int = 1

    @property
    def verdict(self) -> str:
        """At LEVEL for all differences of the family that are wrongly shown, and for each that is wrongly excluded."""
        if self.p_value <= LEVEL:
            return "yes" if self.difference > 0 else "no (the other way round)"
        if self.p_equivalent <= LEVEL:
            return f"no (equivalent within {100 * self.margin:g} points)"
        needed = self.nets_needed
        return "not decided" + (f", would need {needed:,} {self._unit}" if needed else "")

    @property
    def nets_needed(self) -> int | None:
        """The fewest units that decide it with a power of POWER, if what was observed is the truth; None if unknown.

        At the first step of the family's correction. What a study should have is planned before, with a `Study`.
        """
        return None if math.isnan(self.spread) else fewest(self._power, POWER)

    def told(self, name: str) -> dict[str, Any]:
        """The difference under `name`, its interval under `<name>_ci`, and what was decided, as results hold them."""
        kept = ("p_value", "p_equivalent", "nets", "units", "pairs", "spread", "discordance", "verdict", "nets_needed")
        return {name: self.difference, f"{name}_ci": [self.low, self.high]} | {key: getattr(self, key) for key in kept}

    @property
    def _unit(self) -> str:
        return "nets" if self.units == self.nets else "groups of nets"

    def _power(self, nets: int) -> float:
        found = power_to_find(self.difference, nets, self.spread, level=LEVEL / self.questions)
        return max(found, power_to_exclude(self.difference, nets, self.spread, margin=self.margin))


def net_comparison(
    a: ArrayLike, b: ArrayLike, *, groups: Sequence[Any] | None = None, margin: float = MARGIN
) -> NetComparison:
    """Compare the hits of two arms with the net as unit of replication; wrong in at most 5 % of studies, each way.

    a, b: bool [nets, targets]. Row i of both is the same net behind two releases, or two nets trained from the same
    seed on the same data; column by column they have the same targets, which may be others in another row.
    groups: one label a net; nets of one group share faces and targets, and count as one unit with their mean. Without
    it every net is a unit: that is right where each has faces of its own, and otherwise a statement on these faces.
    The test flips signs, exactly up to 12 units, and supposes that a unit's difference is as likely to lie above the
    mean as below it by as much. Fewer than six units can show nothing at 5 %: their interval is [-1, 1].
    Raises InputError for arrays of another kind or shape, or a margin outside (0, 1).

    >>> import numpy as np
    >>> hits = np.arange(80) < np.array([[52], [48], [55], [50], [49], [51], [54], [47]])
    >>> found = rp.statistics.net_comparison(hits, np.arange(80) < np.arange(36, 44)[:, None])
    >>> found.verdict, found.difference, found.p_value
    ('yes', 0.140625, 0.0078125)

    Source: Hartigan 1969 (the interval); Schuirmann 1987 (equivalence).
    Chapter: appendix/plan.
    """
    a, b = _hits("a", a), _hits("b", b)
    if a.shape != b.shape:
        raise refuse("b", f"shape {b.shape}", f"that of a, {a.shape}")
    by_net = a.mean(axis=1) - b.mean(axis=1)
    units = by_net if groups is None else _means(by_net, groups)
    low, high = interval(units, level=LEVEL)
    return NetComparison(
        float(units.mean()),
        low,
        high,
        float(p_difference(units)),
        float(p_equivalent(units, open_unit("margin", margin))),
        nets=len(a),
        units=len(units),
        pairs=a.size,
        spread=float(units.std(ddof=1)) if len(units) > 1 else math.nan,
        discordance=float((a != b).mean()),
        margin=margin,
    )


def over_family(comparisons: Sequence[NetComparison]) -> list[NetComparison]:
    """The comparisons of one family of questions, with `p_value` corrected for being several.

    The probability that any difference of the family is shown that does not exist is at most 5 %. A difference excluded
    wrongly keeps 5 % for each question: it comes near that only where the true one is the margin itself. Intervals stay
    those of single questions.

    Source: Holm 1979.
    Chapter: appendix/plan.
    """
    corrected = holm([one.p_value for one in comparisons])
    return [
        dataclasses.replace(one, p_value=p_value, questions=len(comparisons))
        for one, p_value in zip(comparisons, corrected, strict=True)
    ]


def _means(by_net: NDArray[np.float64], groups: Sequence[Any]) -> NDArray[np.float64]:
    if len(groups) != len(by_net):
        raise refuse("groups", f"{len(groups)} labels", f"one a net, {len(by_net)}")
    _, which = np.unique(np.asarray(groups), return_inverse=True)
    return np.bincount(which, by_net) / np.bincount(which)


def _hits(argument: str, values: ArrayLike) -> NDArray[np.bool_]:
    values = np.asarray(values)
    if values.ndim != 2 or values.dtype.kind != "b" or not values.size:
        raise refuse(argument, f"{values.dtype} of shape {values.shape}", "a bool array [nets, targets], not empty")
    return values
