"""Speed of VOTE on face nets, as ratios measured in one run: `python benchmarks/faces.py`.

The same job for everybody: labels by VOTE(N) at sigma = .1 for the same renderings of people who do not exist.

- *loop*: one image at a time, as the paper's code does it: repeat it, add noise, run the net, count the labels.
- *batched*: the same net on the noisy copies of all images, 256 (at 64x64: 64) at a time, PyTorch's own threads.
- *batched, folded*: the same with the net folded and channels last (`models.fold.folded`).
- *ours, unfolded* and *ours*: `Smoothing.vote` on the net as it is, and folded.
- *ours, curtailed*: an image is finished once its leader cannot be overtaken. A label stands for N votes, whatever was
  taken; the share taken is printed, for it depends on how sure the net is.

Rounds are interleaved, so that a busy machine is busy for everybody; each ratio is printed with its spread over the
rounds. SmallFaceNet is trained for some seconds, on noisy images. FaceNet64 has random weights, which run as fast as
any others, and a last bias that makes one class win every vote: what curtailing saves there is the most it can save.
Memory is the largest growth of the resident set while the job runs, each in a process of its own.
On Linux, MALLOC_TRIM_THRESHOLD_=500000000 MALLOC_MMAP_THRESHOLD_=33554432 in the environment stops glibc from handing
every layer's memory back to the system; it is worth some 15 % to convolutions on a CPU. `--smoke` is what the tests
run: does everybody do the same job?
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import psutil
import torch
from rounds import measure, ratio_line
from torch import Tensor, nn

from rp_tutorial.core.streams import Purpose, global_stream, torch_generator
from rp_tutorial.core.threads import one_thread
from rp_tutorial.data.faces.files import MINIMUM_PUBLIC
from rp_tutorial.data.faces.sources import load_faces
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.facenet import FaceNet64
from rp_tutorial.models.fold import folded
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.oracles.smoothing import Smoothing
from rp_tutorial.oracles.votes import plurality
from rp_tutorial.training.classify import fit_classifier

SIGMA = 0.1
NAMES = ("loop", "batched", "batched, folded", "ours, unfolded", "ours", "ours, curtailed")
Job = Callable[[], Tensor]  # labels [B]


@dataclass(frozen=True)
class Case:
    """A net, how many images and how many votes."""

    net: str
    size: int
    inputs: int
    n: int


CASES = {
    False: (Case("SmallFaceNet", 32, 300, 10), Case("SmallFaceNet", 32, 60, 100), Case("FaceNet64", 64, 4, 10)),
    True: (Case("SmallFaceNet", 32, 24, 10), Case("FaceNet64", 64, 1, 2)),
}


def net_and_images(case: Case, *, people: int) -> tuple[nn.Module, Tensor]:
    """The net of a case, in eval mode, and float images that it has not seen."""
    counts = {"train_images": 30, "test_images": -(-case.inputs // people), "public_images": MINIMUM_PUBLIC}
    task = load_faces("synthetic", size=case.size, identities=people, **counts)
    x = to_float(task.x_test)[: case.inputs]
    if case.net == "FaceNet64":
        net = FaceNet64(people).eval()
        nn.init.constant_(net.fc_layer.bias[7:8], 1e3)
        return net, x
    net = SmallFaceNet(people, size=case.size)
    with one_thread():
        return fit_classifier(net, task.x_train, task.y_train, epochs=8, noise_sigma=SIGMA), x


@torch.inference_mode()
def loop(net: nn.Module, x: Tensor, n: int) -> Tensor:
    """One image at a time."""
    labels = []
    for image in x:
        noisy = image.repeat(n, 1, 1, 1)
        predictions = net(noisy + torch.randn_like(noisy) * SIGMA).argmax(1)
        labels.append(int(np.bincount(predictions.numpy()).argmax()))
    return torch.tensor(labels)


@torch.inference_mode()
def batched(net: nn.Module, x: Tensor, n: int) -> Tensor:
    """All noisy copies, some at a time."""
    votes, batch = [], 2**18 // x[0, 0].numel()
    for owner in torch.arange(len(x) * n).split(batch):
        noisy = x[owner // n]
        votes.append(net(noisy.add_(torch.randn_like(noisy), alpha=SIGMA)).argmax(1))
    return torch.cat(votes).view(len(x), n).mode(dim=1).values


def contestant(name: str, net: nn.Module, fast: nn.Module, x: Tensor, n: int) -> tuple[Job, Smoothing | None]:
    """The job under this name and, where it counts passes, who counts them. fast: the net, folded."""
    own = net if name in ("loop", "batched", "ours, unfolded") else fast
    if not name.startswith("ours"):
        run = loop if name == "loop" else batched
        return lambda: run(own, x, n), None
    smoothing = Smoothing(own, num_classes=net.num_classes, sigma=SIGMA, unit="pixel")
    return lambda: smoothing.vote(x, n=n, curtailed="curtailed" in name), smoothing


def memory_growth(case: Case, name: str) -> float:
    """MiB that the resident set grows by while the job of one contestant runs, in this process. Random weights."""
    net = FaceNet64(20) if case.net == "FaceNet64" else SmallFaceNet(20, size=case.size)
    x = torch.rand(case.inputs, 3, case.size, case.size, generator=torch_generator(Purpose.BENCHMARK_INPUTS))
    job, _ = contestant(name, net.eval(), folded(net.eval()), x, case.n)
    process, done = psutil.Process(), threading.Event()
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    job()
    done.set()
    watcher.join()
    return (peak - before) / 2**20


def growth_elsewhere(case_number: int, name: str, *, smoke: bool) -> float:
    """`memory_growth` in a new process."""
    command = [sys.executable, __file__, "--memory-of", str(case_number), name, *(["--smoke"] if smoke else [])]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def report(case: Case, case_number: int, *, rounds: int, smoke: bool) -> None:
    """Runs one case and prints it."""
    net, x = net_and_images(case, people=20)
    fast = folded(net)
    found = {name: contestant(name, net, fast, x, case.n) for name in NAMES}
    labels = {name: job() for name, (job, _) in found.items()}
    taken = {name: 1.0 if of is None else of.forward_passes / (len(x) * case.n) for name, (_, of) in found.items()}
    majority = plurality(sum(nn.functional.one_hot(row, net.num_classes) for row in labels.values()))
    seconds = measure({name: job for name, (job, _) in found.items()}, rounds)
    print(f"{case.net}, {case.size}x{case.size}, VOTE({case.n}), {len(x)} images")
    for name in NAMES:
        each = statistics.median(seconds[name]) / (len(x) * case.n)
        line = f"  {name}: {1 / each:.0f} noisy images/s; agrees {int((labels[name] == majority).sum())} of {len(x)}"
        line += f"; votes taken {100 * taken[name]:.0f} %"
        if not smoke or (name == "ours" and case_number == 0):
            line += f"; memory +{growth_elsewhere(case_number, name, smoke=smoke):.0f} MiB"
        print(line, flush=True)
    for peer, ours in (("loop", "ours"), ("batched", "ours, unfolded"), ("batched", "ours"),
                       ("batched, folded", "ours"), ("ours, unfolded", "ours"), ("ours", "ours, curtailed"),
                       ("loop", "ours, curtailed")):  # fmt: skip
        print(ratio_line(peer, ours, seconds, digits=2))


@global_stream(Purpose.BENCHMARK_NOISE)
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="few images, one round: does everybody do the same job?")
    parser.add_argument("--memory-of", nargs=2, metavar=("CASE", "NAME"), help="print the growth of memory of one job")
    options = parser.parse_args()
    cases = CASES[options.smoke]
    if options.memory_of:
        print(memory_growth(cases[int(options.memory_of[0])], options.memory_of[1]))
        return
    print(f"VOTE(N) at sigma {SIGMA}, {torch.get_num_threads()} threads")
    for case_number, case in enumerate(cases):
        report(case, case_number, rounds=1 if options.smoke else options.rounds, smoke=options.smoke)


if __name__ == "__main__":
    main()
