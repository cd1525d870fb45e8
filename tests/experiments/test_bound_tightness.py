"""Tightness: the worst person's adversary gets what the bound allows, and a bound that allows too little is accused."""

import pytest

from rp_tutorial.experiments import bound_tightness
from rp_tutorial.experiments.bound_tightness import cases, played
from rp_tutorial.theory import calibration

ROUNDS = 2_000_000  # for a bound of .01


def rows(of: str, *, rounds: int = ROUNDS) -> list[dict]:
    own = [case for case in cases() if case.bound_of == of]
    return [played(case, rounds=rounds, confidence=1 - 1e-7, seed=3, number=i) for i, case in enumerate(own)]


@pytest.mark.parametrize("of", ["profile", "calibrated", "adaptive", "known noise", "plurality"])
def test_what_is_played_covers_what_is_exact_and_no_bound_is_broken(of):
    for row in rows(of):
        assert row["covered"]
        assert not row["broken"]
        assert row["exact"] <= row["bound"] * (1 + 1e-9)
        assert row["share_exact"] > (0.6 if of == "plurality" else 0.99)


def test_a_profile_of_nine_tenths_is_accused_by_its_law_and_in_play(monkeypatch):
    right = bound_tightness.vote_profile
    monkeypatch.setattr(bound_tightness, "vote_profile", lambda *args, **kwargs: 0.9 * right(*args, **kwargs))
    for row in rows("profile", rounds=100_000_000):
        assert row["broken"]
        assert row["exact"] > row["bound"]
        assert row["ci"][0] > row["bound"]


def test_a_doubled_level_of_the_calibration_is_accused_by_its_law_and_in_play(monkeypatch):
    right = calibration.calibrated_level
    monkeypatch.setattr(calibration, "calibrated_level", lambda *args, **kwargs: 2 * right(*args, **kwargs))
    for row in rows("calibrated"):
        assert row["exact"] > row["bound"]
        assert row["ci"][0] > row["bound"]
