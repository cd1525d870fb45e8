"""What the chapters that compare defences say about stored runs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sentences import DRAWN, PHOTOGRAPHS, paired, results, rising, rows, supported

from rp_tutorial.experiments.engine.documents import published
from rp_tutorial.experiments.engine.experiment import experiment
from rp_tutorial.theory.response import keep_probability

VOTE, LOUD, NOISE = "smoothing, sigma 0.18, N = 10", "smoothing, sigma 0.25, N = 10", "plain noise, sigma 0.18"


# The frontier, and the part of it that the chapter on DP-SGD shows.


def point(name: str, what: str = "asr", data: str = DRAWN) -> float:
    return float(rows("frontier", data, "points").loc[name, what])


def pretrained(epsilon: float) -> str:
    return f"DP-SGD, epsilon {epsilon:g}, public pretraining"


def scratch(epsilon: float) -> str:
    return f"DP-SGD, epsilon {epsilon:g}, from scratch"


EPSILONS = (1, 3, 8, 30)
PRIVATE = [name(epsilon) for name in (pretrained, scratch) for epsilon in EPSILONS]

SAID_OF_DP_SGD = (
    ("and so did the nets of the stored runs below.",
     lambda: {run["settings"]["private"]["scratch"]["epochs"] for run in published("frontier", DRAWN)} == {3}),
    ("The recipe of the next runs has forty passes,",
     lambda: experiment("replication").settings("cpu").private.scratch.epochs == 40),
    ("Private nets are inverted less often than the undefended one.",
     lambda: all(point(n) < point("none") for n in PRIVATE)),
    ("With public pretraining most of the drop is there at $\\epsilon = 30$, where hardly any noise is left.",
     lambda: point("none") - point(pretrained(30)) > 0.75 * (point("none") - point(pretrained(1)))),
    ("Ten times the noise adds little, and nothing that the interval can tell from 0.",
     lambda: paired(rows("frontier", part="points"), pretrained(30), pretrained(1)).low < 0
     and point(pretrained(30)) - point(pretrained(1)) < 0.1),
    ("From scratch the rate rises with $\\epsilon$ up to 8 and no further, while the accuracy goes on rising;",
     lambda: rising([point(scratch(e)) for e in (1, 3, 8)]) and point(scratch(30)) <= point(scratch(8))
     and rising([point(scratch(e), "test_accuracy") for e in EPSILONS])),
    ("That was the second prediction: 71 % against the undefended net, at most 43 % against a private one.",
     lambda: round(point("none"), 2) == 0.71 and round(max(point(n) for n in PRIVATE), 2) == 0.43),
    ("No private net's point is as high as the undefended net's.",
     lambda: max(point(n) for n in PRIVATE) < point("none")),
    ("With public pretraining a private net is a good net, though not the undefended one, and the smallest $\\epsilon$ "
     "costs most; from scratch it is a poor one.",
     lambda: all(0.8 < point(pretrained(e), "test_accuracy") < point("none", "test_accuracy") for e in EPSILONS)
     and rising([point(pretrained(e), "test_accuracy") for e in EPSILONS])
     and max(point(scratch(e), "test_accuracy") for e in EPSILONS) < 0.75),
)  # fmt: skip


def family(name: str) -> dict[str, Any]:
    return next(row for row in results("frontier")["areas"] if row["family"] == name)


def told_apart(name: str) -> bool:
    low, high = family(name)["difference_ci"]
    return low > 0 or high < 0


def claim(data: str = DRAWN) -> pd.DataFrame:
    return rows("frontier", data, "dominance")


def verdicts(data: str = DRAWN, **of: str) -> set[str]:
    table = claim(data)
    for column, start in of.items():
        table = table[table[column].str.startswith(start)]
    return set(table["verdict"])


RIVAL = "randomized response, epsilon "
FAMILIES = (
    "smoothing", "plain noise", "abstaining", "training under noise", "smoothing and training under noise",
    "randomized response", "memoised response", "DP-SGD, public pretraining", "DP-SGD, from scratch",
)  # fmt: skip


def on_the_front() -> pd.DataFrame:
    real = results("frontier", PHOTOGRAPHS)
    return rows("frontier", PHOTOGRAPHS, "points").loc[real["front"]]


@cache
def insured() -> pd.DataFrame:
    return pd.DataFrame(results("frontier")["insurance"]["points"]).set_index("name")


def insured_claim(start: str) -> pd.DataFrame:
    table = pd.DataFrame(results("frontier")["insurance"]["dominance"])
    return table[table["name"].str.startswith(start)]


def above_the_diagonal() -> pd.Series:
    """How much more often the guess is right than the line through mechanisms that always answer would have it."""
    table = insured()
    silent = table["abstention"] > 0
    plain = table[~silent & table["defense"].isin(["smoothing", "plain noise", "randomized response"])]
    slope, start = np.polyfit(plain["test_accuracy"], plain["success"], 1)
    return (table["success"] - start - slope * table["test_accuracy"])[silent]


def given_back() -> pd.Series:
    """The share of what one release hides that ten releases give back; of mechanisms that hide something."""
    table = insured()
    hidden = table.loc["none", "success"] - table["success"]
    back = (table["success_in_ten"] - table["success"]) / hidden
    return back[(hidden > 0.005) & (table["success_in_ten"] > table["success"] + 0.02)]


def picked_by_asr(row: Any) -> str:
    """The champion of exercise "Break it": the least ASR among votes that are accurate enough."""
    points = rows("frontier", part="points")
    able = points[
        (points["family"] == "smoothing") & (points["test_accuracy"] >= points.loc[row["name"], "test_accuracy"])
    ]
    return str(able["asr"].idxmin())


def at_an_equal_price(name: str) -> list[float]:
    """A family's ASR less VOTE's in every slice, from the highest accuracy to the lowest."""
    return [row["difference"] for s in results("frontier")["slices"] for row in s["arms"]
            if s["along"] == "accuracy" and row["family"] == name]  # fmt: skip


SAID_OF_THE_FRONTIER = (
    ("The dashed staircase is the front: 3 of its 13 arms are VOTE's.",
     lambda: len(results("frontier")["front"]) == 13
     and sum(n.startswith("smoothing, sigma") for n in results("frontier")["front"]) == 3),
    ("plain noise, which is VOTE(1), is not told apart from VOTE there, or does better.",
     lambda: not told_apart("plain noise") and family("plain noise")["difference"] < 0
     and all(row["p_value"] > 0.05 or row["difference"] < 0 for s in results("frontier")["slices"]
             for row in s["arms"] if row["family"] == "plain noise")),
    ("One row of fourteen is shown, and none is contradicted;",
     lambda: list(claim()["verdict"]).count("shown") == 1 and len(claim()) == 14
     and "contradicted" not in set(claim()["verdict"])),
    ("The one that is traded is randomized response at $\\epsilon = 3.5$.",
     lambda: list(claim().query("verdict == 'traded'").index) == [f"{RIVAL}3.5"]),
    ("harder to invert, for this attacker: at the lowest accuracy of the table by 15 points.",
     lambda: round(at_an_equal_price("plain noise")[-1], 2) == -0.15),
    ("The row *the best of all* is the area if the best family may be picked at each accuracy; no single family",
     lambda: family("all")["area"] < min(family(n)["area"] for n in FAMILIES)),
    ("A gain of success above zero is a loss for VOTE: it has one in every row of randomized response and of plain",
     lambda: all((insured_claim(n)["success_gain"] > 0).all() for n in ("randomized response", "plain noise"))),
    ("In the stored runs VOTE has a smaller area than the undefended net, than PREDICT, than nets that were only "
     "trained under noise, and than DP-SGD from scratch.",
     lambda: all(told_apart(n) and family(n)["difference"] > 0
                 for n in ("none", "abstaining", "training under noise", "DP-SGD, from scratch"))),
    ("It is not told apart from randomized response, from DP-SGD with public pretraining, nor from plain noise, whose "
     "area is the smallest of the families.",
     lambda: not any(told_apart(n) for n in ("randomized response", "DP-SGD, public pretraining", "plain noise"))
     and family("plain noise")["area"] == min(family(n)["area"] for n in FAMILIES)),
    ("In the stored runs the claim holds in one row and in no other.",
     lambda: list(claim().query("verdict == 'shown'").index) == [f"{RIVAL}8"]),
    ("Randomized response at $\\epsilon = 8$ lies so rarely that the attack fares as if nobody lied",
     lambda: abs(point(f"{RIVAL}8") - point("none")) < 0.05),
    ("and there VOTE is harder to invert at the same accuracy, by a difference that survives the correction.",
     lambda: claim().loc[f"{RIVAL}8", "asr_gain"] < 0 and claim().loc[f"{RIVAL}8", "p_holm"] < 0.05
     and 0 <= claim().loc[f"{RIVAL}8", "accuracy_gain"] < 0.01),
    ("At $\\epsilon = 3.5$ it lies more than two times out of three; it is then harder to invert than its rival",
     lambda: keep_probability(3.5, 80) < 1 / 3 and claim().loc[f"{RIVAL}3.5", "verdict"] == "traded"),
    ("In between, and against DP-SGD in every arm, nothing is decided",
     lambda: verdicts(family="DP-SGD") == {"open"}
     and set(claim().loc[[f"{RIVAL}5", f"{RIVAL}6.5"], "verdict"]) == {"open"}),
    ("and most estimates against DP-SGD lie on the other side of zero.",
     lambda: (claim().filter(like="DP-SGD", axis=0)["asr_gain"] > 0).mean() > 0.5),
    ("Of the open ones, each of these intervals reaches a dozen points or more to one side at least",
     lambda: all(max(map(abs, ci)) >= 0.12 for ci in claim().query("verdict == 'open'")["asr_gain_ci"])),
    ("then more than nine tenths of the answers are right where the attack fares no better than against VOTE.",
     lambda: point(pretrained(30), "test_accuracy") > 0.9 and point(pretrained(30)) <= point(VOTE)),
    ("The picture that the abstract paints is there for DP-SGD from scratch",
     lambda: max(point(scratch(e), "test_accuracy") for e in EPSILONS) < point(VOTE, "test_accuracy") - 0.2),
    ("No row of the claim is decided by these targets, in either direction.",
     lambda: verdicts(PHOTOGRAPHS) == {"open"}),
    ("The settings of VOTE that cost little accuracy lower nothing that shows",
     lambda: all(paired(rows("frontier", PHOTOGRAPHS, "points"), "none", n).p_value > 0.05
                 for n in (VOTE, "smoothing, sigma 0.12, N = 10", "smoothing, sigma 0.18, N = 100"))),
    ("Most points of the front are lies, plain noise, and private nets that are wrong about every second photograph or",
     lambda: (on_the_front()["family"].isin(["plain noise", "randomized response"])
              | (on_the_front()["defense"].eq("DP-SGD") & (on_the_front()["test_accuracy"] < 0.57))).mean() > 0.5),
    ("With so few photographs a person DP-SGD from scratch learns little: VOTE leaves it far behind in accuracy",
     lambda: max(point(scratch(e), "test_accuracy", PHOTOGRAPHS) for e in EPSILONS) < 0.4
     < point(VOTE, "test_accuracy", PHOTOGRAPHS) - 0.4
     and max(point(scratch(e), data=PHOTOGRAPHS) for e in EPSILONS) < 0.2),
    ("The points rise from the prior along a diagonal, those of mechanisms that abstain lie above it",
     lambda: (above_the_diagonal() > 0).all()
     and insured()["success"].min() > results("frontier")["insurance"]["prior"]["success"] - 0.01),
    ("On this table the claim is contradicted", lambda: (insured_claim("")["verdict"] == "contradicted").any()),
    ("Against randomized response and against plain noise, at accuracies a few points apart at most, VOTE leaves "
     "the onlooker right *more* often.",
     lambda: all((insured_claim(n).query("accuracy_gain < 0.05")["success_gain_ci"].str[0] > 0).all()
                 and (insured_claim(n)["success_gain"] > 0).all() for n in ("randomized response", "plain noise"))),
    ("Against DP-SGD it comes out ahead by a little",
     lambda: (insured_claim("DP-SGD")["success_gain"] < 0.01).all()
     and (insured_claim("DP-SGD")["verdict"] == "shown").sum() == 3),
    ("With $\\epsilon \\ge 1$ the private nets give away more than the undefended one, and so do the nets and the "
     "releases that abstain now and then.",
     lambda: all(row["success"] > insured().loc["none", "success"] for n, row in insured().iterrows()
                 if n in ("DP-SGD, epsilon 1", "DP-SGD, epsilon 3", "DP-SGD, epsilon 8")
                 or (n.startswith("abstaining") and row["abstention"] <= 0.2))),
    ("*Exact attribute smoothing* keeps its accuracy and hides nothing",
     lambda: all(insured().loc[n, c] == insured().loc["none", c] for n in insured().index
                 if n.startswith("exact attribute") for c in ("test_accuracy", "success"))),
    ("Plain noise at $\\sigma = 1$ lets BMI be guessed right in 74 of 100 cases from one release, and in 89 from ten.",
     lambda: (100 * insured().loc["plain noise, sigma 1", ["success", "success_in_ten"]]).astype(float).round().tolist()
     == [74, 89]),
    ("Ten releases about the same person give most of it back, except behind the very loudest:",
     lambda: given_back().sort_values().index[0] in ("abstaining vote, sigma 2, N = 10", f"{RIVAL}0.5")
     and (given_back() < 0.5).sum() == 2),
    ("it beats a randomized response that hardly ever lies, and is not told apart from DP-SGD.",
     lambda: verdicts(family="DP-SGD") == {"open"} and claim().loc[f"{RIVAL}8", "verdict"] == "shown"),
    ("It loses to randomized response and to plain noise where the secret is an attribute.",
     lambda: all((insured_claim(n)["verdict"] == "contradicted").any()
                 for n in ("randomized response", "plain noise"))),
    ("Here no verdict changes: in every row the setting with the least ASR is the very one that was sent by the rule.",
     lambda: all(picked_by_asr(row) == row["rival"] for _, row in claim().iterrows())),
    ("So it is in this family, whose ASR rises with its accuracy all the way;",
     lambda: rows("frontier", part="points").query("family == 'smoothing'").sort_values("test_accuracy")["asr"]
     .is_monotonic_increasing),
)  # fmt: skip

test_a_sentence_stands_and_the_stored_runs_support_it = supported(
    {
        "comparisons/dp-sgd": SAID_OF_DP_SGD,
        "comparisons/frontier": SAID_OF_THE_FRONTIER,
    }
)
