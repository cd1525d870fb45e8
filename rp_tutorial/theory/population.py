"""What an operator may say of many people, and of a certificate that is tried again: promises counted, not averaged.

A guarantee averages over certificates, those that promise nothing among them. *Given* that somebody was certified it
says nothing: of people near the boundary only the wrong certificates are long. What remains true of those certified is
said here. A certificate that may be looked at early or tried again needs `statistics.anytime`.
"""

import math

from scipy import stats

from rp_tutorial.core.arguments import closed_unit, count, open_unit, refuse


def wrong_promises(people: int, *, alpha: float, confidence: float) -> int:
    """With probability at least `confidence` no more than so many of the people hold a certificate that is wrong.

    For one certificate each, on samples of their own, that fails with probability at most alpha, whoever the people
    are: their number is stochastically at most Bin(people, alpha), whose mean is alpha * people.

    >>> rp.theory.wrong_promises(10_000, alpha=0.001, confidence=0.99)
    18

    Source: ours. Chapter: foundations/in-use.
    """
    people, alpha = count("people", people), open_unit("alpha", alpha)
    return int(stats.binom.isf(1 - open_unit("confidence", confidence), people, alpha))


def wrong_share(certified_share: float, *, alpha: float) -> float:
    """Expected wrong certificates over expected certificates, at most: alpha / certified_share, and at most 1.

    `certified_share`: the expected share of the people who get a certificate. Not a probability for any one of them,
    and it needs no independence.

    >>> round(rp.theory.wrong_share(0.73, alpha=0.02), 3)
    0.027

    Source: ours. Chapter: foundations/in-use.
    """
    share = closed_unit("certified_share", certified_share)
    if share == 0:
        raise refuse("certified_share", certified_share, "a number above 0: of nobody nothing is said")
    return min(1.0, open_unit("alpha", alpha) / share)


def retried_alpha(alpha: float, tries: int) -> float:
    """Probability that one of `tries` independent certificates fails, at most: 1 - (1 - alpha) ** tries.

    This is what an operator pays who tries CERTIFY again until it succeeds, and keeps the last; attained where every
    try fails with probability alpha. A confidence sequence costs alpha once (`statistics.anytime_lower_bound`).

    >>> [round(rp.theory.retried_alpha(0.00888, tries), 3) for tries in (1, 5, 20)]
    [0.009, 0.044, 0.163]

    Source: ours. Chapter: foundations/in-use.
    """
    return -math.expm1(count("tries", tries) * math.log1p(-open_unit("alpha", alpha)))
