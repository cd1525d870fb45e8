"""Games against the sharper bounds: what is played is what the laws say, and bounds that do not hold are found out."""

import numpy as np
import pytest
from scipy import stats

from rp_tutorial.experiments import bound_games, walk_games
from rp_tutorial.experiments.bound_games import GAMES, by_bound, play_setting
from rp_tutorial.experiments.game_table import Table, total_variation
from rp_tutorial.oracles import smoothing
from rp_tutorial.statistics.binomial import lower_confidence_bound
from rp_tutorial.theory import certificate

ROUNDS, SETTINGS = 300, 12


def play(game: str, settings: int = SETTINGS, *, error: float = 1e-6, rounds: int = ROUNDS) -> list[dict]:
    number = list(GAMES).index(game)
    return [row for i in range(settings) for row in play_setting(game, Table(rounds, error, (5, number, i)))]


@pytest.mark.parametrize("game", GAMES)
def test_played_and_exact_agree_and_no_bound_is_broken(game):
    """Won rounds are binomial with what the laws say; no two-sided test of any setting rejects at 1e-8."""
    rows = play(game)
    assert not any(row["broken_exactly"] or row["broken_in_play"] for row in rows)
    for row in rows:
        if row["exact"] is not None:
            chance = 0.0 if row["game"] == "anytime failure" else 0.5
            won = round((row["played"] + chance) * ROUNDS)
            assert stats.binomtest(won, ROUNDS, min(1.0, row["exact"] + chance)).pvalue > 1e-8
    line = by_bound(rows)[0]
    assert line["settings"] == SETTINGS
    assert line["known_exactly"] > 0


def scaled(function, factor):
    return lambda *args, **kwargs: factor * function(*args, **kwargs)


@pytest.mark.parametrize(
    ("game", "module", "bound"),
    [
        ("profile", bound_games, "vote_profile"),
        ("walk", walk_games, "adaptive_tv"),
        ("known noise", walk_games, "known_noise_tv"),
    ],
)
def test_nine_tenths_of_a_bound_are_found_out(game, module, bound, monkeypatch):
    monkeypatch.setattr(module, bound, scaled(getattr(module, bound), 0.9))
    assert any(row["broken_exactly"] for row in play(game, 40, rounds=20))


def test_a_radius_by_plurality_that_is_a_tenth_too_long_is_found_out(monkeypatch):
    monkeypatch.setattr(
        bound_games.plurality, "deployable_radius", scaled(bound_games.plurality.deployable_radius, 1.1)
    )
    assert any(row["broken_exactly"] for row in play("plurality"))


def test_a_calibration_to_twice_the_target_is_found_out(monkeypatch):
    right = bound_games.calibrated_radius

    def too_long(*args, target_tv, **kwargs):
        return right(*args, target_tv=min(0.9, 2 * target_tv), **kwargs)

    for module in (bound_games, certificate):
        monkeypatch.setattr(module, "calibrated_radius", too_long)
    assert any(row["broken_exactly"] for row in play("calibrated"))


def test_a_bound_for_one_look_is_found_out_when_one_looks_six_times(monkeypatch):
    """Clopper-Pearson at every look in place of the sequence: caught in play, at an error of a thousandth."""
    monkeypatch.setattr(
        smoothing, "anytime_lower_bound", lambda k, n, alpha: lower_confidence_bound(k, int(n), alpha=alpha)
    )
    rows = [row for row in play("anytime", error=1e-3, rounds=1000) if row["game"] == "anytime failure"]
    assert any(row["broken_in_play"] for row in rows)


def test_total_variation_of_several_labels_is_that_of_all_their_sequences():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(2), (2, 4))
    by_count = total_variation(p, q, 3)
    padded = [np.concatenate([law[:, :1], law[:, 1:] / 2, law[:, 1:] / 2], axis=1) for law in (p, q)]
    assert total_variation(*padded, 3) == pytest.approx(by_count)
    single = np.abs(np.prod(p[0] ** [[3, 0]]) - np.prod(q[0] ** [[3, 0]]))
    assert by_count[0] >= single
