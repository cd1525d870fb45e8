"""What a run of DP-SGD spends: epsilon from noise, and noise from epsilon, by accountants that share no code.

One step adds Gaussian noise to a sum of clipped gradients over a Poisson sample: the subsampled Gaussian mechanism,
under adding or removing one record. The steps of a run compose. PRV and PLD bound that composition numerically and are
held against each other. RDP is a bound too, and looser. GDP rests on a central limit theorem: it is no bound, it comes
out too small at the usual epsilons, and it is here only to be compared with. What is trained is in `dp_sgd.py`.
"""

import importlib
import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from rp_tutorial.core.arguments import InputError, count, one_of, open_unit, positive, refuse

ACCOUNTANTS = ("prv", "pld", "rdp", "gdp")
TOLERANCE = 0.005  # how far below its target a calibrated epsilon may lie, as a share of the target
LARGEST_NOISE = 1e4
SMALLEST_NOISE = 0.25  # below, epsilon is in the hundreds and PRV's exponentials overflow


def spent_epsilon(
    noise_multiplier: float, *, delta: float, sample_rate: float, steps: int, accountant: str = "prv"
) -> float:
    """The epsilon at `delta` of `steps` steps of DP-SGD, whoever sees the weights after every step.

    Neighbouring data sets differ by one record, added or removed. `noise_multiplier`: standard deviation of the noise
    over the clipping norm; `sample_rate`: probability with which each record enters a step, independently of all others
    (Poisson sampling). `accountant`: "prv" (Opacus; Gopi et al. 2021) and "pld" (dp_accounting; Koskela et al. 2020)
    are numerical upper bounds, "rdp" a looser one (Mironov 2017), "gdp" an approximation (Dong et al. 2022).
    Raises InputError for arguments out of range, and where the accountant's package is missing.
    """
    sigma, delta = positive("noise_multiplier", noise_multiplier), open_unit("delta", delta)
    if sigma < SMALLEST_NOISE:
        raise refuse("noise_multiplier", noise_multiplier, f"a finite number of at least {SMALLEST_NOISE:g}")
    rate, steps = _rate(sample_rate), count("steps", steps)
    if one_of("accountant", accountant, ACCOUNTANTS) == "pld":
        return _by_pld(sigma, delta, rate, steps)
    accountants = optional_package("opacus.accountants")
    with warnings.catch_warnings(), np.errstate(divide="ignore"):
        # Without sampling PRV takes the logarithm of 1 - 1, and minus infinity is what it needs there. RDP remarks that
        # the best of its fixed orders is the first or the last: then its bound is looser than it might be.
        # GDP says of itself what the docstring says of it.
        warnings.filterwarnings("ignore", message="Optimal order is the (largest|smallest) alpha")
        warnings.filterwarnings("ignore", message="GDP accounting is experimental and can underestimate")
        ledger = accountants.create_accountant(mechanism=accountant)
        ledger.history = [(sigma, rate, steps)]
        return float(ledger.get_epsilon(delta))


@lru_cache(maxsize=256)
def calibrated_noise(epsilon: float, *, delta: float, sample_rate: float, steps: int) -> float:
    """The smallest noise multiplier, up to a tolerance, with which `steps` steps spend at most `epsilon` at `delta`.

    By the PRV accountant, whose answer is an upper bound and may be too large by .01: `spent_epsilon` of the noise lies
    between .995 `epsilon` and `epsilon`. About a second of one core, remembered within the process.
    Raises InputError for arguments out of range, and for an epsilon that noise multipliers from .25 to 10,000 miss.
    """
    epsilon, delta = positive("epsilon", epsilon), open_unit("delta", delta)
    rate, steps = _rate(sample_rate), count("steps", steps)

    def spent(sigma: float) -> float:
        return spent_epsilon(sigma, delta=delta, sample_rate=rate, steps=steps)

    high = 1.0
    while spent(high) > epsilon:
        high *= 2
        if high > LARGEST_NOISE:
            raise refuse("epsilon", epsilon, f"what noise of at most {LARGEST_NOISE:g} clipping norms reaches")
    low, reached = 0.0, spent(high)
    while epsilon - reached > TOLERANCE * epsilon:
        middle = (low + high) / 2
        if middle < SMALLEST_NOISE:
            raise refuse("epsilon", epsilon, f"what needs noise of at least {SMALLEST_NOISE:g} clipping norms")
        here = spent(middle)
        low, high, reached = (low, middle, here) if here <= epsilon else (middle, high, reached)
    return high


def optional_package(name: str) -> Any:
    """The module `name` of the extra `dp`, or an InputError of one line that says how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise InputError(
            f"dp: got an environment without {package}, allowed is one with the extra: pip install 'rp-tutorial[dp]'"
        ) from None


def _by_pld(sigma: float, delta: float, rate: float, steps: int) -> float:
    """dp_accounting's privacy loss distributions, rounded so that the answer is an upper bound."""
    dp_accounting = optional_package("dp_accounting")
    pld = optional_package("dp_accounting.pld")
    step = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(sigma))
    neighbours = dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE
    accountant = pld.PLDAccountant(neighbours, value_discretization_interval=1e-3)
    return float(accountant.compose(step, steps).get_epsilon(delta))


def _rate(sample_rate: float) -> float:
    return 1.0 if sample_rate == 1 else open_unit("sample_rate", sample_rate)
