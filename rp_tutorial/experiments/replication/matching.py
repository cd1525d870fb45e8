"""Rivals at equal accuracy: the setting at which one release gives as many right labels as another over the same net.

Accuracy decides the setting, on test images; ASR has no say in it.
"""

import dataclasses
from bisect import bisect_left

from rp_tutorial.experiments.faces.inversion import Arm, InversionLab
from rp_tutorial.theory.response import epsilon_for_accuracy

SIGMAS = [k / 200 for k in range(1, 201)]  # that are tried, in pixel range


def matched(lab: InversionLab, arm: Arm, at: Arm) -> Arm:
    """`arm` with the sigma, or the epsilon of randomized response, that costs the accuracy of `at`, which was attacked.

    sigma: the largest of SIGMAS that is at least as accurate. Where `at` costs nothing, randomized response has the
    epsilon that costs one test image, as it has none that costs nothing.
    """
    wanted = lab.arm(at)["test_accuracy"]
    if arm.epsilon is None:
        found = lab.stage(f"sigma of {arm.defense} {arm.n}", lambda: _sigma(lab, arm, wanted), without=("arms",),
                          uses=(arm, at))  # fmt: skip
        return dataclasses.replace(arm, sigma=found)
    base = lab.arm(Arm("none"))
    most = base["test_accuracy"] - 1 / base["test_images"]
    epsilon = epsilon_for_accuracy(min(wanted, most), base["test_accuracy"], lab.num_classes)
    return dataclasses.replace(arm, epsilon=epsilon)


def _sigma(lab: InversionLab, arm: Arm, wanted: float) -> float:
    def falls_short(sigma: float) -> bool:
        return lab.released(dataclasses.replace(arm, sigma=sigma))["test_accuracy"] < wanted

    return SIGMAS[max(0, bisect_left(SIGMAS, True, key=falls_short) - 1)]
