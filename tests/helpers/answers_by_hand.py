"""A right answer and plausible wrong ones to each check of `checks/by_hand.py` and `checks/rivals.py`."""

from itertools import product

import numpy as np
import torch
from scipy import optimize, stats

import rp_tutorial as rp

Z = np.linspace(-7, 7, 2001)


def abstention(sigma, n, alpha, quantile):
    p = stats.norm.cdf((Z - stats.norm.ppf(quantile)) / sigma)
    weight = stats.norm.pdf(Z) * (Z[1] - Z[0])
    return weight @ rp.theory.predict_law(p, n=n, alpha=alpha)[:, 1]


def margin(net, x, r, norm=2):
    w, b, v, v0 = (p.detach().double() for p in net.parameters())
    centre, reach = w @ x.double() + b, r * w.norm(p=norm, dim=1)
    low, high = (centre - reach).relu(), (centre + reach).relu()
    y = int((v @ centre.relu() + v0).argmax())
    d, d0 = v[y] - v[1 - y], v0[y] - v0[1 - y]
    return d.clamp_min(0) @ low + d.clamp_max(0) @ high + d0


def agreement(advantage, k):
    """By a linear program, for the matrix of a release."""
    pairs = [(i, j) for i in range(k) for j in range(i)]
    size = k * k + len(pairs) * k
    goal, above, most = np.zeros(size), [], []
    goal[[i * k + i for i in range(k)]] = -1 / k
    for n, (i, j) in enumerate(pairs):
        row = np.zeros(size)
        row[k * k + n * k : k * k + (n + 1) * k] = 0.5
        above.append(row), most.append(2 * advantage)
        for c in range(k):
            for sign in (1, -1):
                row = np.zeros(size)
                row[[i * k + c, j * k + c, k * k + n * k + c]] = sign, -sign, -1
                above.append(row), most.append(0)
    sums = np.zeros((k, size))
    for i in range(k):
        sums[i, i * k : (i + 1) * k] = 1
    return -optimize.linprog(goal, above, most, sums, np.ones(k), bounds=(0, 1)).fun


def grows(n, p, needed=29):
    return stats.binom.sf(needed - 1, 32, stats.binom.sf(n // 2, n, p))


def relaxed(outside, chance):
    return next(k for k in range(32, -1, -1) if stats.binom.cdf(32 - k, 32, outside) >= chance)


def targets(p, q, level=0.975, power=0.8):
    z = stats.norm.ppf(level) + stats.norm.ppf(power)
    return np.ceil(z**2 * (p * (1 - p) + q * (1 - q)) / (p - q) ** 2 * 1000) / 1000


def turned(size):
    return np.tile([1.0, 0.0], (size, 1)), np.array([-1e9, 0.0])


def one_large_beside_nothing(size):
    return np.zeros((size, 2)), np.array([1e9, 0.0])


def one_of_length_one(size):
    return np.tile([1.0, 0.0], (size, 1)), np.array([-1.0, 0.0])


def one_at_a_right_angle(size):
    return np.tile([1.0, 0.0], (size, 1)), np.array([0.0, 1e9])


def folded(mean, variance, gamma, beta, eps):
    scale = gamma / (variance + eps) ** 0.5
    return scale, beta - mean * scale


def flipped(differences, value, *, ties=True, sides=2):
    units = [d - value for d in differences]
    flips = [sum(s * d for s, d in zip(signs, units, strict=True)) for signs in product((1, -1), repeat=len(units))]
    high = sum(f > sum(units) or (ties and f == sum(units)) for f in flips)
    low = sum(f < sum(units) or (ties and f == sum(units)) for f in flips)
    return min(1, sides * min(high, low) / len(flips))


ANSWERS = {
    "check_abstention": (
        abstention,
        [
            lambda s, n, a, q: abstention(s, n, 2 * a, q),
            lambda s, n, a, q: abstention(s, n, a, 0.9),
            lambda s, n, a, q: abstention(1.0, n, a, q),
            lambda s, n, a, q: 2 * s / n**0.5,
        ],
    ),
    "check_lied_accuracy": (
        lambda q, a: q * a + (1 - q) * (1 - a),
        [lambda q, a: q * a, lambda q, a: q * a + (1 - q) / 2, lambda q, a: a, lambda q, a: 1 - q * a],
    ),
    "check_deleting_sigma": (
        lambda w: w / (2 * stats.norm.ppf(0.75)),
        [lambda w: w / stats.norm.ppf(0.75), lambda w: w / 2, lambda w: 1.349 * w, lambda w: w / 4],
    ),
    "check_carried_probability": (
        lambda p, s, o: stats.norm.cdf(stats.norm.ppf(p) * s / o),
        [
            lambda p, s, o: stats.norm.cdf(stats.norm.ppf(p) * o / s),
            lambda p, s, o: p,
            lambda p, s, o: stats.norm.cdf(stats.norm.ppf(p) * (s / o) ** 2),
            lambda p, s, o: 0.5 + (p - 0.5) * s / o,
        ],
    ),
    "check_one_hot_change": (
        lambda p: 2**0.5 / (p * (1 - p)) ** 0.5,
        [
            lambda p: 1 / (p * (1 - p)) ** 0.5,
            lambda p: 2 / (p * (1 - p)) ** 0.5,
            lambda p: 2**0.5 / (p * (1 - p)),
            lambda p: 2**0.5,
        ],
    ),
    "check_interval_margin": (
        margin,
        [
            lambda net, x, r: margin(net, x, r, norm=1),
            lambda net, x, r: margin(net, x, r, norm=torch.inf),
            lambda net, x, r: margin(net, x, 0.0),
        ],
    ),
    "check_sphere_grows": (
        grows,
        [
            lambda n, p: stats.binom.sf(28, 32, p),
            lambda n, p: grows(n, p, 32),
            lambda n, p: grows(n, p, 30),
            lambda n, p: stats.binom.sf(n // 2, n, p),
        ],
    ),
    "check_relaxed_rule": (
        relaxed,
        [lambda o, c: relaxed(o, c) + 1, lambda o, c: relaxed(o, c) - 1, lambda o, c: 32 * (1 - o), lambda o, c: 29],
    ),
    "check_targets_needed": (
        targets,
        [
            lambda p, q: targets(p, q, level=0.95),
            lambda p, q: targets(p, q, power=0.5),
            lambda p, q: targets(p, q) * abs(p - q),
            lambda p, q: targets(p, q) / 2,
        ],
    ),
    "check_best_agreement": (
        agreement,
        [
            lambda a, k: (1 + (k - 1) * a) / k,
            lambda a, k: 0.5 + a,
            lambda a, k: (1 + 4 * (k - 1) * a) / k,
        ],
    ),
    "check_labels_needed": (
        lambda h, q, k: h / (q - (1 - q) / (k - 1)) ** 2,
        [lambda h, q, k: h / q, lambda h, q, k: h / q**2, lambda h, q, k: h / (q - (1 - q) / (k - 1))],
    ),
    "check_passes": (
        lambda b, r, c: b // (32 * r + c),
        [
            lambda b, r, c: b / (32 * r + c),
            lambda b, r, c: b // (32 * r),
            lambda b, r, c: b // (33 * r),
            lambda b, r, c: b // (32 + c),
        ],
    ),
    "check_coin": (
        lambda a, s, t: s[0] + (t - a[0]) / (a[1] - a[0]) * (s[1] - s[0]),
        [
            lambda a, s, t: s.mean(),
            lambda a, s, t: s[1],
            lambda a, s, t: s[1] + (t - a[0]) / (a[1] - a[0]) * (s[0] - s[1]),
        ],
    ),
    "check_folding": (
        folded,
        [
            lambda m, v, g, b, e: folded(m, v**2, g, b, 0.0),
            lambda m, v, g, b, e: folded(m, v, g, b, 0.0),
            lambda m, v, g, b, e: (g / (v + e) ** 0.5, b),
            lambda m, v, g, b, e: (g / (v + e) ** 0.5, b - m),
            lambda m, v, g, b, e: (1 / (v + e) ** 0.5, b - m / (v + e) ** 0.5),
        ],
    ),
    "check_sign_flips": (
        flipped,
        [
            lambda d, v: flipped(d, v, sides=1),
            lambda d, v: flipped(d, v, ties=False),
            lambda d, v: flipped(d, 0),
            lambda d, v: stats.binomtest(int((d > v).sum()), len(d)).pvalue,
            lambda d, v: stats.ttest_1samp(d, v).pvalue,
            lambda d, v: stats.wilcoxon(d - v).pvalue,
        ],
    ),
    "check_one_record": (turned, [one_large_beside_nothing, one_of_length_one, one_at_a_right_angle]),
}
