"""What the plan of the face experiments says of tests and numbers of nets, against drawn studies."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats
from sentences import Sentence

from rp_tutorial.statistics.sign_flips import attainable, p_difference
from rp_tutorial.statistics.studies import LEVEL, Study

PAGE, TARGETS, DISCORDANCE, PRIMARY, SEEDS = "appendix/plan", 80, 0.3, 9, 12
# Standard deviation between nets of a true difference: none, and the scatter of retrained nets on top of targets'.
READINGS = (0.0, 0.0575)
STUDIES, ERROR = 10_000, 1e-3  # of each sentence to be called false by chance
AT_MOST = stats.binom.isf(ERROR, STUDIES, LEVEL) / STUDIES


def planned(between: float, nets: int = SEEDS, targets: int = TARGETS) -> Study:
    return Study(nets, targets, DISCORDANCE, between)


@cache
def wrongly(between: float) -> list[dict[str, float]]:
    """Shares of studies that find a difference where there is none, at eight nets and at the planned ones."""
    return [planned(between, nets).rejections(studies=STUDIES) for nets in (8, SEEDS)]


def power(difference: float, between: float, *, level: float = LEVEL, targets: int = TARGETS) -> float:
    """A lower bound on the power that 2,000 studies show, wrong with probability `ERROR`."""
    found = planned(between, targets=targets).rejections(difference, level=level, studies=2000)["nets"]
    return float(stats.beta.ppf(ERROR, found * 2000, 2001 - found * 2000))


SENTENCES = [
    Sentence(PAGE, words, holds)
    for words, holds in (
        ("The test over nets rejects in at most 5 % of them in both readings.",
         lambda: max(found["nets"] for between in READINGS for found in wrongly(between)) <= AT_MOST),
        ("The test over targets keeps its level in the first, and in the second errs more than twice as often as it",
         lambda: max(found["targets"] for found in wrongly(READINGS[0])) <= AT_MOST
         and min(found["targets"] for found in wrongly(READINGS[1])) > 2 * LEVEL),
        ("and three units have eight flips.", lambda: attainable(LEVEL / 2, 3) == 0),
        ("Four differences have sixteen flips, and the smallest p-value that they can have is 1/8.",
         lambda: p_difference(np.ones((1, 4)), 0.0) == 1 / 8 and attainable(LEVEL / 2, 4) == 0),
        ("Eight seeds cannot pass the first step of the correction",
         lambda: attainable(LEVEL / PRIMARY / 2, 8) == 0 < attainable(LEVEL / PRIMARY / 2, SEEDS)),
        ("Twelve seeds find 10 points with more than 80 % in both readings, and at the first step of the correction if",
         lambda: min(power(0.1, b) for b in READINGS) > 0.8 < power(0.1, 0.0, level=LEVEL / PRIMARY)),
        ("10 points may be missed, and 15 will hardly be:",
         lambda: power(0.1, 0.0, targets=20) < 0.8 < power(0.15, 0.0, level=LEVEL / 4, targets=20)),
        ("where nothing differs, about two studies in three exclude 5 points.",
         lambda: abs(planned(0.0).rejections(studies=2000)["equivalence"] - 2 / 3) < 0.06),
    )
]  # fmt: skip


@pytest.mark.parametrize("sentence", SENTENCES, ids=str)
def test_a_sentence_of_the_plan_stands_and_drawn_studies_support_it(sentence: Sentence) -> None:
    sentence.check()


def test_the_bootstrap_over_eight_nets_misses_too_often_and_the_flips_do_not() -> None:
    Sentence(PAGE, "The bootstrap over eight nets misses too often.", lambda: True).check()
    only_a, only_b = planned(READINGS[1], 8).drawn(0.1, studies=2000)
    units = (only_a - only_b) / TARGETS
    again = np.random.default_rng(0).integers(0, 8, (1000, 8))
    low, high = np.percentile(units[:, again].mean(axis=-1), [2.5, 97.5], axis=1)
    assert ((low <= 0.1) & (high >= 0.1)).sum() < stats.binom.ppf(ERROR, 2000, 0.92)
