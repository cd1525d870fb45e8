"""What the chapters on faces say about stored runs."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pandas as pd
import pytest
from sentences import DRAWN, PHOTOGRAPHS, Sentence, falling, hits_of, holm, paired, results, rising, rows, supported

from rp_tutorial.experiments.engine.documents import measured_devices, published
from rp_tutorial.experiments.engine.experiment import experiment
from rp_tutorial.statistics.binomial import clopper_pearson, max_certifiable_radius
from rp_tutorial.statistics.paired import paired_comparison

DEFENDED, MECHANISM = "faces/defended", "faces/mechanism"
SIGMAS = (0.06, 0.12, 0.18, 0.25)
VOTE, HUNDRED, NOISE = "smoothing, sigma 0.18, N = 10", "smoothing, sigma 0.18, N = 100", "plain noise, sigma 0.18"
FIXED, TRAINED = "fixed noise, sigma 0.18, N = 10", "none, net trained under 0.18"
THRICE, TENFOLD = f"{VOTE}, 3 queries a probe", f"{NOISE}, 10 queries a probe"
VOTES = tuple(f"smoothing, sigma {s:g}, N = 10" for s in SIGMAS)
NOISES = tuple(f"plain noise, sigma {s:g}" for s in SIGMAS)
BOTH = tuple(f"smoothing, sigma {s:g}, N = 10, net trained under {s:g}" for s in (0.18, 0.25))


def asr(name: str, data: str = DRAWN, what: str = "asr") -> float:
    return float(rows("inversion", data).loc[name, what])


def accuracy(name: str, data: str = DRAWN) -> float:
    return asr(name, data, "test_accuracy")


def fall(name: str, what: str = "asr") -> float:
    return asr("none", what=what) - asr(name, what=what)


def before_the_walk(name: str) -> float:
    """The share of the fall of ASR that the starting points have already."""
    return fall(name, "asr_start") / fall(name)


def lost(name: str, what: str = "test_accuracy") -> float:
    return asr("none", what=what) - asr(name, what=what)


def p(a: str, b: str, data: str = DRAWN) -> float:
    return paired(rows("inversion", data), a, b).p_value


@cache
def corrected() -> pd.Series:
    tests = pd.DataFrame(results("inversion")["comparisons"])
    return holm(tests.set_index(["a", "b"])["p_value"])


def ended(name: str) -> Counter[str]:
    """How many walks of an arm ended for which reason, all seeds together."""
    arms = [arm for run in published("inversion", DRAWN) for arm in run["results"]["arms"] if arm["name"] == name]
    return sum((Counter(arm["stopped"]) for arm in arms), Counter())


def flattery(name: str) -> float:
    return asr(name, what="paper_accuracy") - accuracy(name)


def control_arms() -> list[str]:
    return [name for name in rows("inversion").index if "0.18" in name]


def card_results() -> dict:
    """The run on a GPU."""
    return measured_devices()[0]["inversion"]["results"]


def card_rows() -> pd.DataFrame:
    return pd.DataFrame(card_results()["arms"]).set_index("name", drop=False)


def on_card(defense: str) -> list[str]:
    return [name for name, row in card_rows().iterrows() if row["defense"] == defense]


def on_card_p(a: str, b: str) -> float:
    return paired(card_rows(), a, b).p_value


CARD_NOISE = "plain noise, sigma 0.1"
SAID_OF_DEFENCES = (
    ("ASR falls as $\\sigma$ grows, and more votes raise accuracy.",
     lambda: all(falling([asr(n) for n in line]) for line in (VOTES, NOISES))
     and all(accuracy(v) > accuracy(n) for v, n in zip(VOTES, NOISES, strict=True))
     and accuracy(HUNDRED) > accuracy(VOTE)),
    ("One is not: while VOTE(10) keeps its accuracy, most of the ASR stays.",
     lambda: all(asr(v) > 0.5 * asr("none") for v in VOTES if lost(v) < 0.02)),
    ("Where it takes away half, at the largest $\\sigma$, more than one test image in five gets a wrong name.",
     lambda: 0.45 < asr(VOTES[-1]) / asr("none") < 0.55 and 0.2 < 1 - accuracy(VOTES[-1]) < 0.25),
    ("At the noisiest door that rule gives less than what the starting points score",
     lambda: asr(NOISES[-1], what="asr_published_rule") < asr(NOISES[-1], what="asr_start")),
    ("the paper has 29 points less at no cost, and ours have nothing like it.",
     lambda: max(fall(n) for n in rows("inversion").index if lost(n) < 0.002) < 0.2),
    ("While nothing is lost the two agree within a point or so.",
     lambda: all(abs(flattery(n)) < 0.0125 for n in (*VOTES, *NOISES) if lost(n) < 0.01)),
    ("Where VOTE begins to cost, the picked images hide most of the loss.",
     lambda: all(lost(n, "paper_accuracy") < 0.5 * lost(n) for n in (VOTE, NOISE))),
    ("Of a hundred targets 4 that are found may stand for a rate of 10 %, and 6 for one of 2 %.",
     lambda: [round(100 * end[0], 0) for end in (clopper_pearson([4], 100)[1], clopper_pearson([6], 100)[0])]
     == [10, 2]),
    ("At the noisiest door 30 of 120 end on refused steps, and PREDICT leaves 27 targets without a starting point.",
     lambda: (ended(NOISES[-1])["rejected steps"], sum(ended(NOISES[-1]).values())) == (30, 120)
     and ended("abstaining, sigma 0.18, N = 10")["not found"] == 27),
    ("Without a defence 27 of 40 people are found, and 25 through VOTE at the largest $\\sigma$; plain noise leaves 8",
     lambda: [round(40 * asr(n, PHOTOGRAPHS)) for n in ("none", VOTES[-1], NOISES[-1])] == [27, 25, 8]
     and results("inversion", PHOTOGRAPHS)["targets"] == 40),
    ("Without a defence 18 of 24 people are found, and through VOTE at the largest $\\sigma$ 16 or 17.",
     lambda: [sum(card_rows().loc[n, "hits"]) for n in ("none", *(f"smoothing, sigma 0.1, N = {k}" for k in (10, 100)))]
     == [18, 16, 17] and card_results()["targets"] == 24),
    ("The run is older than the others: draws and code have changed since, and no card was at hand to repeat it.",
     lambda: measured_devices()[0]["inversion"]["code"] != experiment("inversion").code
     and not published("inversion", profile="gpu")),
    ("The lower right corner is empty.",
     lambda: not any(asr(n) < 0.4 and accuracy(n) > 0.95 for n in rows("inversion").index)),
    ("VOTE(100) takes twenty points of ASR for less than one per cent of the accuracy.",
     lambda: asr(HUNDRED) == min(asr(n) for n in rows("inversion").index if accuracy(n) > 0.99 * accuracy("none"))),
    ("So VOTE *can* buy a fall of twenty points for less than one per cent of the accuracy, if enough is voted on.",
     lambda: 0.195 < fall(HUNDRED) < 0.22 and accuracy(HUNDRED) > 0.99 * accuracy("none")),
    ("A net that is trained under the very noise gives less, twelve points at hardly any price.",
     lambda: 0.12 < fall(BOTH[0]) < 0.13 and lost(BOTH[0]) < 0.002),
    ("where VOTE(10) has lost less than two points of accuracy, take the two apart.",
     lambda: 0 < lost(VOTE) < 0.02),
    ("Of all arms at this $\\sigma$ plain noise takes away most, under every correction, though it costs accuracy as",
     lambda: fall(NOISE) == max(fall(n) for n in control_arms())
     and corrected()["none", NOISE] < 0.05 and lost(NOISE) > 0.05),
    ("But ten questions instead of one bring a third of the loss back, at the same door, to where VOTE(10) is.",
     lambda: 0.3 < (asr(TENFOLD) - asr(NOISE)) / fall(NOISE) < 0.4 and abs(asr(TENFOLD) - asr(VOTE)) < 0.02),
    ("So a part of what had helped was the randomness of a single answer, and that can be bought off.",
     lambda: p(TENFOLD, NOISE) < 0.05 and p("none", TENFOLD) < 0.05),
    ("**VOTE(10) takes away about two thirds as much, and keeps it.**",
     lambda: 0.6 < fall(VOTE) / fall(NOISE) < 0.72),
    ("Three queries for one bring back nothing that could be told from nothing.", lambda: p(THRICE, VOTE) > 0.05),
    ("is harder to invert, by an amount that its interval leaves wide open.",
     lambda: (by := paired(rows("inversion"), "none", FIXED)).low > 0 and by.high - by.low > by.difference),
    ("what more votes leave of the defence is the smoothed function itself.",
     lambda: abs(asr(HUNDRED) - asr(FIXED)) < 0.05 < p(HUNDRED, FIXED)),
    ("A probe of the attack lies far outside of every ball that could be certified", lambda: within_any_radius() == 0),
    ("Most walks end because their patience is over.",
     lambda: all(ended(n)["patience"] > 0.5 * ended(n).total() for n in rows("inversion").index)),
    ("labels alone led to likenesses of people the attacker had never seen.",
     lambda: paired_comparison(*(hits_of(rows("inversion").loc["none"], k) for k in ("hits", "start_hits"))).low > 0),
    ("Fixed noise stands between VOTE(10) and no defence.", lambda: asr(VOTE) < asr(FIXED) < asr("none")),
    ("by ASR from low to high they are plain noise, VOTE(10), VOTE(100), fixed noise, no defence.",
     lambda: rising([asr(n) for n in (NOISE, VOTE, HUNDRED, FIXED, "none")])),
    ("Most of the fall is in the first line, and the second cannot be told from nothing.",
     lambda: fall(FIXED) > 0.5 * fall(VOTE) and p(FIXED, VOTE) > 0.05),
    ("The step from no defence to fixed noise is told from nothing, under Holm's correction too.",
     lambda: corrected()["none", FIXED] < 0.05),
    ("is lower by about two thirds as much, and what VOTE adds to such a net cannot be told from nothing at",
     lambda: 0.6 < fall(TRAINED) / fall(FIXED) < 0.72 and p("none", TRAINED) < 0.05
     and all(p(f"none, net trained under {s:g}", both) > 0.05 for s, both in zip((0.18, 0.25), BOTH, strict=True))),
    ("The two together can, at the larger $\\sigma$ under Holm's correction too.",
     lambda: all(p("none", both) < 0.05 for both in BOTH) and corrected()["none", BOTH[1]] < 0.05),
    ("For plain noise and for either VOTE a fifth of the fall or so is there before the walk begins, and none of it",
     lambda: all(0.15 < before_the_walk(n) < 0.25
                 and paired(rows("inversion"), "none", n, "start_hits").low < 0 for n in (NOISE, VOTE, HUNDRED))),
    ("A net trained under this noise is different: for it half of the fall or more is in the starting points,",
     lambda: min(before_the_walk(TRAINED), before_the_walk(BOTH[0])) > 0.5),
    ("From one label to ten, and to a hundred, ASR goes up", lambda: rising([asr(NOISE), asr(VOTE), asr(HUNDRED)])),
    ("Between ten and a hundred these targets show no difference in either direction.",
     lambda: p(VOTE, HUNDRED) > 0.05),
    ("On the picked images next to nothing happens: no row loses more than one of them.",
     lambda: all(asr(n, PHOTOGRAPHS, "paper_accuracy") > 1 - 1.5 / results("inversion", PHOTOGRAPHS)["identities"]
                 for n, row in rows("inversion", PHOTOGRAPHS).iterrows() if row["defense"] in ("none", "smoothing"))),
    ("On test photographs the bare net is wrong about one in six or seven, and the largest $\\sigma$ costs more.",
     lambda: 1 / 7 < 1 - accuracy("none", PHOTOGRAPHS) < 1 / 6
     and accuracy(VOTES[-1], PHOTOGRAPHS) < accuracy("none", PHOTOGRAPHS) - 0.05),
    ("On photographs, and with FaceNet64 itself, VOTE changed nothing that our targets could show;",
     lambda: all(p("none", v, PHOTOGRAPHS) > 0.05 for v in (*VOTES, HUNDRED))
     and all(on_card_p("none", n) > 0.05 for n in on_card("smoothing"))),
    ("On photographs the paper's defence changes nothing that these targets could show, at any $\\sigma$ that we",
     lambda: all(p("none", v, PHOTOGRAPHS) > 0.05 for v in (*VOTES, HUNDRED))),
    ("What lowers ASR is a single noisy label, at a price in accuracy, and ten questions for one bring it back.",
     lambda: p("none", NOISE, PHOTOGRAPHS) < 0.05 < p("none", TENFOLD, PHOTOGRAPHS)
     and accuracy(NOISE, PHOTOGRAPHS) < accuracy("none", PHOTOGRAPHS) - 0.05),
    ("Abstaining costs half of the answers, and most of the people are still found.",
     lambda: 0.45 < asr("abstaining, sigma 0.18, N = 10", PHOTOGRAPHS, "abstention") < 0.6
     and asr("abstaining, sigma 0.18, N = 10", PHOTOGRAPHS) > 0.5),
    ("A single random answer hinders this attack most, and repeated questions buy a part of it off.",
     lambda: asr(NOISE) == min(map(asr, control_arms())) and p(TENFOLD, NOISE) < 0.05),
    ("are somewhat harder to invert at nearly the same accuracy; on photographs we see nothing of it.",
     lambda: all(fall(n) > 0.1 and lost(n) < 0.02 for n in (VOTE, TRAINED))
     and all(p("none", n, PHOTOGRAPHS) > 0.05 for n in (VOTE, TRAINED))),
    ("Between one label and ten a larger $N$ raises what noise had lowered much, accuracy *and* ASR;",
     lambda: all((accuracy(v, d) > accuracy(n, d) or accuracy(n, d) + 0.02 > accuracy("none", d))
                 and (asr(v, d) > asr(n, d) or asr(n, d) + 0.05 > asr("none", d))
                 for d in (DRAWN, PHOTOGRAPHS) for v, n in zip(VOTES, NOISES, strict=True))),
    ("beyond ten no change of ASR was told from nothing.",
     lambda: all(p(VOTE, HUNDRED, d) > 0.05 for d in (DRAWN, PHOTOGRAPHS))),
    ("At no $\\sigma$ and no $N$ of the paper's grid does VOTE lower ASR by more than these targets can show.",
     lambda: len(on_card("smoothing")) == 8 and all(on_card_p("none", n) > 0.05 for n in on_card("smoothing"))),
    ("One noisy label at the largest $\\sigma$ halves ASR, at seven points of accuracy, and ten questions",
     lambda: (hits := {n: sum(card_rows().loc[n, "hits"]) for n in card_rows().index})[CARD_NOISE] * 2 == hits["none"]
     and 0.06 < card_rows().loc["none", "test_accuracy"] - card_rows().loc[CARD_NOISE, "test_accuracy"] < 0.08
     and hits["none"] - hits[f"{CARD_NOISE}, 10 queries a probe"] == 1),
    ("Corrected for the number of questions not even that is told apart.",
     lambda: 0.05 / len(card_results()["comparisons"]) < min(c["p_value"] for c in card_results()["comparisons"])),
    ("an attack that was stopped after so few passes that most walks had not ended.",
     lambda: all(arm["stopped"].get("iterations", 0) > 12 for arm in card_results()["arms"])),
)  # fmt: skip


def measured(name: str, what: str) -> dict:
    return next(arm for arm in results("inversion-mechanism")["arms"] if arm["name"] == name)[what]


def value(name: str, what: str) -> float:
    return measured(name, what)["value"]


def by_radius(name: str, radius: float, what: str = "passes") -> dict:
    return next(row for row in measured(name, "by_radius") if row["radius"] == radius)[what]


def step(a: str, b: str, radius: float) -> tuple[float, float, float]:
    """Spheres that pass at a less those that pass at b: mean over targets, and its rough 95 % interval."""
    pairs = [by_radius(name, radius)["by_target"] for name in (a, b)]
    known = [x - y for x, y in zip(*pairs, strict=True) if None not in (x, y)]
    half = 1.96 * np.std(known, ddof=1) / np.sqrt(len(known))
    return float(np.mean(known)), float(np.mean(known) - half), float(np.mean(known) + half)


MEASURED = ("outside", "answered_differently", "cosine_sphere", "passes")


def rank_with_asr(what: str) -> float:
    """Spearman's correlation of a measurement with ASR, over the five releases."""
    return float(pd.DataFrame([(asr(n), value(n, what)) for n in ("none", *SEEN)]).corr(method="spearman")[0][1])


def verdict(name: str) -> bool | None:
    return results("inversion-mechanism")["verdicts"][name]["survives"]


def over_largest(n: str) -> list[float]:
    """Median displacement of the attack's probes over the largest radius that n samples can print, at every sigma."""
    spheres = [next(s for s in at["spheres"] if s["radius"] == "attack")
               for at in results("inversion-mechanism")["displacement"]]  # fmt: skip
    return [sphere["over_largest"][n]["q50"] for sphere in spheres]


def within_any_radius() -> float:
    """The share of the attack's probes within the longest radius of 100,000 samples, at the sigma with the most."""
    spheres = [next(s for s in at["spheres"] if s["radius"] == "attack")
               for at in results("inversion-mechanism")["displacement"]]  # fmt: skip
    return 1 - min(sphere["beyond_largest"]["100000"]["value"] for sphere in spheres)


SEEN = (NOISE, VOTE, HUNDRED, FIXED)
SAID_OF_THE_MECHANISM = (
    ("No probe of the attack is within a radius that can be printed, not even with a hundred thousand samples and the",
     lambda: within_any_radius() == 0),
    ("the next figure shows that without a defence no label on it changes.",
     lambda: by_radius("none", 0.25, "outside")["value"] == 0),
    ("The few that change with one are the work of noise drawn anew, which changes the label of the centre as well.",
     lambda: by_radius(FIXED, 0.25, "outside")["value"] == 0 < by_radius(NOISE, 0.25, "outside")["value"] < 0.1
     and value(NOISE, "centre_rejected") > 0.5 * by_radius(NOISE, 0.25, "outside")["value"]),
    ("Without a defence 30 % of the probes are answered as outside, with VOTE(10) 42 % and with plain noise 48 %.",
     lambda: [round(100 * value(n, "outside")) for n in ("none", VOTE, NOISE)] == [30, 42, 48]),
    ("From no defence to VOTE(10) ASR falls by 23 points, 17 of them with fixed noise already; the 6 that randomness",
     lambda: [round(100 * part) for part in (fall(VOTE), fall(FIXED), fall(VOTE) - fall(FIXED))] == [23, 17, 6]
     and p(FIXED, VOTE) > 0.05),
    ("attack finds fewer people, here too.",
     lambda: max(p("none", NOISE), p("none", VOTE)) < 0.05),
    ("A certificate of 100 samples at $\\sigma = .18$ promises a radius of at most .31 in pixel space.",
     lambda: max_certifiable_radius(100, alpha=0.01, sigma=0.18) < 0.31),
    ("None of them orders the five as ASR does.", lambda: max(abs(rank_with_asr(w)) for w in MEASURED) < 1),
    ("**What is left is region and randomness**, and the rows at the bottom say how far each has been shown.",
     lambda: verdict("expansion rule broken by smoothing alone") and verdict("expansion rule broken by randomness")
     and not verdict("step rule broken by randomness")),
    ("is decided at VOTE(10), the smaller of the two votes of the paper; for $N = 1$ the tables above speak louder.",
     lambda: all(step(FIXED, NOISE, r)[0] > step(FIXED, VOTE, r)[0] for r in (0.25, 0.5, 1.0, 2.0, 3.38))
     and all(row["a"] == VOTE or row["b"] == VOTE for n, v in results("inversion-mechanism")["verdicts"].items()
             if n.endswith("by randomness") for row in v["rows"] if row["decides"])),
    ("In our runs VOTE(100) has the higher ASR of the two, by less than can be told from nothing.",
     lambda: asr(HUNDRED) > asr(VOTE) and p(VOTE, HUNDRED) > 0.05),
    ("The votes are compared where their accuracy still holds. Where it does not, as with a single noisy label,",
     lambda: max(lost(VOTE), lost(HUNDRED)) < 0.02 < 0.05 < lost(NOISE)),
    ("another decision region, which is there for good, and random answers, which whoever can ask again buys back.",
     lambda: max(p("none", FIXED), p(FIXED, NOISE), p(TENFOLD, NOISE)) < 0.05),
    ("Read which way they lie.",
     lambda: all(by_radius(n, r, "outside")["value"] >= by_radius("none", r, "outside")["value"]
                 for n in SEEN for r in (0.25, 0.5, 1.0, 2.0))),
    ("The direction was mostly noise before anybody defended anything.",
     lambda: value("none", "cosine_sphere") < 0.25),
    ("With a defence it is still better than a guess, whose cosine is 0 on average, and the differences between the",
     lambda: all(measured(n, "cosine_sphere")["low"] > 0 for n in SEEN)
     and max(abs(value(n, "cosine_sphere") - value("none", "cosine_sphere")) for n in SEEN) < 0.05),
    ("noise changes labels that a flat wall at the same distance would have left alone.",
     lambda: all(value(n, "outside") > value("none", "outside") + 0.1 for n in SEEN)),
    ("On the smallest spheres the region changes nothing; what changes there, for $N = 1$, is randomness alone.",
     lambda: all(step("none", FIXED, r)[0] == 0 for r in (0.25, 0.5)) and step(FIXED, NOISE, 0.25)[1] > 0),
    ("The region counts at radius 2, that of the attack's first sphere; at the largest its interval holds zero again.",
     lambda: step("none", FIXED, 2.0)[1] > 0 > step("none", FIXED, 3.38)[1]),
    ("**The radius explanation fails**, in each of its parts.",
     lambda: not any(verdict(n) for n in ("probes within the certified radius", "direction destroyed",
                                          "probes within the largest printable radius", "boundary hidden"))),
    ("beyond it by the factors printed above, which at a hundred samples are more than ten.",
     lambda: min(over_largest("100")) > 10 and min(over_largest("100000")) > 3),
    ("Behind the defence the attacker sees not fewer labels change, but more.",
     lambda: all(value(n, "outside") > value("none", "outside") for n in SEEN)),
    ("is still there, about as faint as it was; the little that is lost, fixed noise loses too.",
     lambda: value("none", "cosine_sphere") > max(kept := [value(n, "cosine_sphere") for n in (VOTE, FIXED)])
     and min(kept) > 0.8 * value("none", "cosine_sphere")),
    ("At a third of it three names in four are wrong.",
     lambda: 0.7 < 1 - rows("frontier", part="points").loc["smoothing, sigma 0.35, N = 10", "test_accuracy"] < 0.8),
    ("And ten verdicts at 95 % are not corrected for being ten.",
     lambda: len(results("inversion-mechanism")["verdicts"]) == 10),
)  # fmt: skip


test_a_sentence_stands_and_the_stored_runs_support_it = supported(
    {
        DEFENDED: SAID_OF_DEFENCES,
        MECHANISM: SAID_OF_THE_MECHANISM,
    }
)


def test_a_sentence_that_was_edited_or_is_false_is_found_with_its_place_and_its_numbers() -> None:
    with pytest.raises(AssertionError, match=r"book/faces/defended.md:\d+ no longer says(.|\n)*corner is empty"):
        Sentence(DEFENDED, "The lower right corner is full.", lambda: True).check()
    false = Sentence(DEFENDED, "The lower right corner is empty.", lambda: lost(VOTE) > 0 and all(
        accuracy(n) < 0.5 for n in (VOTE, FIXED) if asr(n) > 0.1
    ))  # fmt: skip
    with pytest.raises(AssertionError) as told:
        false.check()
    said = str(told.value).splitlines()
    assert said[0].startswith("book/faces/defended.md:")
    assert said[1].strip().startswith("The lower right corner")
    assert said[2].split()[0] == "true"
    assert said[4].split()[0] == "FALSE"
    assert said[5].strip() == f"{accuracy(VOTE):.4g} < 0.5; {accuracy(FIXED):.4g} < 0.5"
