"""The law of randomized response: what a label answered at random tells, and what it costs, in closed form.

The mechanism that draws from it is `oracles/randomized_response`.
"""

import math

import numpy as np
from numpy.typing import NDArray

from rp_tutorial.core.arguments import closed_unit, count, positive, refuse


def keep_probability(epsilon: float, num_classes: int) -> float:
    """Probability that the label is kept, e^eps / (e^eps + K - 1)."""
    others = count("num_classes", num_classes, minimum=2) - 1
    return 1 / (1 + others * math.exp(-positive("epsilon", epsilon)))


def response_law(epsilon: float, num_classes: int, label: int) -> NDArray[np.float64]:
    """The law of one release over the K labels where the oracle behind it says `label`: float64 [K], sums to 1."""
    kept = keep_probability(epsilon, num_classes)
    if count("label", label, minimum=0) >= num_classes:
        raise refuse("label", label, f"a class from 0 to {num_classes - 1}")
    law = np.full(num_classes, (1 - kept) / (num_classes - 1))
    law[label] = kept
    return law


def advantage(epsilon: float, num_classes: int) -> float:
    """Largest advantage (TV / 2) of one release over any pair of inputs: (e^eps - 1) / (2 (e^eps + K - 1))."""
    kept = keep_probability(epsilon, num_classes)
    return (kept - (1 - kept) / (num_classes - 1)) / 2


def epsilon_for_advantage(target: float, num_classes: int) -> float:
    """The epsilon whose `advantage` is the target, which must lie strictly between 0 and 1/2."""
    others = count("num_classes", num_classes, minimum=2) - 1
    if not 0 < target < 0.5:
        raise refuse("target", target, "an advantage strictly between 0 and 1/2")
    return math.log((1 + 2 * target * others) / (1 - 2 * target))


def accuracy(epsilon: float, base_accuracy: float, num_classes: int) -> float:
    """Expected accuracy of one release, where the oracle behind it is right with probability `base_accuracy`.

    kept * a + (1 - kept) (1 - a) / (K - 1): a lie about a wrong label is the right one once in K - 1 times. It holds
    for every input on its own, and so for every mean over inputs.
    """
    kept, right = keep_probability(epsilon, num_classes), closed_unit("base_accuracy", base_accuracy)
    return kept * right + (1 - kept) * (1 - right) / (num_classes - 1)


def epsilon_for_accuracy(target: float, base_accuracy: float, num_classes: int) -> float:
    """The epsilon whose `accuracy` is the target, which must lie strictly between chance, 1 / K, and `base_accuracy`.

    An epsilon is the price of an accuracy: this is the smallest that reaches it. Raises InputError for an oracle that
    is not better than chance, as lying about it does not make it worse.
    """
    chance = 1 / count("num_classes", num_classes, minimum=2)
    right = closed_unit("base_accuracy", base_accuracy)
    if not right > chance:
        raise refuse("base_accuracy", base_accuracy, f"one above chance, 1 / {num_classes}")
    if not chance < target < right:
        raise refuse("target", target, f"an accuracy strictly between chance, 1 / {num_classes}, and {base_accuracy}")
    # Odds of keeping: the target splits the way from "always lies", (1 - a) / (K - 1), to "never lies", a.
    never_kept = (1 - right) / (num_classes - 1)
    return math.log((target - never_kept) * (num_classes - 1) / (right - target))
