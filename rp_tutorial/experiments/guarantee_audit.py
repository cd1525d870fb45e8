"""Experiment `guarantee-audit`: the proven bounds against an adversary who plays the distinguishing game.

On half-spaces every law is known, so each game has an exact value beside it. The *table* plays at the edge of the
certified ball, where the claim "advantage at most alpha / 2" is made for the ideal classifier and broken by what is
deployed. The *settings* play at the deployable radius, where nothing may exceed the bound, with a fresh certificate
for every round. The bounds are in `privacy`, the game in `attacks.distinguishing`; no data are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from rp_tutorial.attacks.distinguishing import Outcome, fit_test, judge, record
from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments.engine.runner import Stages
from rp_tutorial.models.halfspace_net import at_distance, half_space_net
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.smoothing import PredictOracle, Smoothing, VoteOracle
from rp_tutorial.statistics.binomial import certified_radius, lower_confidence_bound
from rp_tutorial.theory.guarantees import (
    composition_tv,
    deployable_radius,
    deployable_radius_predict,
    halfspace_advantage,
    halfspace_laws,
    total_variation,
)
from rp_tutorial.theory.halfspace import vote_law

TIERS = ("synthetic",)
BULKY = ("settings",)  # hundreds of rows of games: left out of the published run, which keeps their summary
N0 = 100  # samples that choose the class before CERTIFY bounds it on others
PURPOSES = {"certify": 1, "edge": 2, "deployable": 3, "single": 4, "repeated": 5, "control": 6}
RadiusOf = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class AuditSettings:
    """Settings of one run. A round of the table or of a setting draws its own certificate, then its release."""

    table_rounds: int  # played rounds of a cell whose certificates take 1,000 samples
    costly_rounds: int  # the same for 100,000 samples
    random_settings: int
    single_rounds: int
    repeated_rounds: int
    most_samples: int  # largest n of a random setting
    most_votes: int  # largest N of a random setting
    rehearsal_share: float = 0.25  # calibration rounds, as a share of the played ones, on top of them
    cells: tuple[tuple[int, int], ...] = ((1000, 1000), (1000, 100), (100_000, 100), (100_000, 1000))
    p_a: float = 0.9
    alpha: float = 0.01
    beta: float = 0.01
    table_error: float = 1e-4  # probability that any interval of the table misses its exact value
    settings_error: float = 1e-6  # probability that any game of the settings accuses a bound that holds
    chunk: int = 40  # settings remembered together
    device: str = "cpu"


PROFILES = {
    "smoke": AuditSettings(4000, 500, 200, 300, 100, most_samples=400, most_votes=300),
    "cpu": AuditSettings(80_000, 4000, 240, 1000, 300, most_samples=2000, most_votes=1000),
    "gpu": AuditSettings(200_000, 40_000, 1000, 10_000, 3000, most_samples=10_000, most_votes=10_000),
}
NEEDS = {
    "smoke": "2 cores, 1 GiB, seconds",
    "cpu": "2 cores, 1 GiB, about a minute",
    "gpu": "a CUDA device (about 1e11 noisy rows)",
}


@dataclass(frozen=True)
class Mechanism:
    """One release mechanism on one half-space point, and what its certificate takes."""

    rule: str
    p_a: float
    sigma: float
    n_vote: int
    n_cert: int
    alpha: float  # of the certificate, and of PREDICT's test
    beta: float

    def certified(self, p_low: NDArray[np.float64]) -> NDArray[np.float64]:
        """The radius of the ideal classifier."""
        return certified_radius(p_low, sigma=self.sigma)

    def deployable(self, p_low: NDArray[np.float64]) -> NDArray[np.float64]:
        """The radius of this rule at N votes."""
        common = {"sigma": self.sigma, "n_vote": self.n_vote, "beta": self.beta}
        if self.rule == "vote":
            return deployable_radius(p_low, **common)
        return deployable_radius_predict(p_low, **common, alpha=self.alpha)

    def law_options(self) -> dict[str, Any]:
        """Arguments of the half-space laws in `privacy`. Class A is class 1, against which a tied vote goes."""
        test = {"alpha": self.alpha} if self.rule == "predict" else {}
        return {"sigma": self.sigma, "n_vote": self.n_vote, "rule": self.rule, **test}

    def bound(self, releases: int = 1) -> float:
        """The proven advantage at the deployable radius."""
        return composition_tv(self.alpha, self.beta, releases) / 2

    def certificate_law(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Every p_low that CERTIFY(N0, n_cert, alpha) can find here, and its probability; 1e-12 of it left out."""
        few, many = stats.binom.ppf([5e-13, 1 - 5e-13], self.n_cert, self.p_a).astype(int)
        ones = np.arange(few, many + 1)
        weight, chosen = stats.binom.pmf(ones, self.n_cert, self.p_a), vote_law(self.p_a, n=N0)
        p_low = lower_confidence_bound(np.concatenate([self.n_cert - ones, ones]), self.n_cert, alpha=self.alpha)
        return p_low, np.concatenate([chosen[0] * weight, chosen[1] * weight])

    def mean(self, of: RadiusOf) -> float:
        """Exact mean of a function of p_low over the certificate's samples."""
        p_low, weight = self.certificate_law()
        return float(weight @ of(p_low))

    def exact(self, radius: RadiusOf, *, releases: int = 1, tie: str = "against") -> float:
        """Best advantage against `releases` releases at that radius of each certificate, averaged exactly."""
        options = self.law_options()
        return self.mean(lambda p: halfspace_advantage(self.p_a, radius(p), releases=releases, tie=tie, **options))

    def exact_abstention(self, radius: RadiusOf) -> float:
        """The same for an adversary who only sees whether PREDICT abstains."""

        def advantage(p_low: NDArray[np.float64]) -> NDArray[np.float64]:
            laws = halfspace_laws(self.p_a, radius(p_low), **self.law_options())
            abstains = [np.stack([law[..., 1], 1 - law[..., 1]], axis=-1) for law in laws]
            return total_variation(*abstains) / 2

        return self.mean(advantage)


def run(settings: AuditSettings, *, data: str, seed: int, stages: Stages) -> dict[str, Any]:
    """The table at the certified edge, and the random settings at the deployable radius."""
    if data not in TIERS:
        raise InputError(f"data: got {data!r}, but guarantee-audit plays on half-spaces; allowed is synthetic")
    table = [cell for n_cert in _cert_sizes(settings) for cell in _cells(settings, n_cert, seed, stages)]
    chunks = [
        stages.result(
            f"settings-{first}", {"settings": vars(settings), "seed": seed}, lambda f=first: _chunk(settings, f, seed)
        )
        for first in range(0, settings.random_settings, settings.chunk)
    ]
    rows = [row for chunk in chunks for row in chunk]
    return {"table": table, "settings": rows, "summary": _summary(settings, table, rows)}


def stage_count(settings: AuditSettings) -> int:
    """Stages of one run: the certificates, two rules a cell, the chunks of settings."""
    return len(_cert_sizes(settings)) + 2 * len(settings.cells) + -(-settings.random_settings // settings.chunk)


# --- The table ---


def _cert_sizes(settings: AuditSettings) -> list[int]:
    return sorted({n_cert for n_cert, _ in settings.cells})


def _cells(settings: AuditSettings, n_cert: int, seed: int, stages: Stages) -> list[dict[str, Any]]:
    """The cells that share certificates of n_cert samples; one certificate a round."""
    key = {"settings": vars(settings), "seed": seed, "n_cert": n_cert}
    played = settings.costly_rounds if n_cert > 1000 else settings.table_rounds
    total = played + round(settings.rehearsal_share * played)
    votes = [n_vote for cert, n_vote in settings.cells if cert == n_cert]
    cells = [
        Mechanism(rule, settings.p_a, 1.0, n_vote, n_cert, settings.alpha, settings.beta)
        for n_vote in votes
        for rule in ("vote", "predict")
    ]
    bench = _Bench(settings, [seed, n_cert])
    p_low = stages.result(f"certificates-{n_cert}", key, lambda: bench.certificates(cells[0], total).tolist())
    return [
        stages.result(
            f"table-{n_cert}-{cell.n_vote}-{cell.rule}",
            key,
            lambda cell=cell: _cell(settings, cell, np.array(p_low), played, seed),
        )
        for cell in cells
    ]


def _cell(
    settings: AuditSettings, cell: Mechanism, p_low: NDArray[np.float64], played: int, seed: int
) -> dict[str, Any]:
    """One cell: the game at the certified edge and, with the same certificates, at the deployable radius."""
    bench = _Bench(settings, [seed, cell.n_cert, cell.n_vote, len(cell.rule)])
    confidence = 1 - settings.table_error / (4 * len(settings.cells))  # two games in each of two rules a cell
    edge = bench.play(cell, cell.certified(p_low), played, "edge", confidence=confidence)[0]
    inside = bench.play(cell, cell.deployable(p_low), played, "deployable", confidence=confidence)[0]
    exact, exact_inside = cell.exact(cell.certified), cell.exact(cell.deployable)
    return {
        "n_cert": cell.n_cert,
        "n_vote": cell.n_vote,
        "rule": cell.rule,
        "p_a": cell.p_a,
        "claimed": settings.alpha / 2,
        "advantage_exact": exact,
        "advantage_played": edge.advantage,
        "ci": [edge.low, edge.high],
        "covered": edge.low <= exact <= edge.high,
        "advantage_exact_tie_for": cell.exact(cell.certified, tie="for"),
        "certified_radius": cell.mean(cell.certified),
        "deployable_radius": cell.mean(cell.deployable),
        "bound": cell.bound(),
        "deployable_advantage_exact": exact_inside,
        "deployable_advantage_played": inside.advantage,
        "deployable_ci": [inside.low, inside.high],
        "deployable_covered": inside.low <= exact_inside <= inside.high,
        "rounds": played,
        "confidence": confidence,
        "unit": "sigma",
    }


# --- The random settings ---


def _chunk(settings: AuditSettings, first: int, seed: int) -> list[dict[str, Any]]:
    last = min(first + settings.chunk, settings.random_settings)
    return [_setting(settings, index, seed) for index in range(first, last)]


def _setting(settings: AuditSettings, index: int, seed: int) -> dict[str, Any]:
    """One random setting: exact advantages and played ones at the deployable radius, and the control at the edge."""
    mechanism, releases = _draw(settings, np.random.default_rng([seed, index]))
    bench = _Bench(settings, [seed, index, 7])
    single, repeated = settings.single_rounds, settings.repeated_rounds
    total = single + round(settings.rehearsal_share * single)
    p_low = bench.certificates(mechanism, total)
    # Every game is judged one-sided at this error; four games a setting, the control's one not needed but counted.
    confidence = 1 - 2 * settings.settings_error / (4 * settings.random_settings)
    inside, edge = mechanism.deployable(p_low), mechanism.certified(p_low)
    sees = ("symbols", "abstention")
    one, abstention = bench.play(mechanism, inside, single, "single", confidence=confidence, sees=sees)
    many = bench.play(mechanism, inside, repeated, "repeated", confidence=confidence, releases=releases)[0]
    control = bench.play(mechanism, edge, single, "control", confidence=confidence)[0]
    predicts = mechanism.rule == "predict"
    games = {
        "single": _game(one, mechanism.exact(mechanism.deployable), mechanism.bound()),
        "repeated": _game(many, mechanism.exact(mechanism.deployable, releases=releases), mechanism.bound(releases)),
        "abstention": _game(
            abstention, mechanism.exact_abstention(mechanism.deployable) if predicts else 0.0, mechanism.bound()
        ),
    }
    return {
        **vars(mechanism),
        "releases": releases,
        "deployable_radius": mechanism.mean(mechanism.deployable),
        "certified_radius": mechanism.mean(mechanism.certified),
        "games": games,
        "control": _game(control, mechanism.exact(mechanism.certified), mechanism.alpha / 2),
    }


def _game(outcome: Outcome, exact: float, bound: float) -> dict[str, Any]:
    """A game beside its exact value and a bound. Broken if its law or its lower limit exceeds the bound."""
    return {
        "bound": bound,
        "advantage_exact": exact,
        "advantage_played": outcome.advantage,
        "lower_limit": outcome.low,
        "broken_exactly": exact > bound + 1e-12,
        "broken_in_play": outcome.low > bound,
    }


def _draw(settings: AuditSettings, rng: np.random.Generator) -> tuple[Mechanism, int]:
    """A setting that promises something: one whose typical certificate has a deployable radius. Else drawn again."""

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    while True:
        mechanism = Mechanism(
            rule=str(rng.choice(["vote", "predict"])),
            p_a=float(special.ndtr(rng.uniform(0.1, 3.2))),
            sigma=log_uniform(0.05, 3.0),
            n_vote=int(log_uniform(5, settings.most_votes + 1)),
            n_cert=int(log_uniform(50, settings.most_samples + 1)),
            alpha=log_uniform(0.002, 0.2),
            beta=log_uniform(0.002, 0.2),
        )
        typical = lower_confidence_bound(
            round(mechanism.p_a * mechanism.n_cert), mechanism.n_cert, alpha=mechanism.alpha
        )
        if mechanism.deployable(typical) > 0:
            return mechanism, int(rng.choice([2, 5, 20]))


@dataclass(frozen=True)
class _Bench:
    """The half-space net behind the real smoothing, with fresh noise for every purpose."""

    settings: AuditSettings
    entropy: list[int]

    def certificates(self, mechanism: Mechanism, rounds: int) -> NDArray[np.float64]:
        """p_low of `rounds` independent runs of CERTIFY at the same point."""
        x = at_distance(mechanism.sigma * special.ndtri(mechanism.p_a)).expand(rounds, 2)
        smoothing = self._smoothing(mechanism.sigma, "certify")
        return smoothing.certify(x, n0=N0, n=mechanism.n_cert, alpha=mechanism.alpha).p_low

    def play(
        self,
        mechanism: Mechanism,
        radius: NDArray[np.float64],
        played: int,
        purpose: str,
        *,
        confidence: float,
        releases: int = 1,
        sees: tuple[str, ...] = ("symbols",),
    ) -> list[Outcome]:
        """The game with x' nearer to the boundary by the radius of the round's own certificate; one outcome a view.

        The same test is best for all certificates: A speaks for x, any other symbol for x'. So one fit serves all.
        """
        rehearsal = round(self.settings.rehearsal_share * played)
        distance = mechanism.sigma * special.ndtri(mechanism.p_a)
        neighbour = at_distance(distance - radius[: rehearsal + played])
        oracle, seed = self._oracle(mechanism, purpose), self._seed(purpose)
        transcript = record(
            oracle, at_distance(distance), neighbour, rounds=rehearsal + played, releases=releases, seed=seed
        )
        first, rest = transcript.split(rehearsal)
        return [judge(fit_test(first, sees=s), rest, sees=s, confidence=confidence, seed=seed) for s in sees]

    def _oracle(self, mechanism: Mechanism, purpose: str) -> LabelOracle:
        smoothing = self._smoothing(mechanism.sigma, purpose)
        if mechanism.rule == "vote":
            return VoteOracle(smoothing, n=mechanism.n_vote)
        return PredictOracle(smoothing, n=mechanism.n_vote, alpha=mechanism.alpha)

    def _smoothing(self, sigma: float, purpose: str) -> Smoothing:
        return Smoothing(
            half_space_net(), num_classes=2, sigma=sigma, seed=self._seed(purpose), device=self.settings.device
        )

    def _seed(self, purpose: str) -> int:
        return int(np.random.SeedSequence([*self.entropy, PURPOSES[purpose]]).generate_state(1)[0])


# --- What is told ---


def _summary(settings: AuditSettings, table: list[dict[str, Any]], rows: list[dict[str, Any]]) -> dict[str, Any]:
    games = [game for row in rows for game in row["games"].values()]
    controls = [row["control"] for row in rows]
    return {
        "cells": len(table),
        "cells_covered": sum(cell["covered"] and cell["deployable_covered"] for cell in table),
        "table_error": settings.table_error,
        "settings": len(rows),
        "games": len(games),
        "violations": sum(game["broken_exactly"] or game["broken_in_play"] for game in games),
        "settings_error": settings.settings_error,
        "largest_share_of_bound": max(game["advantage_exact"] / game["bound"] for game in games),
        "control_broken_exactly": sum(game["broken_exactly"] for game in controls),
        "control_broken_in_play": sum(game["broken_in_play"] for game in controls),
    }


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The results as tidy tables: `table`, and `settings` with one row a game, the control included."""
    common = [name for name in results["settings"][0] if name not in ("games", "control")]
    games = [
        {**{name: row[name] for name in common}, "game": game, **values}
        for row in results["settings"]
        for game, values in [*row["games"].items(), ("control", row["control"])]
    ]
    return {"table": pd.DataFrame(results["table"]), "settings": pd.DataFrame(games)}


def summary(document: dict[str, Any]) -> str:
    """The table and the verdict on the settings, for a terminal."""
    found = document["results"]["summary"]
    columns = ["n_cert", "n_vote", "rule", "claimed", "advantage_exact", "advantage_played", "ci", "deployable_radius"]
    table = tables(document["results"])["table"][[*columns, "bound", "deployable_advantage_exact"]].copy()
    table["ci"] = [f"{low:.3f} to {high:.3f}" for low, high in table["ci"]]
    return (
        f"{table.round(4).to_string(index=False)}\n"
        f"{found['cells_covered']} of {found['cells']} cells covered; {found['violations']} violations in "
        f"{found['games']} games of {found['settings']} settings at the deployable radius; at the certified edge "
        f"{found['control_broken_exactly']} of {found['settings']} exceed alpha / 2, "
        f"{found['control_broken_in_play']} of them visibly in play"
    )


def extra_files(document: dict[str, Any]) -> dict[str, str]:
    """What stands beside results.json: both tables as CSV."""
    return {f"{name}.csv": table.to_csv(index=False) for name, table in tables(document["results"]).items()}
