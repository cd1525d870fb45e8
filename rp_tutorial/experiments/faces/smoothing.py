"""Experiment `face-smoothing`: what randomized smoothing costs a face classifier, and what radius it buys.

No attack runs here. On the target that the inversion attacks, and on nets trained under other noise: accuracy of
VOTE(N) and PREDICT(N, alpha) on test images beside the paper's accuracy (one hand-picked image an identity), certified
and deployable radii, and images a second. All radii are L2 distances between images with pixels in [0, 1]. The nets
come from `lab`, the attack is in `inversion`.
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.core.streams import Purpose, child_seed, torch_generator
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.experiments.engine.experiment import Experiment, register
from rp_tutorial.experiments.faces import inversion
from rp_tutorial.experiments.faces.lab import FACES, UNIT, FaceLab, FaceLabSettings
from rp_tutorial.models.facenet import FaceNet64
from rp_tutorial.models.fold import folded
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.smoothing import Smoothing, VoteOracle
from rp_tutorial.oracles.votes import plurality, significant_plurality
from rp_tutorial.statistics.binomial import max_certifiable_radius
from rp_tutorial.statistics.paired import rate
from rp_tutorial.theory.calibrated_plurality import MOST_PAIRS
from rp_tutorial.theory.certificate import Certificate

try:
    import resource
except ImportError:  # Windows has no such module
    resource = None

SIGMAS = (0.01, *inversion.SIGMAS, 0.3)
# By which a deployable radius is promised, at the same target; the last one where the sizes are not too large for it.
BOUNDS = ("classical", "calibrated", "plurality", "calibrated-plurality")


@dataclasses.dataclass(frozen=True)
class FaceSmoothingSettings(FaceLabSettings):
    """Settings of one run: the lab's, and what is measured in it. Noise scales are in units of a pixel's range."""

    sigmas: tuple[float, ...] = SIGMAS
    augmented_sigmas: tuple[float, ...] = ()  # further targets, each trained under the noise that it then meets
    votes: tuple[int, ...] = (1, 10, 100)
    accuracy_images: int = 1000
    alpha: float = 0.01  # of PREDICT and CERTIFY
    n0: int = 10
    certify_n: tuple[int, ...] = (10, 100, 1000)
    deployed: tuple[int, ...] = (1, 10, 100, 1000)  # votes of a release
    target_tv: float = 0.02  # of the deployable radius: certificate and VOTE(N) together
    certify_images: int = 40
    timed_images: int = 2048  # of the small net; the paper's large one gets `timed_large_images`
    timed_large_images: int = 8


def _profile(name: str, **ours: Any) -> FaceSmoothingSettings:
    """The lab of `inversion` at that profile, so that both share their nets; augmented at the same sigmas."""
    theirs = inversion.PROFILES[name]
    lab = {field.name: getattr(theirs, field.name) for field in dataclasses.fields(FaceLabSettings)}
    control = {arm.sigma for arm in theirs.arms if arm.defense == "fixed noise"}
    augmented = tuple(sorted(control & {arm.sigma for arm in theirs.arms if arm.augmented}))
    return FaceSmoothingSettings(**lab, augmented_sigmas=augmented, **ours)


PROFILES = {
    "smoke": _profile(
        "smoke", sigmas=(0.03, inversion.CONTROL), accuracy_images=96, certify_n=(10, 100), deployed=(1, 10),
        certify_images=12, timed_images=256, timed_large_images=2,
    ),
    "cpu": _profile("cpu", accuracy_images=500),
    "gpu": _profile("gpu", sigmas=inversion.PAPER_SIGMAS, certify_images=100, timed_images=20_000,
                    timed_large_images=2048),
    "paper": _profile(
        "paper", accuracy_images=5000, certify_n=(100, 1000, 10_000), certify_images=200, timed_large_images=2048
    ),
}  # fmt: skip

NEEDS = {
    "smoke": "2 cores, 2 GiB, under half a minute",
    "cpu": "2 cores, 4 GiB, about three minutes beyond the training that it shares with inversion",
    "gpu": "a CUDA device of 16 GiB, a minute beyond the training that it shares with inversion (estimated)",
    "paper": "a CUDA device of 16 GiB (celeba:PATH; RP_TUTORIAL_CHECKPOINTS for the paper's nets)",
}


class SmoothingLab(FaceLab):
    """The lab of the faces, and what smoothing does to its target."""

    settings: FaceSmoothingSettings

    @cached_property
    def images(self) -> Tensor:
        """The test images, as nets take them."""
        return to_float(self.test_sample[0])

    @property
    def labels(self) -> Tensor:
        """Their labels."""
        return self.test_sample[1]

    def remembered(self, measure: Callable[..., Any], *at: float, uses: tuple[Any, ...] = ()) -> Any:
        """A measure of this lab at (noise in training, sigma), as far as it takes them, computed or remembered."""
        about = (f"-{what}{value:g}" for what, value in zip(("trained", "sigma"), at, strict=False))
        name = "".join([measure.__name__, *about])
        return self.stage(name, lambda: measure(*at), without=("sigmas", "augmented_sigmas"), uses=uses)

    def smoothing(self, trained: float, sigma: float, purpose: Purpose) -> Smoothing:
        """Noise of its own for every purpose and sigma; two nets at the same sigma meet the same noise."""
        seed = child_seed(purpose, self.seed, round(sigma * 10**6))
        net, device = self.target(noise_sigma=trained), self.settings.device
        how = {"seed": seed, "unit": UNIT, "device": device, "autocast": self.autocast}
        return Smoothing(net, num_classes=self.num_classes, sigma=sigma, **how)

    def base(self, trained: float) -> dict[str, Any]:
        """The net's own label, without smoothing."""
        net = self.target(noise_sigma=trained)
        oracle = PlainOracle(net, num_classes=self.num_classes, device=self.settings.device, autocast=self.autocast)
        picked, labels = self.cherry_picked
        return {
            "trained_under": trained,
            **rate((oracle(self.images) == self.labels).numpy()).told("test_accuracy"),
            "paper_accuracy": float((oracle(picked) == labels).double().mean()),
            "test_images": len(self.labels),
        }

    def votes(self, trained: float, sigma: float) -> list[dict[str, Any]]:
        """Accuracies of VOTE and PREDICT, one row for every N."""
        s, rows = self.settings, []
        picked, picked_labels = self.cherry_picked
        images = torch.cat([self.images, picked])
        for n, counts in _growing_counts(self.smoothing(trained, sigma, Purpose.VOTES), images, s.votes):
            voted, predicted = plurality(counts), significant_plurality(counts, alpha=s.alpha)
            tests = len(self.labels)
            hits, answers = voted[:tests] == self.labels, predicted[:tests]
            rows.append({
                "trained_under": trained,
                "sigma": sigma,
                "n": n,
                "test_images": tests,
                **rate(hits.numpy()).told("test_accuracy"),
                "paper_accuracy": float((voted[tests:] == picked_labels).double().mean()),
                **rate((answers == self.labels).numpy()).told("predict_accuracy"),
                "abstention": float((answers == ABSTAIN).double().mean()),
                "predict_error": float(((answers != ABSTAIN) & (answers != self.labels)).double().mean()),
                "alpha": s.alpha,
            })  # fmt: skip
        return rows

    def certificates(self, trained: float, sigma: float) -> list[dict[str, Any]]:
        """Radii, one row for every number of certifying samples."""
        s = self.settings
        smoothing = self.smoothing(trained, sigma, Purpose.CERTIFICATES)
        images, labels = self.images[: s.certify_images], self.labels[: s.certify_images].numpy()
        rows = []
        for n in s.certify_n:
            found = smoothing.certify(images, n0=s.n0, n=n, alpha=s.alpha)
            rows.append({
                "trained_under": trained,
                "sigma": sigma,
                "n0": s.n0,
                "n": n,
                "alpha": s.alpha,
                "images": len(images),
                "unit": found.unit,
                **rate(found.label != ABSTAIN).told("certified"),
                "certified_right": float((found.label == labels).mean()),
                "median_radius": float(np.median(found.radius)),
                "mean_radius": float(found.radius.mean()),
                "largest_radius": float(found.radius.max()),
                "largest_possible_radius": max_certifiable_radius(n, alpha=s.alpha, sigma=sigma),
                "deployable": [
                    self._deployable(found, n_vote, bound)
                    for n_vote in s.deployed
                    for bound in BOUNDS
                    if bound != "calibrated-plurality" or n * n_vote <= MOST_PAIRS
                ],
            })  # fmt: skip
        return rows

    def _deployable(self, found: Certificate, n_vote: int, bound: str) -> dict[str, Any]:
        """Radii of the vote that is really released, from the same certificate; 0 where that bound promises none."""
        target = self.settings.target_tv
        radius = found.deployable_radius(n_vote=n_vote, target_tv=target, bound=bound)
        return {
            "n_vote": n_vote,
            "bound": bound,
            "target_tv": target,
            "median_radius": float(np.median(radius)),
            "mean_radius": float(radius.mean()),
            "positive": float((radius > 0).mean()),
        }

    def throughput(self) -> list[dict[str, Any]]:
        """Images a second on the machine and device of this run."""
        s, classes = self.settings, self.num_classes
        small = SmallFaceNet(classes, size=s.size, seed=self.seed).eval().requires_grad_(False).to(s.device)
        vote = VoteOracle(self.smoothing(s.training_noise, s.sigmas[-1], Purpose.TIMED_VOTES), n=10)
        rows = [
            self._timed("SmallFaceNet", small, s.size, s.timed_images),
            self._timed("SmallFaceNet, folded", folded(small), s.size, s.timed_images),
            self._timed(f"VOTE(10) of {'SmallFaceNet' if s.nets == 'small' else 'FaceNet64'}, folded", vote, s.size,
                        max(1, s.timed_images // 10), passes=10),
        ]  # fmt: skip
        large = FaceNet64(1000).eval().requires_grad_(False).to(s.device)
        rows.append(self._timed("FaceNet64", large, 64, s.timed_large_images))
        rows.append(self._timed("FaceNet64, folded", folded(large), 64, s.timed_large_images))
        return rows

    def _timed(
        self, name: str, answer: Callable[[Tensor], Tensor], size: int, images: int, *, passes: int = 1
    ) -> dict[str, Any]:
        """The faster of two looks at the same images, after a first look that is not timed."""
        x = torch.rand(images, 3, size, size, generator=torch_generator(Purpose.TIMED_IMAGES, self.seed))
        x, seconds = x.to(self.settings.device), []
        before = peak_memory_mib(self.settings.device)
        with torch.inference_mode():
            answer(x[: max(1, images // 8)])
            for _ in range(2):
                self._wait()
                started = time.perf_counter()
                answer(x)
                self._wait()
                seconds.append(time.perf_counter() - started)
        after = peak_memory_mib(self.settings.device)
        return {
            "what": name,
            "size": size,
            "images": images,
            "forward_passes_an_image": passes,
            "seconds": min(seconds),
            "images_per_second": images / min(seconds),
            "peak_memory_growth_mib": None if after is None else round(after - before, 1),
            "device": self.settings.device,
            "threads": torch.get_num_threads(),
            "random_weights": passes == 1,  # speed does not depend on them; accuracy would
        }

    def _wait(self) -> None:
        if self.settings.device != "cpu":
            torch.cuda.synchronize()


def _growing_counts(smoothing: Smoothing, images: Tensor, sizes: tuple[int, ...]) -> Iterator[tuple[int, Tensor]]:
    """(N, votes of N noisy copies [B, K]) for N in `sizes`, smallest first.

    The first samples of a larger N are those of the smaller one: each N has its own law, and all cost as the last.
    """
    taken, counts = 0, torch.zeros(len(images), smoothing.num_classes, dtype=torch.int64)
    for n in sorted(set(sizes)):
        counts = counts + smoothing.counts(images, n - taken).cpu()
        taken = n
        yield n, counts


def peak_memory_mib(device: str) -> float | None:
    """The most memory this process ever held: of the CUDA device, or resident; None where the system does not say.

    It never falls. So growth is a lower bound of what a step needed: an earlier one may have needed as much.
    """
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**20
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The results as tidy tables: `votes`, `certificates` (one row for every deployed N and bound), `throughput`."""
    certificates = pd.DataFrame(results["certificates"]).explode("deployable", ignore_index=True)
    deployable = pd.json_normalize(certificates.pop("deployable")).add_prefix("deployable_")
    return {
        "votes": pd.DataFrame(results["votes"]),
        "certificates": pd.concat([certificates, deployable], axis=1),
        "throughput": pd.DataFrame(results["throughput"]),
    }


def summary(results: dict[str, Any]) -> str:
    """Accuracy, radii and speed for a terminal."""
    found = tables(results)
    base = results["base"][0]
    cell = ["trained_under", "sigma", "n"]
    votes = found["votes"][[*cell, "test_accuracy", "paper_accuracy", "predict_accuracy", "abstention"]]
    radii = pd.DataFrame(results["certificates"])
    radii = radii[[*cell, "certified", "median_radius", "mean_radius", "largest_possible_radius"]]
    speed = found["throughput"][["what", "images_per_second", "peak_memory_growth_mib"]]
    shown = (table.round(4).to_string(index=False) for table in (votes, radii, speed))
    return "\n\n".join([f"test accuracy without smoothing {base['test_accuracy']:.4f}", *shown])


def run(lab: SmoothingLab) -> dict[str, Any]:
    """Accuracies and radii for every net and sigma, then throughput; every cell is remembered on its own."""
    s = lab.settings  # the target of all comparisons at every sigma, an augmented net at its own
    cells = dict.fromkeys([*((s.training_noise, sigma) for sigma in s.sigmas), *((a, a) for a in s.augmented_sigmas)])
    nets = dict.fromkeys(trained for trained, _ in cells)
    return {
        "unit": UNIT,
        **lab.people,
        "base": [lab.remembered(lab.base, trained) for trained in nets],
        "votes": [row for cell in cells for row in lab.remembered(lab.votes, *cell)],
        "certificates": [row for cell in cells for row in lab.remembered(lab.certificates, *cell)],
        "throughput": lab.remembered(lab.throughput, uses=(lab.settings.device,)),
    }


EXPERIMENT = register(Experiment(
    "face-smoothing", SmoothingLab, run, PROFILES, FACES, tables, summary, NEEDS, seeds=(0, 1, 2)
))  # fmt: skip
