"""The tournament: who meets whom, what is reported, and that code of a classmate's cannot stop it."""

import pytest
import torch
from answers_release import attacker, attacker_beyond_its_budget, noisy_vote, plain

import rp_tutorial as rp
from rp_tutorial.core.arguments import InputError


def test_every_attacker_meets_every_mechanism_and_so_does_the_hidden_one() -> None:
    table = rp.checks.tournament({"noisy": noisy_vote, "plain": plain}, {"mine": attacker}, games=25)
    met = {(row.mechanism, row.attacker): row for row in table.itertuples()}
    assert set(met) == {(m, a) for m in ("noisy", "plain") for a in ("mine", "hidden")}
    assert all(met["plain", who].refuted and met["plain", who].advantage == 0.5 for who in ("mine", "hidden"))
    assert not met["noisy", "hidden"].refuted
    assert list(table["advantage"]) == sorted(table["advantage"], reverse=True)


def test_an_attacker_that_fails_or_asks_too_much_loses() -> None:
    def fails(*game: torch.Tensor) -> bool:
        raise RuntimeError

    attackers = {"fails": fails, "asks": attacker_beyond_its_budget}
    table = rp.checks.tournament({"plain": plain}, attackers, games=10).set_index("attacker")
    assert table.loc["fails", "advantage"] == table.loc["asks", "advantage"] == -0.5


def test_a_tournament_without_games_is_refused() -> None:
    with pytest.raises(InputError, match=r"^games: got 0"):
        rp.checks.tournament({}, {}, games=0)
