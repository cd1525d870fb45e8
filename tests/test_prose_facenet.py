"""What the chapter on the target and its smoothing says about stored runs."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from sentences import DRAWN, falling, rising, supported

from rp_tutorial.experiments.engine.documents import published
from rp_tutorial.experiments.engine.experiment import experiment

SIGMAS = (0.01, 0.06, 0.12, 0.18, 0.25, 0.3)


@cache
def smoothed(part: str, weight: str) -> pd.DataFrame:
    """Shares of all seeds together, of the net that is trained as in the other chapters."""
    documents = published("face-smoothing", DRAWN)
    table = pd.concat(pd.DataFrame(d["results"][part]) for d in documents)
    table = table[table["trained_under"] == documents[0]["settings"]["training_noise"]]
    keys = [k for k in ("sigma", "n") if k in table]
    shares = table.select_dtypes("number").drop(columns=[*keys, weight]).mul(table[weight], axis=0)
    return shares.groupby([table[k] for k in keys] or (lambda _: 0)).sum() / len(documents) / table[weight].iloc[0]


def votes_at(sigma: float, n: int) -> pd.Series:
    return smoothed("votes", "test_images").loc[sigma, n]


def bare() -> float:
    return float(smoothed("base", "test_images")["test_accuracy"].iloc[0])


@cache
def deployable(n: int = 1000) -> pd.DataFrame:
    """Deployable radii on certificates of n samples: a row for every seed, sigma and N, a column for every rule."""
    documents = published("face-smoothing", DRAWN)
    table = pd.concat(experiment("face-smoothing").tables(d["results"])["certificates"] for d in documents)
    seeds = np.repeat([d["seed"] for d in documents], len(table) // len(documents))
    table = table.assign(seed=seeds)[
        (table["n"] == n) & (table["trained_under"] == documents[0]["settings"]["training_noise"])
    ]
    return table.pivot(
        index=["seed", "sigma", "deployable_n_vote"],
        columns="deployable_bound",
        values=["deployable_positive", "deployable_mean_radius", "deployable_median_radius"],
    )


def reached(sigma: float, n: int, *, samples: int = 1000) -> pd.DataFrame:
    """The share of test images with a radius by n votes, a row for every seed."""
    return deployable(samples)["deployable_positive"].xs((sigma, n), level=("sigma", "deployable_n_vote"))


def deployed(sigma: float, n: int) -> float:
    """The median deployable radius by majority, mean of the seeds."""
    radii = deployable()["deployable_median_radius"]["classical"]
    return float(radii.xs((sigma, n), level=("sigma", "deployable_n_vote")).mean())


def certified() -> list[float]:
    """The median certified radius of a thousand samples, at every sigma."""
    return [smoothed("certificates", "images").loc[s, 1000]["median_radius"] for s in SIGMAS]


def ahead(sigma: float) -> pd.Series:
    """By how much calibrated plurality reaches more than every other rule, a hundred samples and a thousand votes."""
    found = reached(sigma, 1000, samples=100)
    return found["calibrated-plurality"] - found[["classical", "calibrated", "plurality"]].max(axis=1)


def gained(sigma: float, n: int) -> float:
    """What calibration adds to the share that majority reaches."""
    return float((reached(sigma, n)["calibrated"] - reached(sigma, n)["classical"]).mean())


def wrong_labels(sigma: float) -> float:
    """The share of the certified labels, of a thousand samples, that are wrong."""
    found = smoothed("certificates", "images").loc[sigma, 1000]
    return 1 - found["certified_right"] / found["certified"]


SAID_OF_NETS = (
    ("You predicted which accuracy falls first: the honest one, and the picked one long after it.",
     lambda: all(votes_at(s, 10)["paper_accuracy"] > votes_at(s, 10)["test_accuracy"] for s in (0.06, 0.12, 0.18, 0.3))
     and bare() - votes_at(0.18, 10)["test_accuracy"] > 2 * (1 - votes_at(0.18, 10)["paper_accuracy"])),
    ("The next chapters work at $\\sigma = .18$, where VOTE(10) still keeps more than 98 % of it",
     lambda: 0.98 * bare() < votes_at(0.18, 10)["test_accuracy"] < 0.99 * bare()),
    ("PREDICT(1) never answers, and is left out.",
     lambda: all(votes_at(s, 1)["abstention"] == 1 for s in SIGMAS)),
    ("One core answers a dozen or two of such images a second",
     lambda: all(10 < row["images_per_second"] < 36 for d in published("face-smoothing", DRAWN)
                 for row in d["results"]["throughput"] if row["what"] == "FaceNet64" and row["threads"] == 1)),
    ("So the number starts at 100 %, and it stays there for longer than an honest one.",
     lambda: votes_at(0.12, 10)["paper_accuracy"] == 1 > bare()
     and smoothed("base", "test_images")["paper_accuracy"].iloc[0] == 1),
    ("as long as the net is sure under it, and where the net begins to doubt, the radius collapses.",
     lambda: rising(certified()[:4]) and falling(certified()[3:])
     and certified()[-1] < 0.1 * max(certified())),
    ("One noisy label deploys an eighth of what a hundred deploy, or less; up to $\\sigma = .25$ ten deploy less than",
     lambda: all(deployed(s, 1) <= deployed(s, 100) / 8 for s in SIGMAS)
     and all(deployed(s, 10) < deployed(s, 100) for s in SIGMAS[:-1])),
    ("A hundred votes bring most of the answers back",
     lambda: all(votes_at(s, 100)["abstention"] < 0.5 * votes_at(s, 10)["abstention"]
                 for s in (0.12, 0.18, 0.25, 0.3))),
    ("Up to $\\sigma = .12$ a hundred votes have a radius for every image, by each rule.",
     lambda: all((reached(s, 100) == 1).all(axis=None) for s in (0.01, 0.06, 0.12))),
    ("Calibration never loses an image; at $\\sigma = .18$ and $.25$ it gains more of them at ten votes than at a",
     lambda: all(gained(s, n) >= 0 for s in SIGMAS for n in (10, 100, 1000))
     and all(gained(s, 10) > gained(s, 1000) for s in (0.18, 0.25))),
    ("more images than every other rule under the strongest noise, on every seed, and never fewer under the next.",
     lambda: (ahead(0.3) > 0).all() and (ahead(0.25) >= 0).all()),
    ("With a thousand samples and a hundred votes it never reaches fewer than plurality does.",
     lambda: all((reached(s, 100)["calibrated-plurality"] >= reached(s, 100)["plurality"]).all()
                 for s in SIGMAS)),
    ("it is missing at a thousand samples and as many votes.",
     lambda: reached(0.3, 1000)["calibrated-plurality"].isna().all()),
    ("plurality with a thousand votes reaches more images than majority on every seed, and never fewer than majority",
     lambda: all(smoothed("certificates", "images").loc[s, 1000]["certified"] < 0.76
                 and (reached(s, 1000)["plurality"] > reached(s, 1000)["classical"]).all()
                 and (reached(s, 1000)["plurality"] >= reached(s, 1000)["calibrated"]).all() for s in (0.25, 0.3))),
    ("With ten it reaches no more than the plain majority.",
     lambda: all((reached(s, 10)["plurality"] <= reached(s, 10)["classical"]).all() for s in (0.25, 0.3))),
    ("where majorities are clear, its radii are a little shorter.",
     lambda: all((of["plurality"] / of["classical"] > 0.95).all() and (of["plurality"] < of["classical"]).all()
                 for of in (deployable()["deployable_mean_radius"]
                            .xs((s, n), level=("sigma", "deployable_n_vote"))
                            for s in (0.01, 0.06, 0.12) for n in (10, 100, 1000)))),
    ("at $\\sigma = .3$ about one certified label in six is wrong.", lambda: 1 / 7 < wrong_labels(0.3) < 1 / 5),
    ("and under strong noise they bring wrong ones with them",
     lambda: all(votes_at(s, 100)["predict_error"] > 5 * votes_at(s, 10)["predict_error"] for s in (0.25, 0.3))),
)  # fmt: skip

test_a_sentence_stands_and_the_stored_runs_support_it = supported({"faces/facenet64": SAID_OF_NETS})
