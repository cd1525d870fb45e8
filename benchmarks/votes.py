"""Votes and certificates against the reference loop and the toolbox, and the share of the processor's own peak.

The same job for everybody, independent noise for every vote: CERTIFY and PREDICT on test rows of the insurance task,
VOTE on renderings of people who do not exist. Tables: the paper's net, whose l1 penalty leaves it one feature (one
normal a vote), and the same without the penalty (a normal for each of its 64 hidden units). Faces: SmallFaceNet,
trained for some seconds on noisy images; FaceNet64 with random weights, which run as fast as any others, and a last
bias that makes one class win every vote. Ours runs the folded net, as every experiment here does; *as it is* means
unfolded, *curtailed* that an image is finished once its leader cannot be overtaken, *bfloat16* that another net is
smoothed, the one whose products are rounded.

The peak is what independent products of two matrices of 1024x1024 reach, one at a time on every core and as the votes
do, measured in the same rounds; the operations of a net are those of its unfolded form, counted by torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.peers import Loop, Toolbox, batched
from benchmarks.rounds import by_both_clocks, compared, each, fastest, measure
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.core.threads import one_thread, side_by_side
from rp_tutorial.data.faces.files import MINIMUM_PUBLIC
from rp_tutorial.data.faces.sources import load_faces
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.tables import threshold as insurance
from rp_tutorial.models.facenet import FaceNet64
from rp_tutorial.models.fold import folded
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.oracles.smoothing import Smoothing
from rp_tutorial.training.classify import fit_classifier

ROWS, SMOKE_ROWS = 8000, 1000  # of the table
N0, N, PREDICT_ALPHA, ALPHA = 100, 1000, 0.01, 0.001
PEOPLE, SIDE, PRODUCTS = 20, 1024, 16
VARIANTS = ("ours, curtailed", "ours, bfloat16")  # compared with ours, where the others are peers
Job = Callable[[], np.ndarray]  # labels [B]
Rows = list[dict[str, Any]]


@lru_cache
def table_nets(rows: int) -> tuple[dict[str, nn.Module], Tensor]:
    """The paper's net, the same without its penalty, and test rows."""
    found = {}
    for name, l1 in (("table, one feature read", 3.0), ("table, all features read", 0.0)):
        settings = dataclasses.replace(insurance.PROFILES["smoke"], rows=rows, l1=l1)
        lab = insurance.ThresholdLab(settings, data="synthetic", seed=0, stages=Stages("insurance-threshold"))
        found[name] = lab.net
    return found, lab.task.x_test


def table_jobs(net: nn.Module, x: Tensor) -> dict[str, dict[str, Job]]:
    """By job, who does it."""
    how = {"num_classes": 2, "sigma": 1.0}
    loop, ours = Loop(net, **how), Smoothing(net, **how, seed=0)
    tested = Toolbox(net, x, **how, samples=N, alpha=PREDICT_ALPHA)
    bounded = Toolbox(net, x, **how, samples=N0, alpha=ALPHA)
    return {
        f"CERTIFY({N0}, {N})": {
            "loop": lambda: loop.certify(x, N0, N, ALPHA),
            "toolbox": lambda: bounded.certify(N),
            "ours": lambda: ours.certify(x, n0=N0, n=N, alpha=ALPHA).label,
        },
        f"PREDICT({N})": {
            "loop": lambda: loop.predict(x, N, PREDICT_ALPHA),
            "toolbox": tested.predict,
            "ours": lambda: ours.predict(x, n=N, alpha=PREDICT_ALPHA).numpy(),
        },
    }


@lru_cache
def face_net(name: str) -> tuple[nn.Module, Tensor]:
    """A net in eval mode, and float images that it has not seen."""
    size = 64 if name == "FaceNet64" else 32
    counts = {"train_images": 30, "test_images": 15, "public_images": MINIMUM_PUBLIC}
    task = load_faces("synthetic", size=size, identities=PEOPLE, **counts)
    if name == "FaceNet64":
        net: nn.Module = FaceNet64(PEOPLE).eval()
        nn.init.constant_(net.fc_layer.bias[7:8], 1e3)
    else:
        with one_thread():
            small = SmallFaceNet(PEOPLE, size=size)
            net = fit_classifier(small, task.x_train, task.y_train, epochs=8, noise_sigma=0.1)
    return net.requires_grad_(False), to_float(task.x_test)


def face_jobs(net: nn.Module, x: Tensor, n: int) -> dict[str, Job]:
    """VOTE(n) by everybody."""
    how, fast = {"num_classes": PEOPLE, "sigma": 0.1}, folded(net)
    loop, toolbox = Loop(net, **how), Toolbox(net, x, **how, samples=n, alpha=PREDICT_ALPHA)
    ours, unfolded = Smoothing(fast, **how, seed=0), Smoothing(net, **how, seed=0)
    rounded = Smoothing(fast, **how, seed=0, autocast=torch.bfloat16)
    return {
        "loop": lambda: loop.vote(x, n),
        "toolbox": lambda: toolbox.predict(abstains=False),
        "batched": lambda: batched(fast, x, n, 0.1),
        "ours, as it is": lambda: unfolded.vote(x, n=n).numpy(),
        "ours": lambda: ours.vote(x, n=n).numpy(),
        "ours, curtailed": lambda: ours.vote(x, n=n, curtailed=True).numpy(),
        "ours, bfloat16": lambda: rounded.vote(x, n=n).numpy(),
    }


def rows_of(case: str, job: str, jobs: dict[str, Job], *, units: int, rounds: int) -> Rows:
    """Everybody against ours, with what each says where ours says something."""
    said, seconds = {name: run() for name, run in jobs.items()}, measure(jobs, rounds, warm=False)
    spent, rows = each(seconds, units), []
    for name in jobs:
        if name != "ours":
            peer, mine = ("ours", name) if name in VARIANTS else (name, "ours")
            about = {"case": case, "job": job, "agreement": float((said[name] == said["ours"]).mean())}
            rows.append(compared(seconds, peer, mine, **about, microseconds=spent[mine], peer_microseconds=spent[peer]))
    return rows


def product() -> Callable[[], object]:
    """PRODUCTS products of two matrices on every core side by side, as the votes run."""
    left, right = torch.randn(2, SIDE, SIDE, generator=torch_generator(Purpose.BENCHMARK_INPUTS)).unbind()
    return lambda: side_by_side(lambda _: (left @ right).sum(), range(PRODUCTS), device=left.device)


def share_of_peak(case: str, net: nn.Module, x: Tensor, n: int, rounds: int) -> dict[str, Any]:
    """Operations a second of the folded net's votes over those of the matrix product, round by round.

    Operations a second of the processor are those of one core.
    """
    with FlopCounterMode(display=False) as counter:
        net(x[:1])
    smoothing = Smoothing(folded(net), num_classes=PEOPLE, sigma=0.1, seed=0)
    seconds = measure({"votes": lambda: smoothing.counts(x, n), "product": product()}, rounds)
    done, product_done = counter.get_total_flops() * len(x) * n, 2 * SIDE**3 * PRODUCTS
    votes_speed = [tuple(done / clock for clock in taken) for taken in seconds["votes"]]
    peak = [tuple(product_done / clock for clock in taken) for taken in seconds["product"]]
    return {
        "case": case,
        "gflop": counter.get_total_flops() / 1e9,
        "gflop_per_second": done / fastest(seconds["votes"]) / 1e9,
        "peak_gflop_per_second": product_done / fastest(seconds["product"]) / 1e9,
        **by_both_clocks(votes_speed, peak, "share"),
    }


def measured(*, smoke: bool) -> dict[str, Rows]:
    """Rows of ratios (`votes`), and shares of the peak (`peaks`)."""
    rounds, inputs = (1, 20) if smoke else (5, 100)
    nets, x_test = table_nets(SMOKE_ROWS if smoke else ROWS)
    rows: Rows = []
    for case, net in nets.items():
        for job, jobs in table_jobs(net, x_test[:inputs]).items():
            rows += rows_of(case, job, jobs, units=inputs, rounds=rounds)
    peaks = []
    sizes = (("SmallFaceNet", 24 if smoke else 100, 10), ("SmallFaceNet", 20, 100), ("FaceNet64", 4, 10))
    for name, images, n in sizes[:1] if smoke else sizes:
        net, x = face_net(name)
        x, rounds = x[:images], 1 if smoke else 3 if name == "FaceNet64" else 5
        rows += rows_of(name, f"VOTE({n})", face_jobs(net, x, n), units=images, rounds=rounds)
        if name == "FaceNet64" or n == 100 or smoke:
            peaks.append(share_of_peak(name, net, x, n, rounds))
    return {"votes": rows, "peaks": peaks}
