"""Speed of PREDICT against two peers, as ratios measured in one run: `python benchmarks/smoothing.py`.

The same job for everybody: PREDICT(1000, .01) at sigma = 1 on the same test rows of the insurance task.

- *loop*: one input at a time, as the reference implementation of Cohen et al. does it: repeat the input, add noise,
  run the net, count the labels in Python, test with SciPy.
- *ART*: PyTorchRandomizedSmoothing.predict of the adversarial-robustness-toolbox, with the same batch size.
- *ours*: `Smoothing.predict`, with independent noise for every vote, and with common random numbers. The latter is
  for evaluation only: its votes are correlated between inputs, so it is a different (and cheaper) job.

Rounds are interleaved, so that a busy machine is busy for everybody; each ratio is printed with its spread over the
rounds. Two nets: the paper's, whose l1 penalty leaves one feature (one normal a vote), and the same without the
penalty (64 normals a vote). `--smoke` is what the tests run: it checks that all four do the same job, not how fast.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from collections.abc import Callable

import numpy as np
import torch
from rounds import measure, ratio_line
from scipy.stats import binomtest
from torch import Tensor, nn

from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.tables import threshold as insurance
from rp_tutorial.oracles.smoothing import Smoothing

SIGMA, N, ALPHA = 1.0, 1000, 0.01


def loop(net: nn.Module, x: Tensor) -> np.ndarray:
    """One input at a time, in the way of the reference implementation."""
    labels = []
    with torch.no_grad():
        for row in x:
            batch = row.repeat((N, 1))
            predictions = net(batch + torch.randn_like(batch) * SIGMA).argmax(1)
            counts = np.zeros(2, dtype=int)
            for label in predictions.numpy():
                counts[label] += 1
            top, runner_up = counts.argsort()[::-1]
            p = binomtest(int(counts[top]), int(counts[top] + counts[runner_up]), 0.5).pvalue
            labels.append(top if p <= ALPHA else ABSTAIN)
    return np.array(labels)


def art_smoothing(net: nn.Module, x: Tensor) -> Callable[[], np.ndarray]:
    """The toolbox's PREDICT; it answers one-hot, and all zeros where it abstains."""
    from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing

    peer = PyTorchRandomizedSmoothing(
        model=net, loss=nn.CrossEntropyLoss(), input_shape=(x.shape[1],), nb_classes=2,
        device_type="cpu", sample_size=N, scale=SIGMA, alpha=ALPHA,
    )  # fmt: skip
    rows = x.numpy()

    def predict() -> np.ndarray:
        one_hot = peer.predict(rows, batch_size=N)
        return np.where(one_hot.any(axis=1), one_hot.argmax(axis=1), ABSTAIN)

    return predict


def contestants(net: nn.Module, x: Tensor) -> dict[str, Callable[[], np.ndarray]]:
    """Who runs, by name; each returns the released labels."""
    independent = Smoothing(net, num_classes=2, sigma=SIGMA, seed=0)
    common = Smoothing(net, num_classes=2, sigma=SIGMA, seed=0, noise="common")
    return {
        "loop": lambda: loop(net, x),
        "ART": art_smoothing(net, x),
        "ours": lambda: independent.predict(x, n=N, alpha=ALPHA).numpy(),
        "ours, common noise": lambda: common.predict(x, n=N, alpha=ALPHA).numpy(),
    }


def nets(rows: int) -> tuple[dict[str, nn.Module], Tensor]:
    """The paper's net, the same without its penalty, and test rows."""
    found = {}
    for name, l1 in (("one feature (l1, as the paper)", 3.0), ("all features (no l1)", 0.0)):
        settings = dataclasses.replace(insurance.PROFILES["smoke"], rows=rows, l1=l1)
        lab = insurance.ThresholdLab(settings, data="synthetic", seed=0, stages=Stages("insurance-threshold"))
        found[name] = lab.net
    return found, lab.task.x_test


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="few inputs, one round: does everybody do the same job?")
    options = parser.parse_args()
    inputs, rounds = (60, 1) if options.smoke else (options.inputs, options.rounds)
    found, x_test = nets(rows=8000)
    print(f"PREDICT({N}, {ALPHA}), sigma {SIGMA}, {inputs} inputs of {x_test.shape[1]} features, {rounds} rounds, "
          f"{torch.get_num_threads()} threads")  # fmt: skip
    for title, net in found.items():
        entries = contestants(net, x_test[:inputs])
        answers = {name: run() for name, run in entries.items()}
        seconds = measure(entries, rounds)
        print(title)
        for name in entries:
            per_input = 1e6 * statistics.median(seconds[name]) / inputs
            released = ", ".join(f"{label}: {int((answers[name] == label).sum())}" for label in (ABSTAIN, 0, 1))
            print(f"  {name}: {per_input:.0f} microseconds an input; released {{{released}}}")
        for ours in ("ours", "ours, common noise"):
            print(*(ratio_line(peer, ours, seconds) for peer in ("loop", "ART")), sep="\n")


if __name__ == "__main__":
    main()
