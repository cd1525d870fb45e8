"""A right answer and plausible wrong ones to each check of `rp_tutorial/checks/guarantees.py`."""

import numpy as np
import torch
from scipy import optimize, stats


def advantage(p, q):
    return np.abs(p - q).sum() / 4


def total_variation(p, q):
    return np.abs(p - q).sum() / 2


def advantage_of_one_symbol(p, q):
    return np.abs(p - q).max() / 2


def chance_to_be_right(p, q):
    return 0.5 + np.abs(p - q).sum() / 4


def losing(n, most, beta):
    return optimize.brentq(lambda q: stats.binom.cdf(most, n, q) - beta, 1e-12, 1 - 1e-12, xtol=1e-14)


def quantile(n_vote, beta):
    return losing(n_vote, n_vote // 2, beta)


def quantile_with_ties(n_vote, beta):
    return losing(n_vote, (n_vote - 1) // 2, beta)


def quantile_of_two_sides(n_vote, beta):
    return losing(n_vote, n_vote // 2, beta / 2)


def quantile_in_sigma(n_vote, beta):
    return stats.norm.ppf(quantile(n_vote, beta))


def quantile_normal(n_vote, beta):
    return 0.5 + stats.norm.ppf(1 - beta) / (2 * n_vote**0.5)


def deployable(p_low, sigma, n_vote, beta):
    return max(0.0, sigma * (stats.norm.ppf(p_low) - stats.norm.ppf(quantile(n_vote, beta))))


def deployable_as_certified(p_low, sigma, n_vote, beta):
    return max(0.0, sigma * stats.norm.ppf(p_low))


def deployable_negative(p_low, sigma, n_vote, beta):
    return sigma * (stats.norm.ppf(p_low) - stats.norm.ppf(quantile(n_vote, beta)))


def deployable_unscaled_price(p_low, sigma, n_vote, beta):
    return max(0.0, sigma * stats.norm.ppf(p_low) - stats.norm.ppf(quantile(n_vote, beta)))


def deployable_of_difference(p_low, sigma, n_vote, beta):
    return max(0.0, sigma * stats.norm.ppf(max(p_low - quantile(n_vote, beta) + 0.5, 1e-9)))


def composition(alpha, beta, m):
    return alpha + 1 - (1 - beta) ** m


def composition_linear(alpha, beta, m):
    return min(1.0, alpha + m * beta)


def composition_of_certificates(alpha, beta, m):
    return min(1.0, m * (alpha + beta))


def composition_without_certificate(alpha, beta, m):
    return 1 - (1 - beta) ** m


def composition_of_one(alpha, beta, m):
    return alpha + beta


def games(oracle, x, neighbour, rounds, seed):
    """Coins, and a released symbol a round."""
    coin = np.random.default_rng(seed).random(rounds) < 0.5
    asked = torch.where(torch.tensor(coin)[:, None], neighbour, x)
    return coin, oracle(asked).numpy()


def fitted(coin, symbols, size):
    """Whether each symbol, ABSTAIN first, speaks for the neighbour."""
    here, there = (np.bincount(symbols[coin == world] + 1, minlength=size) for world in (False, True))
    return (there + 0.5) / (coin.sum() + size / 2) > (here + 0.5) / ((~coin).sum() + size / 2)


def proved(wins, rounds, confidence):
    return (stats.beta.ppf(1 - confidence, wins, rounds - wins + 1) if wins else 0.0) - 0.5


def audit(oracle, x, neighbour, rounds, confidence, seed):
    rehearsal = games(oracle, x, neighbour, rounds, 2 * seed)
    coin, symbols = games(oracle, x, neighbour, rounds, 2 * seed + 1)
    guess = fitted(*rehearsal, oracle.num_classes + 1)[symbols + 1]
    return proved(int((guess == coin).sum()), rounds, confidence)


def audit_on_its_rehearsal(oracle, x, neighbour, rounds, confidence, seed):
    coin, symbols = games(oracle, x, neighbour, rounds, seed)
    guess = fitted(coin, symbols, oracle.num_classes + 1)[symbols + 1]
    return proved(int((guess == coin).sum()), rounds, confidence)


def audit_without_interval(oracle, x, neighbour, rounds, confidence, seed):
    rehearsal = games(oracle, x, neighbour, rounds, 2 * seed)
    coin, symbols = games(oracle, x, neighbour, rounds, 2 * seed + 1)
    return (fitted(*rehearsal, oracle.num_classes + 1)[symbols + 1] == coin).mean() - 0.5


def audit_twice_as_large(oracle, x, neighbour, rounds, confidence, seed):
    return 2 * audit(oracle, x, neighbour, rounds, confidence, seed)


def audit_deaf_to_silence(oracle, x, neighbour, rounds, confidence, seed):
    rehearsal = games(oracle, x, neighbour, rounds, 2 * seed)
    coin, symbols = games(oracle, x, neighbour, rounds, 2 * seed + 1)
    lots = np.random.default_rng(seed + 10_000).random(rounds) < 0.5
    guess = np.where(symbols < 0, lots, fitted(*rehearsal, oracle.num_classes + 1)[symbols + 1])
    return proved(int((guess == coin).sum()), rounds, confidence)


def audit_that_finds_nothing(oracle, x, neighbour, rounds, confidence, seed):
    return 0.0


def told(n, s):
    return stats.binom.sf(n // 2, n, stats.norm.cdf(s / 2)) - 0.5


def largest(s, allowed, told=told):
    n = 1
    while told(n + 2, s) <= allowed:
        n += 2
    return n


ANSWERS = {
    "check_advantage": (advantage, [total_variation, advantage_of_one_symbol, chance_to_be_right]),
    "check_vote_quantile": (
        quantile,
        [quantile_with_ties, quantile_of_two_sides, quantile_in_sigma, quantile_normal],
    ),
    "check_largest_vote": (
        largest,
        [
            lambda s, a: largest(s, a) + 1,
            lambda s, a: largest(s, a) + 2,
            lambda s, a: largest(s, a / 2),
            lambda s, a: largest(s, a, lambda n, s: told(n, 2 * s) / 2),
            lambda s, a: largest(s, a, lambda n, s: stats.norm.cdf(s * n**0.5 / 2) - 0.5) - 4,
        ],
    ),
    "check_deployable_radius": (
        deployable,
        [deployable_as_certified, deployable_negative, deployable_unscaled_price, deployable_of_difference],
    ),
    "check_composition": (
        composition,
        [composition_linear, composition_of_certificates, composition_without_certificate, composition_of_one],
    ),
    "check_audit": (
        audit,
        [
            audit_on_its_rehearsal,
            audit_without_interval,
            audit_twice_as_large,
            audit_deaf_to_silence,
            audit_that_finds_nothing,
        ],
    ),
}
