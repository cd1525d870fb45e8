"""One small instance of every chart of `rp_tutorial.figures`, by the name of its function."""

from __future__ import annotations

import itertools

import altair as alt
import numpy as np
import pandas as pd
import torch
from scipy import stats

from rp_tutorial import figures
from rp_tutorial.statistics import binomial as statistics
from rp_tutorial.theory import guarantees as privacy
from rp_tutorial.theory.profile import vote_profile


def live_table() -> pd.DataFrame:
    p = np.arange(50, 100, 5) / 100
    parts = []
    for log_n in (1.0, 2.0, 3.0):
        n = round(10**log_n)
        for log_alpha in (-3.0, -2.0):
            low = statistics.lower_confidence_bound(np.round(n * p).astype(int), n, alpha=10**log_alpha)
            parts.append(pd.DataFrame({"p": p, "low": low, "log10_n": log_n, "log10_alpha": log_alpha}))
    return pd.concat(parts)


def profile_table() -> pd.DataFrame:
    s, parts = np.arange(0, 31) / 10, []
    for log_n, log_m, p_low in itertools.product((1, 2, 3), (0, 1), (0.6, 0.9)):
        how = {"sigma": 1.0, "n_vote": 10**log_n, "releases": 10**log_m, "num_classes": 2}
        told = {"everybody": vote_profile(s, **how) / 2, "certified": vote_profile(s, **how, p_low=p_low) / 2}
        parts.append(pd.DataFrame({"s": s, "log10_N": log_n, "log10_m": log_m, "p_low": p_low} | told))
    return pd.concat(parts)


def plan_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    u, parts, prices = np.arange(1, 41) / 10, [], []
    for log_advantage in (-2.0, -1.0):
        for log_n in (2.0, 3.0):
            n = round(10**log_n)
            votes = stats.binom.ppf(0.05, n, stats.norm.cdf(u)).astype(int)
            low = statistics.lower_confidence_bound(votes, n, alpha=10**log_advantage)
            at = {"log10_n": log_n, "log10_advantage": log_advantage}
            parts.append(pd.DataFrame({"u": u, "low": low} | at))
            vote = privacy.vote_quantile(n, 10**log_advantage)
            predict = privacy.predict_quantile(n, 10**log_advantage, alpha=0.01)
            at = {"log10_N": log_n, "log10_advantage": log_advantage}
            prices.append({"vote": vote, "predict": predict} | at)
    return pd.concat(parts), pd.DataFrame(prices)


def live_plan() -> alt.LayerChart:
    return figures.live_plan(*plan_tables(), unit="kg/m²", population=(27.0, 5.0), threshold=33.4)


def arm(name: str, defense: str, sigma: float, n: int, asr: float, **more: object) -> dict[str, object]:
    return {
        "name": name,
        "family": defense,
        "sigma": sigma,
        "n": n,
        "asr": asr,
        "asr_ci": [max(asr - 0.1, 0.0), min(asr + 0.1, 1.0)],
        "asr_start": 0.1,
        "test_accuracy": 1 - sigma,
        "test_accuracy_ci": [0.98 - sigma, min(1.0, 1.01 - sigma)],
        "paper_accuracy": 1.0,
    } | more


ARMS = pd.DataFrame(
    [
        arm("none", "none", 0.0, 1, 0.7),
        arm("plain noise, sigma 0.1", "plain noise", 0.1, 1, 0.1),
        arm("smoothing, sigma 0.1, N = 10", "smoothing", 0.1, 10, 0.4),
        arm("fixed noise, sigma 0.1, N = 10", "fixed noise", 0.1, 10, 0.6),
        arm("smoothing, 5 queries", "smoothing", 0.1, 10, 0.5, family="smoothing, repeated queries"),
        arm("abstaining", "abstaining", 0.1, 10, 0.2),
        arm("none, augmented", "none", 0.1, 1, 0.6, family="training under noise"),
    ]
)


def point(name: str, family: str, accuracy: float, asr: float) -> dict[str, object]:
    return {
        "name": name,
        "family": family,
        "test_accuracy": accuracy,
        "test_accuracy_ci": [accuracy - 0.02, min(1.0, accuracy + 0.02)],
        "asr": asr,
        "asr_ci": [max(0.0, asr - 0.1), min(1.0, asr + 0.1)],
    }


POINTS = pd.DataFrame(
    [
        point("none", "none", 0.98, 0.66),
        point("smoothing, sigma 0.1", "smoothing", 0.97, 0.5),
        point("smoothing, sigma 0.2", "smoothing", 0.8, 0.34),
        point("randomized response", "randomized response", 0.9, 0.6),
        point("DP-SGD", "DP-SGD", 0.5, 0.3),
    ]
)
FRONT = ["DP-SGD", "smoothing, sigma 0.2", "smoothing, sigma 0.1", "none"]
AREAS = pd.DataFrame(
    {
        "family": ["none", "smoothing"],
        "area": [0.66, 0.4],
        "area_ci": [[0.6, 0.7], [0.3, 0.5]],
        "cross_fitted": [0.66, 0.45],
    }
)
GAINS = pd.DataFrame(
    [
        {"name": "DP-SGD", "verdict": "shown", "asr_gain": -0.3, "asr_gain_ci": [-0.4, -0.2]},
        {"name": "response", "verdict": "contradicted", "asr_gain": 0.2, "asr_gain_ci": [0.1, 0.3]},
        {"name": "response 2", "verdict": "open", "asr_gain": 0.0, "asr_gain_ci": [-0.1, 0.1]},
        {"name": "response 4", "verdict": "traded", "asr_gain": 0.2, "asr_gain_ci": [0.1, 0.3]},
        {"name": "response 3", "verdict": "no rival", "asr_gain": None, "asr_gain_ci": None},
    ]
)
STUDENTS = pd.DataFrame(
    [
        {"name": name, "queries": queries, "agreement": value, "agreement_ci": [value - 0.05, value + 0.05]}
        | {"test_accuracy": value - 0.1, "test_accuracy_ci": [value - 0.15, value - 0.05]}
        for name, values in {"none": (0.5, 0.7, 0.9), "smoothing": (0.4, 0.6, 0.8)}.items()
        for queries, value in zip((1000, 4000, 16000), values, strict=True)
    ]
)
ATTACKS = pd.DataFrame(
    [
        {"defense": defense, "attacker": attacker, "sees": sees, "asr": asr, "asr_ci": [asr - 0.1, asr + 0.1]}
        for defense, rates in {"none": (0.6, 0.5, 0.4, 0.9), "smoothing": (0.4, 0.7, 0.3)}.items()
        for (attacker, sees), asr in zip(
            {
                "BREP-MI": "labels",
                "repeated queries": "labels",
                "distil, then invert": "labels",
                "confidence attack": "weights",
            }.items(),
            rates,
            strict=False,
        )
    ]
)
HISTOGRAM = pd.DataFrame(
    {"classifier": ["base", "base", "sigma = 1"], "bin_left": [33.4, 33.6, 33.2], "count": [10, 5, 2]}
)


def label_at(z: torch.Tensor) -> torch.Tensor:
    return (z[:, 0] > 0).long() + 2 * (z[:, 1] > 0).long()


def walk() -> alt.LayerChart:
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    centres = pd.DataFrame({"pass": range(4), "x": 0.2, "y": [0.2, 0.4, 0.6, 0.8], "rho": 0.5})
    probes = centres.merge(pd.DataFrame({"cos": np.cos(turn), "sin": np.sin(turn)}), how="cross")
    probes["x"], probes["y"] = probes["x"] + 0.5 * probes["cos"], probes["y"] + 0.5 * probes["sin"]
    probes["inside"] = (probes["x"] > 0) & (probes["y"] > 0)
    inside = probes.groupby("pass")["inside"].sum().to_numpy()
    return figures.latent_walk(
        figures.label_regions(label_at, low=(-2.0, -2.0), high=(2.0, 2.0), cells=20),
        probes[["pass", "x", "y", "inside"]],
        centres.assign(inside=inside, accepted=True),
        target=3,
        description="Four passes upwards in the top right quarter of the plane.",
    )


CHARTS = {
    "release_histogram": lambda: figures.release_histogram(HISTOGRAM, threshold=33.4),
    "rates_by_sigma": lambda: figures.rates_by_sigma(
        pd.DataFrame({"sigma": [1.0, 2.0], "source": "ours", "accuracy": [0.96, 0.92], "low": 0.9, "high": 0.97}),
        quantity="accuracy",
        title="accuracy",
    ),
    "lines": lambda: figures.lines(
        pd.DataFrame({"a": [0, 1, 2], "b": [0, 1, 4], "c": "square"}),
        x="a", y="b", series="c", titles=("a", "b"), description="The square of a against a, a parabola.",
    ),
    "inferred_intervals": lambda: figures.inferred_intervals(
        pd.DataFrame({"person": [0, 1], "low": [12, 33], "high": [33, 50], "truth": [27, 36], "released": [0, 1]}),
        threshold=33.4,
    ),
    "estimates": lambda: figures.estimates(
        pd.DataFrame({"who": ["a", "b"], "from": "ours", "value": [1.0, 2.0], "low": [0.5, 1.5], "high": [1.5, 2.5]}),
        group="who", source="from", title="value", description="Two values with their intervals, a below b.",
    ),
    "radius_against_distance": lambda: figures.radius_against_distance(
        pd.DataFrame({"distance": [0.1, 1.0], "radius": [0.0, 0.8]}), largest=2.6
    ),
    "interval_sets": lambda: figures.interval_sets(
        pd.DataFrame({"who": ["f", "f", "g"], "label": "1", "low": [12.0, 30.0, 12.0], "high": [20.0, 50.0, 50.0]}),
        row="who", series="label", title="BMI (kg/m²)", reference=30.0,
        description="The set of f has two intervals, that of g is everything.",
    ),
    "live_certificate": lambda: figures.live_certificate(live_table()),
    "live_plan": live_plan,
    "live_profile": lambda: figures.live_profile(profile_table()),
    "frontier": lambda: figures.frontier(POINTS, front=FRONT, chance=0.0125),
    "front_areas": lambda: figures.front_areas(AREAS),
    "gains": lambda: figures.gains(
        GAINS, title="ASR gained", description="Of five pairs, four are drawn here."
    ),
    "distillation_curves": lambda: figures.distillation_curves(STUDENTS),
    "adaptive_attackers": lambda: figures.adaptive_attackers(ATTACKS, reference="BREP-MI"),
    "latent_walk": walk,
    "asr_by_sigma": lambda: figures.asr_by_sigma(ARMS),
    "asr_arms": lambda: figures.asr_arms(ARMS),
    "flip_rates": lambda: figures.flip_rates(
        pd.DataFrame(
            {"defense": ["none", "none", "smoothing"], "radius": [0, 1, 1], "rate": 0.2, "low": 0.1, "high": 0.3}
        ),
        description="The share of labels that change grows with the distance.",
    ),
}  # fmt: skip
