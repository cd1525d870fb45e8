"""The questions of the plan (appendix/plan) as data: which two sides meet, and which answers are judged together.

A side is an arm of `inversion`, and in what its lab differs from that of the others. Every side of a run stands on the
same faces, targets, prior and directions. How sides are attacked and answers computed is in `experiment.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rp_tutorial.experiments.faces.inversion import CONTROL, Arm
from rp_tutorial.experiments.faces.private_nets import DP_SGD

PRIMARY, PATIENT, OTHER, ESTIMATE = "primary", "patient", "other", "estimate"
NONE = Arm("none")
SEEDS = range(10, 22)  # each with faces, prior, directions and nets of its own


@dataclass(frozen=True)
class Side:
    """An arm; `clean`: its net was trained without noise; `patient`: it meets the attack's published settings.

    at: another arm over the same net, to whose test accuracy the run sets this arm's sigma or epsilon. targets: how
    many people are attacked, the first of the seed's own order; None for all of the run.
    """

    arm: Arm
    clean: bool = False
    patient: bool = False
    at: Arm | None = None
    targets: int | None = None

    @property
    def name(self) -> str:
        """Unique among the sides of a run, and what a reader sees."""
        parts = [self.arm.name]
        if self.at is not None:
            _, *fixed = self.arm.kind.told(self.arm)  # the first of them is what is set
            parts = [self.arm.defense, *fixed, f"at the accuracy of {self.at.name}"]
        parts += ["net trained without noise"] if self.clean else []
        return ", ".join(parts + (["patient attack"] if self.patient else []))


@dataclass(frozen=True)
class Question:
    """Is the ASR of b below that of a?

    family: questions of one are corrected together; an ESTIMATE has an interval and no test.
    """

    number: str
    asks: str
    a: Side
    b: Side
    family: str = PRIMARY

    @property
    def told(self) -> dict[str, Any]:
        """As results hold it: the sides by their names."""
        own = {"question": self.number, "asks": self.asks, "family": self.family}
        return own | {"a": self.a.name, "b": self.b.name}


@dataclass(frozen=True)
class Scale:
    """The settings of the arms: one sigma, in pixel range, at which a vote of ten costs little, and others around it.

    cheap: the sigma of Q1, at which it costs next to nothing. larger: those of Q7, trained_larger with a net trained
    under it. published: the paper's, the first of them for Q5. epsilon: of DP-SGD. hundred: targets of the vote of a
    hundred; few: of whatever is not asked in a primary question.
    """

    control: float = CONTROL
    cheap: float = 0.17
    larger: tuple[float, ...] = (0.2, 0.25, 0.35)
    trained_larger: float = 0.25
    published: tuple[float, ...] = (0.05, 0.03, 0.1)
    epsilon: float = 8.0
    hundred: int = 50
    few: int = 20


def questions(scale: Scale) -> tuple[Question, ...]:
    """All questions of the plan, in its order."""
    s, few = scale.control, {"targets": scale.few}
    vote, fixed, one = Arm("smoothing", s, 10), Arm("fixed noise", s, 10), Arm("plain noise", s)
    trained, private = Arm("none", s, augmented=True), Arm(DP_SGD, epsilon=scale.epsilon)
    base, voted, clean = Side(NONE), Side(vote), Side(NONE, clean=True)
    both = Side(dataclasses.replace(vote, augmented=True))
    patient = {arm: Side(arm, patient=True, **few) for arm in (NONE, one, vote, trained)}
    first, *others = scale.published
    return (
        Question("Q1", "does the vote lower the ASR of the net as it is?", base,
                 Side(Arm("smoothing", scale.cheap, 10))),
        Question("Q2", "does fresh noise lower ASR beyond fixed noise?", Side(fixed), voted),
        Question("Q3", "does the vote lower the ASR of a net trained under its noise?", Side(trained), both),
        Question("Q4", "does a larger vote lower ASR?", voted, Side(Arm("smoothing", s, 100), targets=scale.hundred)),
        Question("Q5", "does the paper's noise lower the ASR of a net trained without noise?", clean,
                 Side(Arm("smoothing", first, 10), clean=True)),
        Question("Q6a", "is the ASR of the vote below that of randomized response of the same accuracy?",
                 Side(Arm("randomized response", epsilon=1.0), at=vote), voted),
        Question("Q6b", "is it below that of plain noise of the same accuracy?",
                 Side(Arm("plain noise"), at=vote), voted),
        Question("Q6c", "is it below that of an abstaining vote of the same accuracy?",
                 Side(Arm("abstaining", n=10), at=vote), voted),
        Question("Q6d", "is it below that of DP-SGD, at the accuracy of DP-SGD?", Side(private),
                 Side(Arm("smoothing", n=10), at=private)),
        *(
            Question("Q7", f"how much ASR does the vote at sigma {sigma:g} take?", base,
                     Side(Arm("smoothing", sigma, 10), **few), ESTIMATE)
            for sigma in scale.larger
        ),
        Question("Q7", f"how much at sigma {scale.trained_larger:g}, from a net trained under it?", base,
                 Side(Arm("smoothing", scale.trained_larger, 10, augmented=True), **few), ESTIMATE),
        Question("Q8", "does the vote lower the ASR of a patient attack?", patient[NONE], patient[vote], PATIENT),
        Question("Q8", "does one noisy label lower it?", patient[NONE], patient[one], PATIENT),
        Question("Q8", "does training under noise lower it?", patient[NONE], patient[trained], PATIENT),
        Question("Q8", "does the vote hold it better than one noisy label?", patient[one], patient[vote], PATIENT),
        Question("other", "does fixed noise lower ASR?", base, Side(fixed), OTHER),
        Question("other", "does one noisy label lower ASR?", base, Side(one), OTHER),
        Question("other", "does training under noise lower ASR?", base, Side(trained), OTHER),
        Question("other", "do training under noise and the vote together lower ASR?", base, both, OTHER),
        Question("other", "does one noisy label lower ASR more than the vote?", voted, Side(one), OTHER),
        *(
            Question("other", f"does the paper's sigma {sigma:g} lower the ASR of a net trained without noise?", clean,
                     Side(Arm("smoothing", sigma, 10), clean=True, **few), OTHER)
            for sigma in others
        ),
    )  # fmt: skip


def sides_of(asked: Iterable[Question]) -> list[Side]:
    """Each side once, in the order in which it is first needed."""
    return list(dict.fromkeys(side for question in asked for side in (question.a, question.b)))
