"""The questions of the plan (appendix/plan) as data: which two sides meet, and which answers are judged together.

A side is an arm of `inversion`, and in what its lab differs from that of the others. Every side of a run stands on the
same faces, targets, prior and directions. How sides are attacked and answers computed is in `experiment.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rp_tutorial.experiments.faces.inversion import Arm
from rp_tutorial.experiments.faces.private_nets import DP_SGD

ASKED = ("Q1", "Q2", "Q3", "Q4", "Q5", "Q6", "Q7", "Q8")
NONE = Arm("none")


@dataclass(frozen=True)
class Side:
    """An arm; `clean`: its net was trained without noise; `patient`: it meets the attack's published settings.

    at: another arm over the same net, to whose test accuracy the run sets this arm's sigma or epsilon.
    """

    arm: Arm
    clean: bool = False
    patient: bool = False
    at: Arm | None = None

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

    primary: one of the family that is corrected as a whole; the others stand beside it, each for itself.
    """

    number: str
    asks: str
    a: Side
    b: Side
    primary: bool = False

    @property
    def told(self) -> dict[str, Any]:
        """As results hold it: the sides by their names."""
        own = {"question": self.number, "asks": self.asks, "primary": self.primary}
        return own | {"a": self.a.name, "b": self.b.name}


def questions(
    control: float, *, larger: Iterable[float], published: Iterable[float], epsilon: float
) -> tuple[Question, ...]:
    """All questions. control: the sigma at which a vote of ten costs next to no accuracy; larger: those above it;
    published: the paper's own; epsilon: of the DP-SGD rival."""
    vote, one, hundred = Arm("smoothing", control, 10), Arm("plain noise", control), Arm("smoothing", control, 100)
    fixed, private = Arm("fixed noise", control, 10), Arm(DP_SGD, epsilon=epsilon)
    trained, both = Arm("none", control, augmented=True), Arm("smoothing", control, 10, augmented=True)
    base, released, unnoised = Side(NONE), Side(vote), Side(NONE, clean=True)
    patient = {arm: Side(arm, patient=True) for arm in (NONE, one, vote, fixed)}
    clean = {sigma: Side(Arm("smoothing", sigma, 10), clean=True) for sigma in published}
    return (
        Question("Q1", "does the vote over the net as it is lower ASR?", base, released, primary=True),
        Question("Q2", "does fresh noise lower ASR beyond fixed noise?", Side(fixed), released, primary=True),
        Question("Q2", "does fixed noise lower ASR?", base, Side(fixed)),
        Question("Q3", "does training under noise lower ASR, without a vote?", unnoised, Side(trained), primary=True),
        Question("Q3", "does the vote lower the ASR of a net trained under its noise?", Side(trained), Side(both)),
        Question("Q4", "does one noisy label lower ASR more than a vote of ten?", released, Side(one), primary=True),
        Question("Q4", "does a vote of ten lower ASR more than one of a hundred?", Side(hundred), released),
        *(
            Question("Q5", f"does the vote at the paper's sigma {sigma:g} lower the ASR of a net trained without "
                     "noise?", unnoised, side, primary=sigma == max(clean))
            for sigma, side in clean.items()
        ),
        Question("Q6", "does the vote lower ASR more than randomized response of the same accuracy?",
                 Side(Arm("randomized response", epsilon=1.0), at=vote), released, primary=True),
        Question("Q6", "does the vote lower ASR more than plain noise of the same accuracy?",
                 Side(Arm("plain noise"), at=vote), released),
        Question("Q6", "does the vote lower ASR more than abstention of the same accuracy?",
                 Side(Arm("abstaining", n=10), at=vote), released),
        Question("Q6", "does the vote lower ASR more than DP-SGD of the same accuracy?",
                 Side(private), Side(Arm("smoothing", n=10), at=private)),
        *(
            Question("Q7", f"does the vote at sigma {sigma:g} lower ASR?", base, Side(Arm("smoothing", sigma, 10)))
            for sigma in larger
        ),
        Question("Q8", "does the vote lower the ASR of a patient attack?", patient[NONE], patient[vote]),
        Question("Q8", "does one noisy label lower the ASR of a patient attack?", patient[NONE], patient[one]),
        Question("Q8", "does fresh noise lower the ASR of a patient attack beyond fixed noise?",
                 patient[fixed], patient[vote]),
        Question("Q8", "does a vote of ten hold a patient attack better than one noisy label?",
                 patient[one], patient[vote]),
    )  # fmt: skip


def sides_of(asked: Iterable[Question]) -> list[Side]:
    """Each side once, in the order in which it is first needed."""
    return list(dict.fromkeys(side for question in asked for side in (question.a, question.b)))
