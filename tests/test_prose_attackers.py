"""What the chapters on attackers that know the defence, and on copies, say about stored runs."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sentences import DRAWN, PHOTOGRAPHS, hits_of, results, rows, supported

from rp_tutorial.experiments.engine.documents import published
from rp_tutorial.statistics.paired import paired_comparison

VOTE, LOUD, NOISE = "smoothing, sigma 0.18, N = 10", "smoothing, sigma 0.25, N = 10", "plain noise, sigma 0.18"
PRIVATE = "DP-SGD, epsilon 8, public pretraining"


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
DEFENSES = [VOTE, LOUD, NOISE, *LIES, "abstaining, sigma 0.18, N = 10", PRIVATE]


def walkers(data: str = DRAWN) -> pd.DataFrame:
    return attackers(data).drop(index=COPIES)


def percent(value: float) -> int:
    return round(100 * value)


SAID_OF_ATTACKERS = (
    ("behind plain noise the surrogates, (d), win on 83 % of the targets, where the published attack has 41 % and the "
     "attackers that walk have 50 % on average.",
     lambda: percent(attackers().loc[COPIES, NOISE].mean()) == 83 and percent(attackers().loc[REFERENCE, NOISE]) == 41
     and percent(walkers().drop(index=REFERENCE)[NOISE].mean()) == 50),
    ("Most copies are right on three photographs in four or more; behind the loud VOTE, whose release is wrong on",
     lambda: (attackers(what="surrogate_accuracy").loc[COPIES].to_numpy() >= 0.75).mean() > 0.75
     and (attackers(what="surrogate_accuracy").loc[COPIES, LOUD] < 0.5).all()
     and 0.7 < best().loc[LOUD, "test_accuracy"] < 0.8),
    ("Behind plain noise the published attack has 41 % and the best that knows 85 %; behind VOTE with the smaller "
     "noise 50 % and 87 %.",
     lambda: [percent(best().loc[n, c]) for n in (NOISE, VOTE) for c in ("reference_asr", "asr")] == [41, 85, 50, 87]),
    ("Repeated queries are *worse* than the reference in every row in which they appear.",
     lambda: (attackers().loc["repeated queries"] < attackers().loc[REFERENCE]).all()),
    ("VOTE with the smaller noise takes 22 points from the published attack, and none from the best attacker.",
     lambda: percent(best().loc["none", "reference_asr"] - best().loc[VOTE, "reference_asr"]) == 22
     and best().loc[VOTE, "asr"] >= best().loc["none", "asr"]),
    ("A sure start is a better one behind every defence but PREDICT,",
     lambda: [n for n in ("none", *DEFENSES) if attackers(what="asr_start").loc["sure start", n]
              <= attackers(what="asr_start").loc[REFERENCE, n]] == [DEFENSES[-2]]),
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
     lambda: (attackers(PHOTOGRAPHS).drop(columns=PRIVATE).min(axis=1) >= attackers(PHOTOGRAPHS)[PRIVATE])
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


def claimed(name: str, measure: str) -> dict[str, Any]:
    rows_ = results("distillation")["claims"]
    return next(row for row in rows_ if (row["teacher"], row["measure"]) == (name, measure))


SAID_OF_COPIES = (
    ("With the smaller $\\sigma$ the student is nearly as accurate as that of the undefended net; with the larger one, "
     "whose release is wrong on one photograph in five, it has little more than half of that.",
     lambda: abs(copy(VOTE, "test_accuracy") - copy("none", "test_accuracy")) < 0.03
     and 0.5 < copy(LOUD, "test_accuracy") / copy("none", "test_accuracy") < 0.57 and 0.78 < released(LOUD) < 0.82),
    ("VOTE changes many of the labels that the copyist receives, because strangers lie between the private people,",
     lambda: 1 - released(VOTE, "release_agreement") > 10 * (released("none") - released(VOTE))),
    ("a teacher that is another map on strangers, as VOTE and DP-SGD's net are, agrees less without hiding anything.",
     lambda: all(released(n, "release_agreement") < 0.55 and copy(n, "agreement") < copy("none", "agreement") - 0.1
                 for n in (VOTE, LOUD, PRIVATE))),
    ("What slows a copyist is what makes answers less useful: few names, many lies, refusals; and the honest user",
     lambda: all(copy(n) < copy("none") - 0.1 and released(n) < released("none") - 0.1 for n in (LOUD, ONCE, SILENT))),
    ("called: two points in seventy-nine are lost, as many as by the control.",
     lambda: claimed(VOTE, "test_agreement")["verdict"] == "not hindered"
     and percent(loss(VOTE)["difference"]) == percent(loss(CONTROL)["difference"]) == 2 and percent(copy("none")) == 79
     and all(row["verdict"] != "prevented" for row in results("distillation")["claims"])),
    ("a much worse one, by 36 points, and at the smaller one neither.",
     lambda: percent(loss(LOUD)["difference"]) == 36 and loss(VOTE)["difference"] <= loss(CONTROL)["difference"]),
    ("The losses of three seeds, for the control and for VOTE: the control loses up to .03 as well.",
     lambda: round(max(loss_by_seed(CONTROL)), 2) == 0.03),
    ("for this net nearly all strangers are hard.", lambda: refused() > 0.9),
    ("Refusals cost the copyist its budget more than its lessons: label for label it learns nearly as much.",
     lambda: 0.9 < copy(SILENT) / copy("none", budget=1024) < 1
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
    ("At the larger one it loses ten points, twice as many as the release does; the collapse that drawn faces showed",
     lambda: percent(loss(LOUD, PHOTOGRAPHS)["difference"]) == 10 and loss(LOUD)["difference"] > 0.3
     and percent(released("none", data=PHOTOGRAPHS) - released(LOUD, data=PHOTOGRAPHS)) == 5),
    ("The two ways to learn from lies stand in the same order as before, and asked again the lies cost the copy",
     lambda: all(copy(AGAIN, data=d) > copy(ONCE, data=d) for d in (DRAWN, PHOTOGRAPHS))
     and loss(AGAIN, PHOTOGRAPHS)["p_value"] > 0.05),
    ("The private net is a poor net on so few photographs, and so is its copy.",
     lambda: released(PRIVATE, data=PHOTOGRAPHS) < 0.6 and copy(PRIVATE, data=PHOTOGRAPHS) < 0.4),
    ("VOTE prevents no extraction: the students name private people whom they never saw, far beyond a guess.",
     lambda: all(copy(n, "test_accuracy", d) > 5 * results("distillation", d)["constant_guess"]["test_accuracy"]
                 for n in STUDENTS_OF_VOTES for d in (DRAWN, PHOTOGRAPHS))),
    ("the copy loses little or nothing on private photographs. The seeds do not agree on which; the control, too, "
     "has losses of that size.",
     lambda: max(loss_by_seed(VOTE)) < 0.06 and min(loss_by_seed(VOTE)) < 0
     and max(loss_by_seed(CONTROL)) > 0.6 * max(loss_by_seed(VOTE))),
    ("At the larger $\\sigma$ the copy loses a great deal in every seed.", lambda: min(loss_by_seed(LOUD)) > 0.3),
    ("is further from the undefended net, and VOTE itself agrees with it on half of them or fewer.",
     lambda: all(copy(n, "agreement") < copy("none", "agreement") - 0.1 and released(n, "release_agreement") < 0.51
                 for n in STUDENTS_OF_VOTES)),
    ("VOTE's students have about as much of their teacher as the undefended one, a half;",
     lambda: all(0.47 < copy(n, "own_agreement") < 0.53 for n in ("none", VOTE, LOUD))),
    ("those of lies asked once have a quarter, and that of PREDICT has 77 % where its teacher answered, which is",
     lambda: 0.23 < copy("randomized response, epsilon 5", "own_agreement") < 0.26
     and percent(copy("abstaining, sigma 0.18, N = 10", "own_agreement")) == 77 and refused() > 0.9),
    ("the copy of VOTE loses more than .3 in every seed; at $.18$ the losses have not even a common sign.",
     lambda: loss_by_seed(LOUD).min() > 0.3 and loss_by_seed(VOTE).min() < 0 < loss_by_seed(VOTE).max()),
    ("Of the map that is deployed it has about as much as the undefended student has of its own.",
     lambda: all(abs(copy(n, "own_agreement") - copy("none", "own_agreement")) < 0.03 for n in STUDENTS_OF_VOTES)),
    ("The control compares two students of the very same labels; look at its p-values before you believe any other.",
     lambda: loss(CONTROL)["p_value"] < 0.01),
    ("The student of most labels sees each of them twice, and most of its images are the prior's.",
     lambda: copy("none", "images_seen") == 2 * 16384 and 2 * results("distillation")["public_asked"] < 16384 / 2),
    ("Where a curve bends down at its end, that may be why.", lambda: copy("none") < copy("none", budget=4096)),
    ("Noise that costs hardly any accuracy costs the copyist of faces hardly anything either.",
     lambda: released("none") - released(VOTE) < 0.02 and loss(VOTE)["difference"] < 0.025),
)  # fmt: skip

test_a_sentence_stands_and_the_stored_runs_support_it = supported(
    {
        "comparisons/adaptive": SAID_OF_ATTACKERS,
        "comparisons/distillation": SAID_OF_COPIES,
    }
)
