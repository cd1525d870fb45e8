"""Checks on short computations about attacks and rivals: spheres, budgets, targets, lies, copies, coins, one record,
what is left of a normalisation, and the flips of a few nets.

For exercises of the chapters on faces and comparisons. Each answer is a function of a few numbers; what it is compared
with is exact.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special, stats

from rp_tutorial.checks.base import AnswerError, ask, check, compare, drawn, numbers, shown
from rp_tutorial.statistics.sign_flips import p_difference

SEVERAL = 8  # questions of a check
DIRECTIONS, INSIDE = 32, 29  # of the published sphere


@check
def check_sphere_grows(answer: Callable[[int, float], float], *, seed: int) -> str:
    """(n, p) -> the chance that 29 of 32 probes get the target's label, each by a vote of n noisy labels, n odd.

    p is the probability of the label in one noisy copy.

    Chapter: faces/label-only-inversion.
    """
    draw = drawn(seed, 70)

    def grows(believed: float, needed: int = INSIDE) -> float:
        return float(stats.binom.sf(needed - 1, DIRECTIONS, believed))

    def vote(n: int, p: float) -> float:
        return float(stats.binom.sf(n // 2, n, p))

    compare(
        answer,
        lambda n, p: grows(vote(n, p)),
        [(2 * int(n) + 1, float(p)) for n, p in zip(draw.integers(0, 30, 8), draw.uniform(0.6, 0.97, 8), strict=True)],
        slips={
            "it forgets the vote: a probe is more reliable than one noisy copy": lambda n, p: grows(p),
            "it asks for all 32, and 29 are enough": lambda n, p: grows(vote(n, p), DIRECTIONS),
            "29 of 32 are enough, and it asks for more than 29": lambda n, p: grows(vote(n, p), INSIDE + 1),
            "it is the reliability of one probe, and a sphere has 32": vote,
        },
    )
    return "right: a steep function of a steep function"


@check
def check_relaxed_rule(answer: Callable[[float, float], int], *, seed: int) -> str:
    """(outside, chance) -> the largest number that probes inside, of 32, reach with at least that chance.

    Chapter: faces/mechanism.
    """
    draw = drawn(seed, 71)

    def rule(outside: float, chance: float) -> int:
        return int(max(k for k in range(DIRECTIONS + 1) if stats.binom.sf(k - 1, DIRECTIONS, 1 - outside) >= chance))

    compare(
        answer,
        rule,
        [(float(o), float(c)) for o, c in zip(draw.uniform(0.03, 0.4, 8), draw.uniform(0.6, 0.95, 8), strict=True)],
        slips={
            "it is reached less often than asked for: by one probe": lambda o, c: rule(o, c) + 1,
            "one probe more is reached as often as asked for, too": lambda o, c: rule(o, c) - 1,
            "it is the mean number, which is reached about half of the time": lambda o, c: DIRECTIONS * (1 - o),
            "it is the published rule, whatever is answered as outside": lambda o, c: INSIDE,
        },
    )
    return "right: the attacker's constant, undone"


@check
def check_targets_needed(answer: Callable[[float, float], float], *, seed: int) -> str:
    """(p, q) -> targets for each of two independent groups: level 5 %, two-sided, seen four times in five.

    By the normal approximation with each group's own variance; to one part in 100.

    Chapter: faces/defended.
    """
    draw = drawn(seed, 72)

    def needed(p: float, q: float, level: float = 0.975, power: float = 0.8) -> float:
        quantiles = special.ndtri(level) + special.ndtri(power)
        return float(quantiles**2 * (p * (1 - p) + q * (1 - q)) / (p - q) ** 2)

    compare(
        answer,
        needed,
        [(float(p), float(p + d)) for p, d in zip(draw.uniform(0.05, 0.5, 8), draw.uniform(0.05, 0.4, 8), strict=True)],
        tolerance=0.01,
        slips={
            "its test is one-sided": lambda p, q: needed(p, q, level=0.95),
            "with so many the difference shows every second time": lambda p, q: needed(p, q, power=0.5),
            "the difference enters squared": lambda p, q: needed(p, q) * abs(p - q),
            "both groups vary": lambda p, q: needed(p, q) * p * (1 - p) / (p * (1 - p) + q * (1 - q)),
        },
    )
    return "right: four times the targets for half the difference"


@check
def check_best_agreement(answer: Callable[[float, int], float], *, seed: int) -> str:
    """(advantage, K) -> the best mean accuracy over K labels if no pair of them is told apart with more than that.

    Asked for two to five labels, to one part in 10,000.

    Chapter: comparisons/randomized-response.
    """
    draw = drawn(seed, 73)

    def best(advantage: float, k: int) -> float:
        return (1 + 2 * (k - 1) * advantage) / k

    compare(
        answer,
        best,
        [(float(a), int(k)) for a, k in zip(draw.uniform(0.01, 0.45, 4), (2, 3, 4, 5), strict=True)],
        tolerance=1e-4,
        slips={
            "it takes the advantage for the total variation, and allows half of it": lambda a, k: best(a / 2, k),
            "it is the accuracy for two labels: with more of them a guess is worth less": lambda a, k: 0.5 + a,
            "it allows twice what may be: the advantage is half the total variation": lambda a, k: best(2 * a, k),
            "a guess without any release is right once in K times, and this starts from less": lambda a, k: 2 * a,
        },
    )
    return "right: no release does better, and randomized response does as well"


@check
def check_labels_needed(answer: Callable[[float, float, int], float], *, seed: int) -> str:
    """(honest, keep, K) -> how many labels a copyist needs from an oracle that keeps a label with probability keep.

    By the rule of thumb of the chapter, if honest labels suffice without lies and a lie is any other label.

    Chapter: comparisons/distillation.
    """
    draw = drawn(seed, 74)
    compare(
        answer,
        lambda honest, keep, k: honest / (keep - (1 - keep) / (k - 1)) ** 2,
        [
            (float(h), float(q), int(k))
            for h, q, k in zip(
                draw.integers(500, 5000, 8), draw.uniform(0.3, 0.95, 8), draw.integers(4, 40, 8), strict=True
            )
        ],
        slips={
            "it drops the lies, as if the copyist knew which labels they are": lambda h, q, k: h / q,
            "what counts is how far the truth leads: lies give every other label a share, too": lambda h, q, k: (
                h / q**2
            ),
            "the noise of a mean falls with the root of the labels": lambda h, q, k: h / (q - (1 - q) / (k - 1)),
        },
    )
    return "right: the price of a lie, squared"


@check
def check_passes(answer: Callable[[int, int, int], int], *, seed: int) -> str:
    """(budget, repeats, confirmations) -> whole passes: 32 probes asked `repeats` times, the end `confirmations` times.

    Chapter: comparisons/adaptive.
    """
    draw = drawn(seed, 75)
    compare(
        answer,
        lambda budget, repeats, ends: budget // (DIRECTIONS * repeats + ends),
        [tuple(map(int, (draw.integers(500, 9000), *draw.integers(1, 9, 2)))) for _ in range(SEVERAL)],
        slips={
            "a pass that the budget does not cover is none": lambda b, r, e: b / (DIRECTIONS * r + e),
            "the end of the step is asked about, too": lambda b, r, e: b // (DIRECTIONS * r),
            "the end of the step is asked as often as is said for it": lambda b, r, e: b // ((DIRECTIONS + 1) * r),
            "probes are repeated, too": lambda b, r, e: b // (DIRECTIONS + e),
        },
    )
    return "right: so many spheres and ends"


@check
def check_coin(answer: Callable[..., float], *, seed: int) -> str:
    """(accuracies [2], rates [2], t) -> the attack's success at accuracy t if a coin picks one of two mechanisms.

    Chapter: comparisons/frontier.
    """
    draw, questions = drawn(seed, 76), []
    for _ in range(SEVERAL):
        accuracies, rates = np.sort(draw.uniform(0.5, 1, 2)), draw.uniform(0, 1, 2)
        questions.append((accuracies, rates, float(draw.uniform(*accuracies))))
    compare(
        answer,
        lambda a, s, t: float(np.interp(t, a, s)),
        questions,
        slips={
            "it tosses a fair coin: the coin has to reach the accuracy t": lambda a, s, t: s.mean(),
            "it takes the better mechanism alone, which is more accurate than asked for": lambda a, s, t: s[1],
            "its coin falls the wrong way round": lambda a, s, t: float(np.interp(t, a, s[::-1])),
        },
    )
    return "right: on the line between the two"


@check
def check_one_record(answer: Callable[[int], Any], *, seed: int) -> str:
    """(size) -> (base [size, d], record [d]): gradients whose released sum one more record moves by 2 size or more.

    Released is the *mean* of the gradients cut to length 1, as a sum: size times the cut mean.

    Chapter: comparisons/dp-sgd.
    """

    def released(gradients: np.ndarray) -> np.ndarray:
        mean = gradients.mean(axis=0)
        return len(gradients) * mean * min(1.0, 1 / max(float(np.linalg.norm(mean)), 1e-300))

    for size in drawn(seed, 77).integers(3, 200, SEVERAL).tolist():
        pair = ask(answer, size)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise AnswerError(f"it returns {shown(pair)}, asked for is a pair (base, record)")
        base = np.asarray(pair[0], dtype=np.float64)
        if base.ndim != 2 or len(base) != size:
            raise AnswerError(f"for size {size} its base has the shape {base.shape}, asked for is ({size}, d)")
        record = numbers(pair[1], base.shape[1:])
        moved = float(np.linalg.norm(released(np.vstack([base, record])) - released(base)))
        if moved < 2 * size:
            raise AnswerError(f"for size {size} the record moves the sum by {moved:.0f}, and more is possible")
    return "right: one record turns the whole sum round"


@check
def check_folding(answer: Callable[..., Any], *, seed: int) -> str:
    """(mean [C], variance [C], gamma [C], beta [C], eps) -> scale and shift [2, C] that a normalisation comes to.

    Chapter: faces/facenet64.
    """
    draw = drawn(seed, 78)

    def folded(mean: Any, variance: Any, gamma: Any, beta: Any, eps: float) -> np.ndarray:
        scale = gamma / np.sqrt(variance + eps)
        return np.stack([scale, beta - mean * scale])

    compare(
        answer,
        folded,
        [
            (draw.normal(size=c), draw.uniform(0.2, 3, c), draw.uniform(0.5, 2, c), draw.normal(size=c), 1e-3)
            for c in draw.integers(2, 5, SEVERAL).tolist()
        ],
        slips={
            "it divides by the variance, and a normalisation by its root": lambda m, v, g, b, e: np.stack(
                [g / (v + e), b - m * g / (v + e)]
            ),
            "it leaves out eps, which stands under the root": lambda m, v, g, b, e: folded(m, v, g, b, 0.0),
            "its shift forgets that the mean is subtracted, too": lambda m, v, g, b, e: np.stack(
                [g / np.sqrt(v + e), b]
            ),
            "its shift forgets that the mean is scaled as the input is": lambda m, v, g, b, e: np.stack(
                [g / np.sqrt(v + e), b - m]
            ),
        },
    )
    return "right: a convolution before it takes the scale into its weights and the shift into its bias"


@check
def check_sign_flips(answer: Callable[..., float], *, seed: int) -> str:
    """(differences [n], value) -> the two-sided p-value, by all 2^n flips, of the claim that value is their mean.

    Asked for four to nine differences that are multiples of 1/64, so that sums are exact and a tie is a tie.

    Chapter: comparisons/twelve-nets.
    """
    draw = drawn(seed, 79)

    def beside(units: np.ndarray, value: float, least: int = 0) -> tuple[float, float]:
        """Shares of the flips that lie at most, and at least, where the sum does; or beyond it by `least` / 64."""
        flips = (1 - 2 * (np.arange(2 ** len(units))[:, None] >> np.arange(len(units)) & 1)) @ (units - value)
        total, past = float((units - value).sum()), least / 64
        return float((flips <= total - past).mean()), float((flips >= total + past).mean())

    compare(
        answer,
        lambda units, value: float(p_difference(units, value)),
        [(draw.integers(-6, 20, n) / 64, float(draw.integers(-3, 8)) / 64) for n in (4, 5, 6, 7, 8, 9, 9, 9)],
        slips={
            "it is one-sided: a mean too far on the other side counts as well": lambda d, v: min(beside(d, v)),
            "a tie counts against rejection: the flip of nothing is one of them": lambda d, v: min(
                1.0, 2 * min(beside(d, v, least=1))
            ),
            "it tests whether the mean is 0, whatever value is claimed": lambda d, v: float(p_difference(d)),
            "it looks at signs alone: how far a difference lies from the value counts": lambda d, v: float(
                stats.binomtest(int((d > v).sum()), len(d)).pvalue
            ),
            "it supposes a normal law, and is asked for flips": lambda d, v: float(stats.ttest_1samp(d, v).pvalue),
        },
    )
    return "right: as many flips as signs, and none of them favoured"
