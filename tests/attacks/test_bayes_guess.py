"""The best guess: by hand, against every other guess, and against an adversary that plays and queries."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats

from rp_tutorial.attacks.attribute_inference import infer_attribute
from rp_tutorial.attacks.bayes_guess import band_success, law_of_releases, side_success
from rp_tutorial.core.arguments import InputError
from rp_tutorial.oracles.base import LabelOracle

PRIOR = np.array([0.1, 0.3, 0.3, 0.2, 0.1])
ABOVE = np.array([False, False, False, True, True])


def step_law(cut: int, keep: float = 1.0) -> np.ndarray:
    """Two symbols, "index >= cut" told truly with probability `keep`: [1, 5, 2]."""
    one = np.where(np.arange(5) >= cut, keep, 1 - keep)
    return np.stack([1 - one, one], axis=-1)[None]


def random_law(seed: int, records: int = 6, symbols: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    law = rng.dirichlet(np.full(symbols, 0.5), size=(records, 5))
    return law, rng.dirichlet(np.ones(5)), rng.integers(0, 5, records)


def test_without_a_release_the_guess_is_the_priors() -> None:
    silent = np.ones((5, 5, 1))
    truth = np.arange(5)
    assert side_success(silent, PRIOR, truth, above=ABOVE).tolist() == [1, 1, 1, 0, 0]
    assert band_success(silent, PRIOR, truth, cells=1).tolist() == [0, 1, 1, 1, 0]


def test_a_label_that_is_the_side_gives_the_side_away() -> None:
    law = np.repeat(step_law(3), 5, axis=0)
    assert side_success(law, PRIOR, np.arange(5), above=ABOVE).tolist() == [1] * 5


def test_a_flipped_label_is_believed_as_long_as_it_beats_the_prior() -> None:
    """Prior odds of "above" are 3 to 7, so a label is believed from a keep probability of .7 on."""
    for keep, expected in ((0.65, [1, 1, 1, 0, 0]), (0.75, [0.75] * 5)):
        law = np.repeat(step_law(3, keep), 5, axis=0)
        assert side_success(law, PRIOR, np.arange(5), above=ABOVE) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_no_rule_beats_the_best_guess(seed: int) -> None:
    """Averaged over the prior, against every map from symbols to guesses."""
    law, prior, _ = random_law(seed, records=1)
    everywhere = np.repeat(law, 5, axis=0)
    best_side = prior @ side_success(everywhere, prior, np.arange(5), above=ABOVE)
    best_band = prior @ band_success(everywhere, prior, np.arange(5), cells=1)
    sides = [prior @ (law[0] * (np.array(rule) == ABOVE[:, None])).sum(axis=1) for rule in product([0, 1], repeat=3)]
    near = np.abs(np.arange(5)[:, None, None] - np.array(list(product(range(5), repeat=3)))) <= 1  # [5, rules, 3]
    bands = np.einsum("g,gs,grs->r", prior, law[0], near)
    assert best_side == pytest.approx(max(sides))
    assert best_band == pytest.approx(bands.max())


def test_more_releases_never_help_less() -> None:
    law, prior, _ = random_law(3, records=1)
    everywhere = np.repeat(law, 5, axis=0)
    success = [
        prior @ side_success(law_of_releases(everywhere, m), prior, np.arange(5), above=ABOVE) for m in (1, 2, 5, 20)
    ]
    assert (np.diff(success) >= -1e-12).all()


def test_the_law_of_releases_is_the_multinomial() -> None:
    law, _, _ = random_law(4)
    many = law_of_releases(law, 4)
    assert many.shape == (6, 5, 15)
    assert many.sum(axis=-1) == pytest.approx(np.ones((6, 5)))
    p = law[0, 0]
    assert sorted(many[0, 0]) == pytest.approx(
        sorted(stats.multinomial.pmf([a, b, 4 - a - b], 4, p) for a in range(5) for b in range(5 - a))
    )
    assert np.allclose(law_of_releases(law, 1), law)


def test_a_function_tells_nothing_more_the_second_time() -> None:
    law, truth = np.repeat(step_law(2), 5, axis=0), np.arange(5)
    once = band_success(law, PRIOR, truth, cells=1)
    assert (band_success(law_of_releases(law, 10), PRIOR, truth, cells=1) == once).all()


class FlippedStep(LabelOracle):
    """Releases "first feature >= 3", flipped with probability .2."""

    def __init__(self) -> None:
        super().__init__(num_classes=2)
        self.random = torch.Generator().manual_seed(0)

    def _release(self, x: torch.Tensor) -> torch.Tensor:
        flip = torch.rand(len(x), generator=self.random) < 0.2
        return (x[:, 0] >= 3).long() ^ flip.long()


def test_the_success_is_that_of_an_adversary_who_plays() -> None:
    """4000 victims at value 4: released labels, 600 queries a candidate, a guess by Bayes' rule from the agreement.

    The share of right guesses is the exact success up to 5 standard deviations.
    """
    victims, oracle = torch.full((4000, 1), 4.0), FlippedStep()
    released = oracle(victims)
    inference = infer_attribute(
        oracle,
        torch.tensor([[0.0], [0.0]]),
        torch.tensor([0, 1]),
        candidates=np.arange(5.0),
        with_attribute=lambda x, grid: grid[None, :, None].repeat(len(x), 1, 1),
        unit="cells",
        repeats=600,
    )
    weight = inference.agreement * PRIOR
    guess = 2 * weight[:, ABOVE].sum(axis=1) >= weight.sum(axis=1)
    played = np.mean(guess[released.numpy()])
    exact = side_success(step_law(3, 0.8), PRIOR, np.array([4]), above=ABOVE).item()
    assert exact == pytest.approx(0.8)
    assert abs(played - exact) < 5 * np.sqrt(0.8 * 0.2 / 4000)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"law": np.ones((5, 2))}, "law: got 'shape (5, 2)'"),
        ({"law": np.ones((1, 5, 2))}, "that sum to 1 over the symbols"),
        ({"prior": np.ones(4)}, "prior: got 'shape (4,)'"),
        ({"prior": np.zeros(5)}, "finite, non-negative weights"),
        ({"truth": np.array([5])}, "truth: got 'int64 of shape (1,)', allowed is an index below 5 a record"),
        ({"above": np.ones(5)}, "above: got 'float64 of shape (5,)'"),
    ],
)
def test_bad_input_is_one_line(changes: dict, words: str) -> None:
    given = {"law": step_law(3), "prior": PRIOR, "truth": np.array([0]), "above": ABOVE} | changes
    with pytest.raises(InputError) as caught:
        side_success(given["law"], given["prior"], given["truth"], above=given["above"])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
