"""Experiment `guarantee-audit`: the proven bounds against an adversary who plays the distinguishing game.

On half-spaces every law is known, so each game has an exact value beside it. The *table* plays at the edge of the
certified ball, where the claim "advantage at most alpha / 2" is made for the ideal classifier and broken by what is
deployed. The *settings* play at the deployable radius, where nothing may exceed the bound, with a fresh certificate
for every round. The bounds are in `theory/guarantees`, the game in
`attacks/distinguishing`, the mechanisms and their laws in `half_space_games`. The *bounds* are the sharper ones, played
against on random nets of up to a hundred classes (`bound_games`), the *tightness* is what of each its worst person's
adversary gets (`bound_tightness`). No data are read.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from rp_tutorial.attacks.distinguishing import Outcome, fit_test, judge, record
from rp_tutorial.core.streams import Purpose, child_seed, numpy_generator
from rp_tutorial.experiments import bound_tightness
from rp_tutorial.experiments.bound_games import GAMES, by_bound, play_setting
from rp_tutorial.experiments.engine.experiment import NO_DATA, Experiment, register
from rp_tutorial.experiments.engine.lab import Lab
from rp_tutorial.experiments.game_table import Table
from rp_tutorial.experiments.half_space_games import N0, RULES, Mechanism
from rp_tutorial.models.table_nets import at_distance, half_space_net
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.smoothing import PredictOracle, Smoothing, VoteOracle
from rp_tutorial.statistics.binomial import lower_confidence_bound

OF_SETTINGS = ("random_settings", "single_rounds", "repeated_rounds", "most_samples", "most_votes", "settings_error",
               "chunk")  # fmt: skip
OF_TABLE = ("table_rounds", "costly_rounds", "cells", "p_a", "alpha", "beta", "table_error")
OF_BOUNDS = ("bound_settings", "bound_rounds", "bounds_error")
OF_TIGHTNESS = ("tight_rounds", "tightness_error")
BOTH = ("rehearsal_share",)  # of table and settings


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
    bound_settings: int  # of each game against a sharper bound
    bound_rounds: int
    tight_rounds: int  # for a bound of .01; larger ones need fewer
    rehearsal_share: float = 0.25  # calibration rounds, as a share of the played ones, on top of them
    cells: tuple[tuple[int, int], ...] = ((1000, 1000), (1000, 100), (100_000, 100), (100_000, 1000))
    p_a: float = 0.9
    alpha: float = 0.01
    beta: float = 0.01
    table_error: float = 1e-4  # probability that any interval of the table misses its exact value
    settings_error: float = 1e-6  # probability that any game of the settings accuses a bound that holds
    bounds_error: float = 1e-6  # the same for the games against the sharper bounds
    tightness_error: float = 1e-4  # probability that any interval of the tightness misses its exact value
    chunk: int = 40  # settings remembered together
    device: str = "cpu"


PROFILES = {
    "smoke": AuditSettings(4000, 500, 200, 300, 100, 400, 300, 8, 200, tight_rounds=1_000_000),
    "cpu": AuditSettings(80_000, 4000, 240, 1000, 300, 2000, 1000, 240, 400, tight_rounds=20_000_000),
    "gpu": AuditSettings(100_000, 8000, 480, 2000, 600, 4000, 2000, 480, 800, tight_rounds=40_000_000),
    "paper": AuditSettings(200_000, 40_000, 1000, 10_000, 3000, 10_000, 10_000, 1000, 2000, tight_rounds=200_000_000),
}
NEEDS = {
    "smoke": "2 cores, 1 GiB, seconds",
    "cpu": "2 cores, 1 GiB, three minutes",
    "gpu": "2 cores, 2 GiB, some ten minutes (estimated; a GPU takes the noise of the half-spaces)",
    "paper": "a CUDA device (about 1e11 noisy rows)",
}


class AuditLab(Lab):
    """Half-spaces only: the cells of the table, and random settings."""

    settings: AuditSettings

    def certificates(self, n_cert: int) -> list[float]:
        """p_low of one certificate of n_cert samples for every round of a cell, calibration included."""
        s = self.settings
        any_rule = Mechanism("vote", s.p_a, 1.0, 1, n_cert, s.alpha, s.beta)
        bench = _Bench(s, (self.seed, n_cert))
        rounds = self.played(n_cert) + round(s.rehearsal_share * self.played(n_cert))
        return self.stage(
            f"certificates-{n_cert}",
            lambda: bench.certificates(any_rule, rounds).tolist(),
            without=(*OF_SETTINGS, *OF_BOUNDS, *OF_TIGHTNESS),
        )

    def cells(self, n_cert: int, n_vote: int) -> list[dict[str, Any]]:
        """Both rules at one pair of sample sizes; cells of equal n_cert share its certificates."""
        s = self.settings
        rules = [Mechanism(rule, s.p_a, 1.0, n_vote, n_cert, s.alpha, s.beta) for rule in RULES]
        p_low = self.certificates(n_cert)
        return [
            self.stage(
                f"table-{n_cert}-{n_vote}-{cell.rule}",
                lambda cell=cell: _cell(self, cell, np.array(p_low)),
                without=(*OF_SETTINGS, *OF_BOUNDS, *OF_TIGHTNESS, "cells"),
                uses=(len(s.cells),),  # the error is shared among them
            )
            for cell in rules
        ]

    def random_settings(self) -> list[dict[str, Any]]:
        """The games of every random setting, remembered in chunks."""
        s, found = self.settings, []
        for first in range(0, s.random_settings, s.chunk):
            name, chunk = f"settings-{first}", range(first, min(first + s.chunk, s.random_settings))
            found += self.stage(
                name,
                lambda chunk=chunk: [_setting(s, i, self.seed) for i in chunk],
                without=(*OF_TABLE, *OF_BOUNDS, *OF_TIGHTNESS),
            )
        return found

    def bounds(self) -> list[dict[str, Any]]:
        """The games against the sharper bounds, one remembered after the other."""
        others = (*OF_TABLE, *OF_SETTINGS, *OF_TIGHTNESS, *BOTH)
        games = enumerate(GAMES)
        found = [self.stage(f"bounds-{g}", lambda i=i, g=g: _bound_rows(self, i, g), without=others) for i, g in games]
        return [row for rows in found for row in rows]

    def tightness(self) -> list[dict[str, Any]]:
        """What is won of each bound at its worst person."""
        others = (*OF_TABLE, *OF_SETTINGS, *OF_BOUNDS, *BOTH)
        return self.stage("tightness", lambda: _tightness(self), without=others)

    def played(self, n_cert: int) -> int:
        """Rounds of a cell that count."""
        return self.settings.costly_rounds if n_cert > 1000 else self.settings.table_rounds


def run(lab: AuditLab) -> dict[str, Any]:
    """The table at the certified edge, random settings at the deployable radius, and the sharper bounds."""
    table = [cell for sizes in sorted(lab.settings.cells, key=lambda sizes: sizes[0]) for cell in lab.cells(*sizes)]
    rows, bounds, tightness = lab.random_settings(), lab.bounds(), lab.tightness()
    summary = _summary(lab.settings, table, rows) | _summary_of_bounds(lab.settings, bounds, tightness)
    return {"table": table, "settings": rows, "bounds": bounds, "tightness": tightness, "summary": summary}


# --- The table ---


def _cell(lab: AuditLab, cell: Mechanism, p_low: NDArray[np.float64]) -> dict[str, Any]:
    """One cell: the game at the certified edge and, with the same certificates, at the deployable radius."""
    settings, played = lab.settings, lab.played(cell.n_cert)
    bench = _Bench(settings, (lab.seed, cell.n_cert, cell.n_vote, RULES.index(cell.rule)))
    confidence = 1 - settings.table_error / (4 * len(settings.cells))  # two games in each of two rules a cell
    edge = bench.play(cell, cell.certified(p_low), played, Purpose.AUDIT_EDGE, confidence=confidence)[0]
    inside = bench.play(cell, cell.deployable(p_low), played, Purpose.AUDIT_DEPLOYABLE, confidence=confidence)[0]
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


def _setting(settings: AuditSettings, index: int, seed: int) -> dict[str, Any]:
    """One random setting: exact advantages and played ones at the deployable radius, and the control at the edge."""
    mechanism, releases = _draw(settings, numpy_generator(Purpose.AUDIT_SETTINGS, seed, index))
    bench = _Bench(settings, (seed, index))
    single, repeated = settings.single_rounds, settings.repeated_rounds
    total = single + round(settings.rehearsal_share * single)
    p_low = bench.certificates(mechanism, total)
    # Every game is judged one-sided at this error; four games a setting, the control's one not needed but counted.
    confidence = 1 - 2 * settings.settings_error / (4 * settings.random_settings)
    inside, edge = mechanism.deployable(p_low), mechanism.certified(p_low)
    sees = ("symbols", "abstention")
    one, abstention = bench.play(mechanism, inside, single, Purpose.AUDIT_SINGLE, confidence=confidence, sees=sees)
    many = bench.play(mechanism, inside, repeated, Purpose.AUDIT_REPEATED, confidence=confidence, releases=releases)[0]
    control = bench.play(mechanism, edge, single, Purpose.AUDIT_CONTROL, confidence=confidence)[0]
    games = {
        "single": _game(one, mechanism.exact(mechanism.deployable), mechanism.bound()),
        "repeated": _game(many, mechanism.exact(mechanism.deployable, releases=releases), mechanism.bound(releases)),
        "abstention": _game(abstention, mechanism.exact_abstention(mechanism.deployable), mechanism.bound()),
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
            rule=str(rng.choice(RULES)),
            p_a=float(special.ndtr(rng.uniform(0.1, 3.2))),
            sigma=log_uniform(0.05, 3.0),
            n_vote=int(log_uniform(5, settings.most_votes + 1)),
            n_cert=int(log_uniform(50, settings.most_samples + 1)),
            alpha=log_uniform(0.002, 0.2),
            beta=log_uniform(0.002, 0.2),
        )
        n_cert = mechanism.n_cert
        typical = lower_confidence_bound(round(mechanism.p_a * n_cert), n_cert, alpha=mechanism.alpha)
        if mechanism.deployable(typical) > 0:
            return mechanism, int(rng.choice([2, 5, 20]))


@dataclass(frozen=True)
class _Bench:
    """The half-space net behind the real smoothing, with fresh noise for every purpose."""

    settings: AuditSettings
    key: tuple[int, ...]  # of its streams, beside their purpose

    def certificates(self, mechanism: Mechanism, rounds: int) -> NDArray[np.float64]:
        """p_low of `rounds` independent runs of CERTIFY at the same point."""
        x = at_distance(mechanism.sigma * special.ndtri(mechanism.p_a)).expand(rounds, 2)
        smoothing = self._smoothing(mechanism.sigma, Purpose.AUDIT_CERTIFICATES)
        return smoothing.certify(x, n0=N0, n=mechanism.n_cert, alpha=mechanism.alpha).p_low

    def play(
        self,
        mechanism: Mechanism,
        radius: NDArray[np.float64],
        played: int,
        purpose: Purpose,
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
        oracle, seed = self._oracle(mechanism, purpose), child_seed(purpose, *self.key)
        transcript = record(
            oracle, at_distance(distance), neighbour, rounds=rehearsal + played, releases=releases, seed=seed
        )
        first, rest = transcript.split(rehearsal)
        return [judge(fit_test(first, sees=s), rest, sees=s, confidence=confidence, seed=seed) for s in sees]

    def _oracle(self, mechanism: Mechanism, purpose: Purpose) -> LabelOracle:
        smoothing = self._smoothing(mechanism.sigma, purpose)
        if mechanism.rule == "vote":
            return VoteOracle(smoothing, n=mechanism.n_vote)
        return PredictOracle(smoothing, n=mechanism.n_vote, alpha=mechanism.alpha)

    def _smoothing(self, sigma: float, purpose: Purpose) -> Smoothing:
        seed, device = child_seed(purpose, *self.key), self.settings.device
        return Smoothing(half_space_net(), num_classes=2, sigma=sigma, seed=seed, device=device)


# --- The sharper bounds ---


def _bound_rows(lab: AuditLab, number: int, game: str) -> list[dict[str, Any]]:
    """Every setting of one game; each has at most two bounds, and each bound may be accused in play once."""
    s = lab.settings
    error = s.bounds_error / (2 * len(GAMES) * s.bound_settings)
    tables = [Table(s.bound_rounds, error, (lab.seed, number, i), s.device) for i in range(s.bound_settings)]
    return [row for table in tables for row in play_setting(game, table)]


def _tightness(lab: AuditLab) -> list[dict[str, Any]]:
    s, cases = lab.settings, bound_tightness.cases()
    common = {"rounds": s.tight_rounds, "confidence": 1 - s.tightness_error / len(cases), "seed": lab.seed}
    return [bound_tightness.played(case, number=number, **common) for number, case in enumerate(cases)]


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


def _summary_of_bounds(
    settings: AuditSettings, rows: list[dict[str, Any]], tightness: list[dict[str, Any]]
) -> dict[str, Any]:
    broken = [row["broken_exactly"] or row["broken_in_play"] for row in rows] + [row["broken"] for row in tightness]
    return {
        "bounds": by_bound(rows),
        "bound_games": len(broken),
        "bound_violations": sum(broken),
        "bounds_error": settings.bounds_error,
        "tightness_error": settings.tightness_error,
        "tightness_covered": sum(row["covered"] for row in tightness),
    }


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The results as tidy tables: `table`; `settings`, a row a game, the control included; `bounds`, `tightness`."""
    games = pd.DataFrame(
        {**row, "game": game, **values}
        for row in results["settings"]
        for game, values in [*row["games"].items(), ("control", row["control"])]
    )
    return {
        "table": pd.DataFrame(results["table"]),
        "settings": games.drop(columns=["games", "control"]),
        "bounds": pd.DataFrame(results["bounds"]),
        "tightness": pd.DataFrame(results["tightness"]),
    }


def summary(results: dict[str, Any]) -> str:
    """The table and the verdict on the settings, for a terminal."""
    found = results["summary"]
    columns = ["n_cert", "n_vote", "rule", "claimed", "advantage_exact", "advantage_played", "ci", "deployable_radius"]
    table = tables(results)["table"][[*columns, "bound", "deployable_advantage_exact"]].copy()
    table["ci"] = [f"{low:.3f} to {high:.3f}" for low, high in table["ci"]]
    bounds = pd.DataFrame(found["bounds"])
    tight = pd.DataFrame(results["tightness"])[["bound_of", "setting", "bound", "exact", "played", "share_played"]]
    return (
        f"{table.round(4).to_string(index=False)}\n"
        f"{found['cells_covered']} of {found['cells']} cells covered; {found['violations']} violations in "
        f"{found['games']} games of {found['settings']} settings at the deployable radius; at the certified edge "
        f"{found['control_broken_exactly']} of {found['settings']} exceed alpha / 2, "
        f"{found['control_broken_in_play']} of them visibly in play\n\n"
        f"{bounds.round(3).to_string(index=False)}\n\n{tight.round(4).to_string(index=False)}\n"
        f"{found['bound_violations']} violations of sharper bounds in {found['bound_games']} games"
    )


EXPERIMENT = register(Experiment(
    "guarantee-audit", AuditLab, run, PROFILES, NO_DATA, tables, summary, NEEDS,
    bulky=("settings", "bounds"),  # hundreds of rows of games: a published run keeps their summary
))  # fmt: skip
