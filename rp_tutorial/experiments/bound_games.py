"""Games against the sharper bounds: the profile, and radii by calibration, plurality and certificates that may stop.

Each game draws a net of the line (`line_nets`), a person and a mechanism that promises something, computes what the
best adversary of its kind gains, where that has a law, plays it through the package's own oracles with fresh
certificates and noise, and sets both beside the bound. The adversary knows net, certificate and all laws; where a
radius is promised it takes the worse end, or half the way. Who walks or knows the noise is in `walk_games`; the older
bounds are audited in `guarantee_audit`.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rp_tutorial.core.streams import Purpose
from rp_tutorial.experiments.game_table import (
    BRANCHES,
    RARE,
    Row,
    Table,
    exactly_two,
    log_ratio,
    log_uniform,
    net_and_votes,
    setting_of,
    some_classes,
    total_variation,
    what_is_known,
)  # fmt: skip
from rp_tutorial.experiments.line_nets import CLASSES, LineNet, Release, largest_other_law, vote_law
from rp_tutorial.experiments.walk_games import known_noise, shared_noise_differs, walk
from rp_tutorial.statistics.anytime import stopping_counts
from rp_tutorial.theory import plurality
from rp_tutorial.theory.calibration import calibrated_radius
from rp_tutorial.theory.certificate import Certificate
from rp_tutorial.theory.profile import vote_profile

N0 = 30  # samples that choose the class
LEVEL = 0.05  # asked of certificates whose deployable radius is looked at: that rests on the counts alone


def play_setting(game: str, table: Table) -> list[Row]:
    """One random setting of a game of `GAMES`: a row for every bound that it is played against."""
    about, rows = GAMES[game](table.generator(Purpose.AUDIT_SETTINGS), table)
    return [{"game": name, **about, **row} for name, row in rows.items()]


def by_bound(rows: list[Row]) -> list[Row]:
    """The rows of all settings in one line a bound."""
    lines = []
    for name in dict.fromkeys(row["game"] for row in rows):
        own = [row for row in rows if row["game"] == name]
        known = [row for row in own if row["exact"] is not None]
        lines.append({
            "game": name,
            "settings": len(own),
            "most_classes": max(row["classes"] for row in own),
            "known_exactly": len(known),
            "largest_share_of_bound": max((row["exact"] / row["bound"] for row in known if row["bound"]), default=0.0),
            "broken_exactly": sum(row["broken_exactly"] for row in own),
            "broken_in_play": sum(row["broken_in_play"] for row in own),
        })  # fmt: skip
    return lines


# --- At a known distance: profile, plurality ---


def _profile(rng: np.random.Generator, table: Table) -> tuple[Row, dict[str, Row]]:
    """m labels of the worst of eight people, at any distance: what the net may be, and what is known of p_A."""
    net, n = net_and_votes(rng)
    release, s = Release(net, n), log_uniform(rng, 0.03, 1.5)
    people, ends = rng.normal(0, 1, 8), s * np.array([-1, 1])
    gains = total_variation(release.law(people)[:, None], release.law(people[:, None] + ends))
    who, end = np.unravel_index(gains.argmax(), gains.shape)
    x, there = people[who], people[who] + ends[end]
    here, away = release.law(x), release.law(there)
    symbols = np.count_nonzero(here + away > RARE)
    m = int(rng.integers(1, 1 + (20 if symbols <= 2 else min(3, int(math.log(BRANCHES, symbols))))))
    exact, won = total_variation(here, away, m) / 2, table.play(release, x, there, log_ratio(here, away), m)
    mechanism = {"sigma": net.sigma, "n_vote": n, "releases": m}
    bounds = {
        "profile": vote_profile(s * net.sigma, **mechanism, num_classes=exactly_two(net)),
        "certified profile": vote_profile(s * net.sigma, **mechanism, **what_is_known(net, x)),
    }
    about = setting_of(net, n, releases=m, distance=s)
    return about, {name: table.judged(bound / 2, exact, won) for name, bound in bounds.items()}


def _plurality(rng: np.random.Generator, table: Table) -> tuple[Row, dict[str, Row]]:
    """One label at the radius by plurality of somebody whose p_A and p_B are known, with a majority or without."""
    while True:
        net, n = net_and_votes(rng)
        beta, people = log_uniform(rng, 0.002, 0.3), rng.normal(0, 1, 6)
        shares = np.sort(net.shares(people))
        at = {"sigma": 1.0, "n_vote": n, "num_classes": net.num_classes, "beta": beta}
        radius = plurality.deployable_radius(shares[:, -1], shares[:, -2], **at)
        if radius.any():
            break
    release = Release(net, n)
    ends = people[:, None] + radius[:, None] * np.array([-1, 1])
    gains = total_variation(release.law(people)[:, None], release.law(ends))
    who, end = np.unravel_index(np.where(radius[:, None] > 0, gains, -1).argmax(), gains.shape)
    x, there = people[who], ends[who, end]
    told = log_ratio(release.law(x), release.law(there))
    row = table.judged(beta / 2, gains[who, end] / 2, table.play(release, x, there, told))
    return setting_of(net, n, distance=float(radius[who])), {"plurality": row}


# --- With a certificate drawn anew in every round ---


def _calibrated(rng: np.random.Generator, table: Table) -> tuple[Row, dict[str, Row]]:
    """The labels at the calibrated radius of the round's own certificate."""
    classes = some_classes(rng)
    two = classes == 2
    n_cert, target = int(rng.choice([30, 60, 120] if two else [30, 60])), float(rng.choice([0.02, 0.1, 0.3]))
    n, m = int(rng.choice([10, 31, 101])) if two else _few_votes(rng, classes), int(rng.choice([1, 1, 3])) if two else 1
    test_alpha = 0.1 if two and rng.random() < 0.3 else None
    rule = {"rule": "vote"} if test_alpha is None else {"rule": "predict", "test_alpha": test_alpha}
    kept = {"n_vote": n, "target_tv": target, "releases": m, **rule}
    mechanism = kept | {"num_classes": 2 if two else None}
    radius = calibrated_radius(np.arange(n_cert + 1), sigma=1.0, n_cert=n_cert, **mechanism)
    while True:
        net, x = LineNet.drawn(rng, classes), rng.normal(0, 1.2)
        shares = net.shares(x)
        if radius[round(shares.max() * n_cert)] > 0:
            break
    release = Release(net, n, test_alpha)
    weight = vote_law(shares, N0) @ stats.binom.pmf(np.arange(n_cert + 1), n_cert, shares[:, None])
    seen = weight > RARE
    exact = weight[seen] @ _worst_end(release, x, radius[seen], m)[1] / 2
    found = _certificates(table, net, x, n_cert).deployable_radius(**kept) / net.sigma
    won = _play_at(table, release, x, found, m)
    about = setting_of(net, n, releases=m, n_cert=n_cert, rule=rule["rule"])
    return about, {"calibrated": table.judged(target / 2, exact, won)}


def _certified_plurality(rng: np.random.Generator, table: Table) -> tuple[Row, dict[str, Row]]:
    """One label at the radius by plurality of the round's own certificate, which bounds p_A and p_B."""
    classes = int(rng.choice(CLASSES[1:]))
    n_cert, n, target = int(rng.choice([30, 40])), _few_votes(rng, classes), log_uniform(rng, 0.05, 0.5)
    about, row = _two_counts(rng, table, classes, n_cert, {"n_vote": n, "target_tv": target, "bound": "plurality"})
    return about, {"certified plurality": row}


def _calibrated_plurality(rng: np.random.Generator, table: Table) -> tuple[Row, dict[str, Row]]:
    """The same, calibrated; few sizes, since each takes a second or two."""
    classes, target = int(rng.choice(CLASSES[1::2])), float(rng.choice([0.05, 0.3]))
    kept = {"n_vote": 10, "target_tv": target, "bound": "calibrated-plurality"}
    about, row = _two_counts(rng, table, classes, 25, kept)
    return about, {"calibrated plurality": row}


def _two_counts(
    rng: np.random.Generator, table: Table, classes: int, n_cert: int, kept: dict[str, Any]
) -> tuple[Row, Row]:
    while True:
        net, x = LineNet.drawn(rng, classes), rng.normal(0, 1.2)
        shares = net.shares(x)
        typical = np.sort(np.rint(shares * n_cert).astype(int))[[-1, -2]]
        if _radius_of(net, *typical[:, None], n_cert, **kept)[0] > 0:
            break
    chosen = vote_law(shares, N0)
    law = sum(
        chosen[own] * largest_other_law(shares, own, n_cert) for own in np.flatnonzero(chosen * (shares > 0) > RARE)
    )
    own, other = np.nonzero(law > RARE)
    release, radius = Release(net, kept["n_vote"]), _radius_of(net, own, other, n_cert, **kept)
    exact = law[own, other] @ _worst_end(release, x, radius)[1] / 2
    found = _certificates(table, net, x, n_cert).deployable_radius(**kept) / net.sigma
    row = table.judged(kept["target_tv"] / 2, exact, _play_at(table, release, x, found))
    return setting_of(net, kept["n_vote"], n_cert=n_cert), row


def _fixed_pair(rng: np.random.Generator, table: Table) -> tuple[Row, dict[str, Row]]:
    """One label of a pair fixed in advance, where the round's certificate covers it; the noise known or not.

    Certificates and labels are independent here, so the means are products.
    """
    classes, target = some_classes(rng), log_uniform(rng, 0.02, 0.4)
    n_cert, n = int(rng.choice([30, 60, 120])), int(rng.choice([11, 31])) if classes == 2 else _few_votes(rng, classes)
    kept = {"n_vote": n, "target_tv": target, "bound": "classical"}
    counts = np.arange(n_cert + 1)
    while True:
        net, x = LineNet.drawn(rng, classes), rng.normal(0, 1.2)
        radius, shares = _radius_of(net, counts, 0 * counts, n_cert, **kept), net.shares(x)
        longest = radius[min(n_cert, round(shares.max() * n_cert + 2))]
        if longest > 0:
            break
    s = float(longest * rng.uniform(0.3, 1))
    there, release = x + float(rng.choice([-s, s])), Release(net, n)
    covers = float(vote_law(shares, N0) @ stats.binom.pmf(counts, n_cert, shares[:, None]) @ (radius >= s))
    found = _certificates(table, net, x, n_cert).deployable_radius(**kept) / net.sigma >= s
    here, away, coins = release.law(x), release.law(there), table.coins()
    worlds = [
        release.oracle(table.smoothing(net, Purpose.AUDIT_SINGLE))(net.inputs(np.full(table.rounds, place)))
        for place in (x, there)
    ]
    seen = np.where(coins, *(labels.cpu().numpy() for labels in reversed(worlds)))
    won = table.won(np.where(found, log_ratio(here, away)[seen], 0.0), coins)
    apart = (worlds[0] != worlds[1]).cpu().numpy() & found
    caught = table.won(np.where(apart, np.where(coins, -1.0, 1.0), 0.0), coins)
    differ = covers * shared_noise_differs(net, x, there, n) / 2 if classes == 2 else None
    rows = {
        "fixed pair": table.judged(target / 4, covers * float(total_variation(here, away)) / 2, won),
        "fixed pair, known noise": table.judged(target / 2, differ, caught),
    }
    return setting_of(net, n, n_cert=n_cert, distance=s), rows


def _anytime(rng: np.random.Generator, table: Table) -> tuple[Row, dict[str, Row]]:
    """An operator who certifies until the bound is wrong, and then promises by it; after six looks at most."""
    alpha, looks, step = log_uniform(rng, 0.01, 0.2), 6, int(rng.choice([5, 10, 20]))
    classes = some_classes(rng)
    n = int(rng.choice([11, 31])) if classes == 2 else _few_votes(rng, classes)
    while True:
        net, x = LineNet.drawn(rng, classes), rng.normal(0, 1.2)
        if (shares := net.shares(x)).max() > 0.5:
            break
    kept = {"n_vote": n, "target_tv": 2 * alpha, "bound": "classical"}
    release, radius, weight, wrong = Release(net, n), [], [], 0.0
    chosen = vote_law(shares, N0)
    for own in np.flatnonzero(chosen > RARE):
        law = np.full(1, chosen[own])  # of the successes of who goes on
        enough = stopping_counts(min(float(shares[own]), 1 - 1e-12), alpha=alpha, most=looks * step)
        for look in range(1, looks + 1):
            law = np.convolve(law, stats.binom.pmf(np.arange(step + 1), step, shares[own]))
            counts = np.arange(len(law))
            fails = counts >= enough[look * step - 1]
            stops = (fails | (look == looks)) & (law > RARE)
            radius.append(_radius_of(net, counts[stops], 0 * counts[stops], look * step, anytime=True, **kept))
            weight.append(law[stops])
            wrong += law[fails].sum()
            law = np.where(fails, 0.0, law)
    exact = np.concatenate(weight) @ _worst_end(release, x, np.concatenate(radius))[1] / 2
    at_stop, failed = _stopped(table, net, x, shares, alpha, looks, step, kept)
    rows = {
        "anytime": table.judged(alpha, exact, _play_at(table, release, x, at_stop)),
        "anytime failure": table.judged(alpha, wrong, failed, chance=0.0),
    }
    return setting_of(net, n, n_cert=looks * step), rows


def _stopped(
    table: Table, net: LineNet, x: float, shares: NDArray, alpha: float, looks: int, step: int, kept: dict[str, Any]
) -> tuple[NDArray[np.float64], int]:
    """The radius in each round at the first wrong bound, or at the last look; and in how many a bound was wrong."""
    smoothing, found = table.smoothing(net, Purpose.AUDIT_CERTIFICATES), None
    stopped, radius = np.zeros(table.rounds, dtype=bool), np.zeros(table.rounds)
    for look in range(1, looks + 1):
        batch = net.inputs(np.full(table.rounds, x))
        found = smoothing.certify(batch, n0=N0, n=step, alpha=alpha, anytime=True, after=found)
        wrong = found.p_low > shares[found.chosen]
        now = ~stopped & (wrong | (look == looks))
        if now.any():
            radius[now] = found.deployable_radius(**kept)[now] / net.sigma
        stopped |= wrong
    return radius, int(stopped.sum())


# --- Certificates and what they promise ---


def _worst_end(release: Release, x: float, radius: NDArray, releases: int = 1) -> tuple[NDArray, NDArray]:
    """For each radius the place within it, of both ends and both halves, that tells most, and what it tells (TV)."""
    lengths, which = np.unique(radius, return_inverse=True)
    places = x + lengths[:, None] * np.array([-1.0, 1.0, -0.5, 0.5])
    told = total_variation(release.law(x), release.law(places), releases)
    best = told.argmax(axis=1, keepdims=True)
    worst = np.take_along_axis(places, best, axis=1)[:, 0], np.take_along_axis(told, best, axis=1)[:, 0]
    return worst[0][which], np.where(lengths > 0, worst[1], 0.0)[which]


def _play_at(table: Table, release: Release, x: float, radius: NDArray[np.float64], releases: int = 1) -> int:
    """Rounds won, each at the worst place within the radius of its own certificate."""
    lengths, which = np.unique(radius, return_inverse=True)
    places = np.where(lengths > 0, _worst_end(release, x, lengths, releases)[0], x)
    told = log_ratio(release.law(x), release.law(places))
    return table.play(release, x, places[which], told[which], releases)


def _certificates(table: Table, net: LineNet, x: float, n: int) -> Certificate:
    smoothing = table.smoothing(net, Purpose.AUDIT_CERTIFICATES)
    return smoothing.certify(net.inputs(np.full(table.rounds, x)), n0=N0, n=n, alpha=LEVEL)


def _radius_of(net: LineNet, own: NDArray, other: NDArray, n: int, anytime: bool = False, **kept: Any) -> NDArray:
    """The deployable radius, in sigmas, of certificates with these votes for the class and for its largest rival."""
    rows = len(own)
    counts = np.zeros((rows, net.num_classes), dtype=np.int64)
    counts[:, 0], counts[:, 1] = own, other
    zeros, chosen = np.zeros(rows), np.zeros(rows, dtype=np.int64)
    found = Certificate(chosen, zeros, "", "L2", zeros, counts, N0, n, LEVEL, chosen, 1.0, anytime)
    return found.deployable_radius(**kept)


def _few_votes(rng: np.random.Generator, classes: int) -> int:
    """Where the law of a vote is asked for at hundreds of places."""
    return 10 if classes == 100 else int(rng.choice([10, 21]))


GAMES = {
    "profile": _profile, "plurality": _plurality, "calibrated": _calibrated,
    "certified plurality": _certified_plurality, "anytime": _anytime, "walk": walk, "known noise": known_noise,
    "calibrated plurality": _calibrated_plurality, "fixed pair": _fixed_pair,
}  # fmt: skip
