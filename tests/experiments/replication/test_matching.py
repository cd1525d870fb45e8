"""Equal accuracy: the setting that is found is the one that a law known in advance says."""

from typing import Any

import pytest

from rp_tutorial.experiments.faces.inversion import Arm
from rp_tutorial.experiments.replication.matching import SIGMAS, matched
from rp_tutorial.theory.response import accuracy

CLASSES, IMAGES = 80, 1600


class KnownLab:
    """Releases whose accuracy is a law: 1 - sigma of plain noise, 1 - sigma / 2 of a vote."""

    num_classes = CLASSES

    def released(self, arm: Arm) -> dict[str, Any]:
        return {"test_accuracy": 1 - arm.sigma / (1 if arm.n == 1 else 2), "test_images": IMAGES}

    def arm(self, arm: Arm) -> dict[str, Any]:
        return self.released(arm)

    def stage(self, name: str, compute: Any, **how: Any) -> Any:
        return compute()


@pytest.mark.parametrize("sigma", [0.01, 0.18, 0.3, 0.9])
def test_plain_noise_has_half_the_sigma_of_a_vote_that_is_hurt_half_as_much(sigma: float) -> None:
    vote = Arm("smoothing", sigma, 10)
    found = matched(KnownLab(), Arm("plain noise"), vote)
    assert (found.defense, found.n) == ("plain noise", 1)
    assert found.sigma == max(s for s in SIGMAS if 1 - s >= 1 - sigma / 2)


def test_a_sigma_below_all_that_are_tried_is_the_smallest() -> None:
    assert matched(KnownLab(), Arm("plain noise"), Arm("none")).sigma == SIGMAS[0]


def test_randomized_response_is_as_accurate_as_the_vote_or_a_test_image_short_of_the_net() -> None:
    response = Arm("randomized response", epsilon=1.0)
    for vote, wanted in ((Arm("smoothing", 0.4, 10), 0.8), (Arm("smoothing", 0.0, 10), 1 - 1 / IMAGES)):
        found = matched(KnownLab(), response, vote)
        assert accuracy(found.epsilon, 1.0, CLASSES) == pytest.approx(wanted, rel=1e-9)
