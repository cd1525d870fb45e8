"""The best guess of a hidden attribute after a release, and how often it is right: what no adversary can improve on.

The adversary of `attribute_inference.py` queries an interface; this one knows the law of its release at every
candidate value, the rest of the record and the prior, and guesses by Bayes' rule. So its success is an upper bound for
everyone with this prior, and it needs no simulation. Arrays only: no net and no oracle is called here.
"""

import math
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from rp_tutorial.core.arguments import count, refuse

Array = NDArray[np.float64]


def side_success(law: Array, prior: Array, truth: NDArray[np.int64], *, above: NDArray[np.bool_]) -> Array:
    """Probability that the best guess of "is the value on the side `above`?" is right, for each record: [B].

    law [B, G, S]: probability of each symbol at each candidate value, beside the record's other attributes. prior [G]:
    weights of the candidates, not all 0. truth [B]: index of the record's own value, at which one release is drawn.
    above [G]: which candidates lie on that side. A tie is guessed "above". Raises InputError if the shapes do not fit.
    """
    law, prior = _checked(law, prior, truth)
    above = np.asarray(above)
    if above.shape != prior.shape or above.dtype != bool:
        raise refuse("above", f"{above.dtype} of shape {above.shape}", f"bools of shape {prior.shape}")
    weight = law * prior[:, None]
    guess = 2 * weight[:, above].sum(axis=1) >= weight.sum(axis=1)  # [B, S]
    return (_at_truth(law, truth) * (guess == above[truth][:, None])).sum(axis=1)


def band_success(law: Array, prior: Array, truth: NDArray[np.int64], *, cells: int) -> Array:
    """Probability that the best guess of the value is off by at most `cells` candidates, for each record: [B].

    Arguments as in `side_success`. The guess is the centre of the band of 2 * cells + 1 candidates (fewer at the ends)
    that holds most of the posterior; of several equal ones the lowest.
    """
    law, prior = _checked(law, prior, truth)
    reach = count("cells", cells, minimum=0)
    summed = np.concatenate([np.zeros_like(law[:, :1]), np.cumsum(law * prior[:, None], axis=1)], axis=1)
    centre = np.arange(len(prior))
    low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach, len(prior) - 1) + 1
    guess = (summed[:, high] - summed[:, low]).argmax(axis=1)  # [B, S]
    return (_at_truth(law, truth) * (np.abs(guess - np.asarray(truth)[:, None]) <= reach)).sum(axis=1)


def law_of_releases(law: Array, releases: int) -> Array:
    """The law of `releases` independent releases about the same input, their order forgotten: [..., S] -> [..., C].

    C counts the ways to spread the releases over the S symbols; order tells nothing more. It is the law for fresh
    randomness; where the answer is a function or is remembered, further releases add nothing.
    """
    law, m = np.asarray(law, dtype=float), count("releases", releases)
    symbols = law.shape[-1]
    spread = np.zeros((math.comb(m + symbols - 1, m), symbols), dtype=int)
    for row, chosen in enumerate(combinations_with_replacement(range(symbols), m)):
        np.add.at(spread[row], list(chosen), 1)
    powers = law[..., None] ** np.arange(m + 1)  # [..., S, m + 1]
    found = np.ones((*law.shape[:-1], len(spread)))
    for symbol in range(symbols):
        found *= powers[..., symbol, :][..., spread[:, symbol]]
    return found * [math.factorial(m) / math.prod(map(math.factorial, row)) for row in spread.tolist()]


def _at_truth(law: Array, truth: NDArray[np.int64]) -> Array:
    return law[np.arange(len(law)), truth]


def _checked(law: Array, prior: Array, truth: NDArray[np.int64]) -> tuple[Array, Array]:
    law, prior, truth = np.asarray(law, dtype=float), np.asarray(prior, dtype=float), np.asarray(truth)
    if law.ndim != 3 or not (law.min(initial=0) >= 0 and np.allclose(law.sum(axis=-1), 1)):
        raise refuse("law", f"shape {law.shape}", "probabilities [B, G, S] that sum to 1 over the symbols")
    if prior.shape != law.shape[1:2] or not (prior.min() >= 0 and 0 < prior.sum() < np.inf):
        raise refuse("prior", f"shape {prior.shape}", f"finite, non-negative weights of shape {law.shape[1:2]}")
    if truth.shape != law.shape[:1] or not (truth.dtype.kind in "iu" and ((truth >= 0) & (truth < len(prior))).all()):
        raise refuse("truth", f"{truth.dtype} of shape {truth.shape}", f"an index below {len(prior)} a record")
    return law, prior
