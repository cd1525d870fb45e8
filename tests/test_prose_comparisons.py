"""What the chapters that compare defences say about stored runs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sentences import DRAWN, PHOTOGRAPHS, Sentence, hits_of, paired, results, rising, rows

from rp_tutorial.experiments.engine.documents import published
from rp_tutorial.statistics.paired import paired_comparison
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


SAID_OF_THE_FRONTIER = (
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


# The attackers that know the defence.


@cache
def attackers(data: str = DRAWN, what: str = "asr") -> pd.DataFrame:
    """A row for each attacker, a column for each defence."""
    return pd.DataFrame(results("adaptive", data)["rows"]).pivot(index="attacker", columns="defense", values=what)


@cache
def best(data: str = DRAWN) -> pd.DataFrame:
    return pd.DataFrame(results("adaptive", data)["best"]).set_index("defense")


def against_none(defense: str, data: str = DRAWN) -> float:
    """p-value of the best attacker's hits before the bare net and behind a defence."""
    return paired_comparison(*(hits_of(best(data).loc[n]) for n in ("none", defense))).p_value


COPIES, REFERENCE = ["distil, then invert", "shadow and released labels"], "BREP-MI"
CHOOSERS, LIES = (
    ["sure start", "noise-aware steps"],
    ["randomized response, epsilon 6.5", "memoised response, epsilon 6.5"],
)
DEFENSES = [VOTE, LOUD, NOISE, *LIES, "abstaining, sigma 0.18, N = 10", pretrained(8)]


def walkers(data: str = DRAWN) -> pd.DataFrame:
    return attackers(data).drop(index=COPIES)


SAID_OF_ATTACKERS = (
    ("Plain noise on the input, drawn anew for every query, takes a good part of the published attack's success.",
     lambda: attackers().loc[REFERENCE, NOISE] < 0.67 * attackers().loc[REFERENCE, "none"]),
    ("Wherever there is a defence, two rows lead the panel, and neither belongs to an attacker that walks;",
     lambda: (attackers().loc[COPIES, DEFENSES].min() > walkers()[DEFENSES].max()).all()),
    ("before the bare net two walkers keep up with them.",
     lambda: (walkers()["none"] >= attackers().loc[COPIES, "none"].min()).sum() == 2),
    ("so few targets that most intervals are more than a third as wide as the axis.",
     lambda: np.mean([high - low > 1 / 3 for ends in attackers(PHOTOGRAPHS, "asr_ci").to_numpy().ravel()
                      for low, high in [ends]]) > 0.5),
    ("With so few targets no test finds anything",
     lambda: not any(t["p_holm"] < 0.05 for row in results("adaptive", PHOTOGRAPHS)["best"] for t in row["tests"])),
    ("The estimates repeat the order of the drawn faces behind noise and lies",
     lambda: all((attackers(d)[[NOISE, *LIES]].max() == attackers(d).loc[COPIES[0], [NOISE, *LIES]]).all()
                 and (attackers(d)[LIES].min() == attackers(d).loc["repeated queries", LIES]).all()
                 for d in (DRAWN, PHOTOGRAPHS))),
    ("the attackers who choose where to begin keep up with the surrogates, which are poorer copies here",
     lambda: (attackers(PHOTOGRAPHS).loc[CHOOSERS, [NOISE, *LIES]].min()
              >= attackers(PHOTOGRAPHS).loc[COPIES[1], [NOISE, *LIES]]).all()
     and all((attackers(PHOTOGRAPHS, "surrogate_accuracy").loc[c, n] < attackers(what="surrogate_accuracy").loc[c, n])
             for c in COPIES for n in (NOISE, *LIES))),
    ("In the table the best attacker passes VOTE less often than the bare net at the smaller $\\sigma$, and more "
     "often at the larger one;",
     lambda: best(PHOTOGRAPHS)["asr"][VOTE] < best(PHOTOGRAPHS)["asr"]["none"] < best(PHOTOGRAPHS)["asr"][LOUD]),
    ("neither difference is told apart from nothing.",
     lambda: all(against_none(n, PHOTOGRAPHS) > 0.05 for n in (VOTE, LOUD))),
    ("What is hard to invert is the private net, for everybody;",
     lambda: (attackers(PHOTOGRAPHS).drop(columns=pretrained(8)).min(axis=1) >= attackers(PHOTOGRAPHS)[pretrained(8)])
     .all()),
    ("it is also the one that is most often wrong, after PREDICT.",
     lambda: list(best(PHOTOGRAPHS)["test_accuracy"].sort_values().index[:2]) == [DEFENSES[-2], DEFENSES[-1]]),
)  # fmt: skip


# The copies.


@cache
def copies(data: str = DRAWN) -> pd.DataFrame:
    """Every student, a row for each teacher and budget."""
    return pd.DataFrame(
        {"name": teacher["name"]} | student
        for teacher in results("distillation", data)["teachers"]
        for student in teacher["students"]
    ).set_index(["name", "budget"])


def copy(name: str, what: str = "test_agreement", data: str = DRAWN, budget: int = 16384) -> float:
    return float(copies(data).loc[(name, budget), what])


def released(name: str, what: str = "release_accuracy", data: str = DRAWN) -> float:
    return float(rows("distillation", data, "teachers").loc[name, what])


def loss(name: str, data: str = DRAWN) -> dict[str, Any]:
    """Agreement on private images: the undefended student less that of `name`, after the largest budget."""
    pairs = results("distillation", data)["comparisons"]
    wanted = {"b": name, "budget": 16384, "measure": "test_agreement"}
    return next(row for row in pairs if all(row[key] == value for key, value in wanted.items()))


@cache
def loss_by_seed(name: str) -> np.ndarray:
    found = []
    for document in published("distillation", DRAWN):
        last = {t["name"]: t["students"][-1]["test_agreement"] for t in document["results"]["teachers"]}
        found.append(last["none"] - last[name])
    return np.array(found)


def refused(data: str = DRAWN) -> float:
    return released(SILENT, "abstention", data)


CONTROL, SILENT, ONCE = "none, another student", "abstaining, sigma 0.18, N = 10", "randomized response, epsilon 5"
AGAIN, MEMORY = f"{ONCE}, 4 queries an image", "memoised response, epsilon 5, 4 queries an image"
STUDENTS_OF_VOTES = (VOTE, LOUD)

SAID_OF_COPIES = (
    ("for this net nearly all strangers are hard.", lambda: refused() > 0.9),
    ("Refusals cost the copyist its budget more than its lessons: label for label it learns nine tenths as much.",
     lambda: 0.87 < copy(SILENT) / copy("none", budget=1024) < 0.93
     and 1024 <= np.mean([d["results"]["teachers"][5]["students"][-1]["released"]
                          for d in published("distillation", DRAWN)]) < 1500),
    ("the rule of thumb promises the copyist of single questions at least as much.",
     lambda: copy(ONCE) < copy("none", budget=4096) - 0.2),
    ("Asking again does collect, and a memory stops that",
     lambda: copy(AGAIN) > copy("none") - 0.02 and copy(MEMORY) < copy(ONCE) + 0.05),
    ("Copies are poorer here, as the nets are, and the claim stands: VOTE's student at every $\\sigma$ is "
     "far above a guess.",
     lambda: copy("none", data=PHOTOGRAPHS) < copy("none") - 0.2
     and released("none", data=PHOTOGRAPHS) < released("none") - 0.1
     and all(copy(n, data=PHOTOGRAPHS) > 5 * results("distillation", PHOTOGRAPHS)["constant_guess"]["test_agreement"]
             for n in STUDENTS_OF_VOTES)),
    ("At the smaller $\\sigma$ what the copy loses on private photographs is not told apart from nothing",
     lambda: loss(VOTE, PHOTOGRAPHS)["low"] < 0 < loss(VOTE, PHOTOGRAPHS)["high"]),
    ("At the larger one it loses about as many points as the release does; the collapse that drawn faces showed there",
     lambda: abs(loss(LOUD, PHOTOGRAPHS)["difference"] - released("none", data=PHOTOGRAPHS)
                 + released(LOUD, data=PHOTOGRAPHS)) < 0.02 and loss(LOUD)["difference"] > 0.3),
    ("The two ways to learn from lies stand in the same order as before, and asked again the lies cost the copy",
     lambda: all(copy(AGAIN, data=d) > copy(ONCE, data=d) for d in (DRAWN, PHOTOGRAPHS))
     and loss(AGAIN, PHOTOGRAPHS)["p_value"] > 0.05),
    ("The private net is a poor net on so few photographs, and so is its copy.",
     lambda: released(pretrained(8), data=PHOTOGRAPHS) < 0.6 and copy(pretrained(8), data=PHOTOGRAPHS) < 0.4),
    ("VOTE prevents no extraction: the students name private people whom they never saw, far beyond a guess.",
     lambda: all(copy(n, "test_accuracy", d) > 5 * results("distillation", d)["constant_guess"]["test_accuracy"]
                 for n in STUDENTS_OF_VOTES for d in (DRAWN, PHOTOGRAPHS))),
    ("the copy loses little or nothing on private photographs. The seeds do not agree on which; the control, too, "
     "has losses of that size.",
     lambda: max(loss_by_seed(VOTE)) < 0.06 and min(loss_by_seed(VOTE)) < 0
     and max(loss_by_seed(CONTROL)) > 0.6 * max(loss_by_seed(VOTE))),
    ("At the larger $\\sigma$ the copy loses a great deal in every seed.", lambda: min(loss_by_seed(LOUD)) > 0.3),
    ("VOTE's student at every $\\sigma$ is further from the undefended net, and so is VOTE itself.",
     lambda: all(copy(n, "agreement") < copy("none", "agreement") - 0.1 and released(n, "release_agreement") < 0.5
                 for n in STUDENTS_OF_VOTES)),
    ("Of the map that is deployed it has about as much as the undefended student has of its own.",
     lambda: all(abs(copy(n, "own_agreement") - copy("none", "own_agreement")) < 0.03 for n in STUDENTS_OF_VOTES)),
    ("The control compares two students of the very same labels; look at its p-values before you believe any other.",
     lambda: loss(CONTROL)["p_value"] < 0.01),
    ("The student of most labels sees each of them twice, and most of its images are the prior's.",
     lambda: copy("none", "images_seen") == 2 * 16384 and 2 * results("distillation")["public_asked"] < 16384 / 2),
    ("Where a curve bends down at its end, that is why;", lambda: copy("none") < copy("none", budget=4096)),
    ("Noise that costs hardly any accuracy costs the copyist hardly anything either.",
     lambda: released("none") - released(VOTE) < 0.02 and loss(VOTE)["difference"] < 0.02),
)  # fmt: skip

SENTENCES = [
    Sentence(f"comparisons/{chapter}", words, holds)
    for chapter, said in (
        ("dp-sgd", SAID_OF_DP_SGD),
        ("frontier", SAID_OF_THE_FRONTIER),
        ("adaptive", SAID_OF_ATTACKERS),
        ("distillation", SAID_OF_COPIES),
    )
    for words, holds in said
]


@pytest.mark.parametrize("sentence", SENTENCES, ids=str)
def test_a_sentence_stands_and_the_stored_runs_support_it(sentence: Sentence) -> None:
    sentence.check()
