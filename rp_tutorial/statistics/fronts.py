"""Which defences are worth having: the front of (test accuracy up, attack success down), and the area under it.

Two arms of one run share their targets and their test images, so every statement about a difference resamples the
same targets and images in both. Intervals are about targets and images drawn again, given the nets that were trained;
how far other nets differ is seen by running other seeds. The choice of the best of several noisy numbers flatters
them, so the area has a cross-fitted twin. Arms at equal accuracy, one against one, are in `families.py`; attacks and
defences are elsewhere, and nothing here knows what a face is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rp_tutorial.core.arguments import closed_unit, count, one_of, refuse
from rp_tutorial.core.packed_bits import unpacked
from rp_tutorial.core.streams import Purpose, numpy_generator

Row = Mapping[str, Any]
TAIL = 2.5  # percent on each side of an interval


@dataclass(frozen=True)
class Outcome:
    """What was measured of one arm. `hits` bool [T]: the targets inverted, those of one run after those of another.

    `right` bool [I]: the test images it releases the right label of; None where only their share was kept.
    `targets` and `images`: how many of each belong to each run. `advantage`: the adversary's largest advantage in
    telling two inputs of interest apart, where the arm has one.
    """

    name: str
    family: str
    hits: NDArray[np.bool_]
    right: NDArray[np.bool_] | None
    accuracy: float
    targets: tuple[int, ...]
    images: tuple[int, ...]
    advantage: float | None = None

    @property
    def asr(self) -> float:
        """Attack success rate: the share of the targets that were inverted."""
        return float(self.hits.mean())


def outcomes(*runs: Sequence[Row]) -> list[Outcome]:
    """The outcomes behind the rows of one run, or of several seeds of it joined arm by arm.

    A row has name, defense (its family, unless it has family), hits (0 or 1 a target), test_accuracy, test_images, and
    may have right (the text of `packed_bits.packed`) and advantage.
    Raises InputError if the runs differ in their arms, or the arms of a run in their targets.
    """
    if not runs or not runs[0]:
        raise refuse("runs", "no row", "at least one run with at least one arm")
    names = [[row["name"] for row in run] for run in runs]
    if any(other != names[0] for other in names) or len(set(names[0])) < len(names[0]):
        raise refuse("runs", names, "runs of the same arms, each arm once")
    for run in runs:
        sizes = {row["name"]: len(row["hits"]) for row in run}
        if len(set(sizes.values())) > 1:
            raise refuse("hits", sizes, "as many targets in every arm of a run")
    return [_joined(rows) for rows in zip(*runs, strict=True)]


def front(points: Sequence[Outcome]) -> list[str]:
    """Names of the arms that no other arm beats: at least as accurate, at most as invertible, and better in one.

    In the order of rising accuracy. Two arms with the same two numbers are both on it.
    """
    return [points[i].name for i in unbeaten(*_numbers(points))]


def unbeaten(accuracy: NDArray[np.float64], loss: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of the front of (accuracy [P] up, loss [P] down), in the order of rising accuracy, then of rising loss.

    A point is beaten by one that is at least as good in both and better in one.
    """
    at_least = (accuracy[:, None] >= accuracy) & (loss[:, None] <= loss)  # [i, j]: i is as good as j in both
    differs = (accuracy[:, None] != accuracy) | (loss[:, None] != loss)
    chosen = np.flatnonzero(~(at_least & differs).any(axis=0))
    return chosen[np.lexsort((loss[chosen], accuracy[chosen]))]


def resampled(points: Sequence[Outcome], *, resamples: int = 2000, seed: int = 0) -> tuple[NDArray, NDArray]:
    """Accuracy and ASR [P, B] of every arm on targets and test images drawn again with replacement, within each run.

    A draw takes the same targets in every arm, and the same images if the answers to each are known of every arm;
    otherwise the arms' accuracies are drawn independently, which makes differences of accuracy look less certain.
    """
    generator = numpy_generator(Purpose.BOOTSTRAP, seed)
    draws = count("resamples", resamples)
    hits = np.stack([point.hits for point in points]).astype(float)
    asr = _shares(hits, points[0].targets, draws, generator)
    answers = [point.right for point in points]
    if all(answer is not None for answer in answers) and len({point.images for point in points}) == 1:
        accuracy = _shares(np.stack(answers).astype(float), points[0].images, draws, generator)
    else:
        accuracy = np.stack([generator.binomial(sum(p.images), p.accuracy, draws) / sum(p.images) for p in points])
    return accuracy, asr


def area_under_front(
    accuracy: NDArray[np.float64], asr: NDArray[np.float64], *, low: float, high: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """The mean, over accuracies t from low to high, of the least ASR to be had with an accuracy of at least t.

    accuracy, asr: [P] or [P, ...]; the result has the shape without P. Small is good: an ASR, averaged. The front is a
    staircase, since only what was measured can be had; beyond the best accuracy the ASR counts as 1. NaN where
    high <= low. It is 1 minus the normalised hypervolume (Zitzler and Thiele 1999) with the corner (low, ASR 1).
    """
    order = _descending(accuracy)
    least = np.minimum.accumulate(np.take_along_axis(asr, order, axis=0), axis=0)
    return _staircase(np.take_along_axis(accuracy, order, axis=0), least, low, high)


def areas(
    points: Sequence[Outcome],
    *,
    reference: str,
    low: float,
    against: str | None = None,
    resamples: int = 2000,
    splits: int = 200,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """`area_under_front` of every family, from accuracy `low` to that of the arm `reference`, with 95 % intervals.

    The reference belongs to every family: nobody is made to defend. Fields: family, arms, area, area_ci (percentile
    bootstrap, the same targets and images for all families), cross_fitted (arms chosen on one half of targets and
    images, judged on the other), and, where `against` names a family, difference and difference_ci: area minus that
    family's. Without families of their own the rows are those of the reference alone (its ASR) and of all arms.
    """
    names = [point.name for point in points]
    base = names.index(one_of("reference", reference, names))
    if not closed_unit("low", low) < points[base].accuracy:
        raise refuse("low", low, f"an accuracy below that of {reference}, {points[base].accuracy:.3f}")
    drawn_accuracy, drawn_asr = resampled(points, resamples=resamples, seed=seed)
    halves = _halves(points, splits, seed)
    accuracy, asr = _numbers(points)
    rows, samples = [], {}
    for family, members in _members(points, base).items():
        area = float(area_under_front(accuracy[members], asr[members], low=low, high=accuracy[base]))
        draws = area_under_front(drawn_accuracy[members], drawn_asr[members], low=low, high=drawn_accuracy[base])
        samples[family] = area, draws
        crossed = _cross_fitted(*(part[members] for part in halves), low=low, high=halves[0][base])
        rows.append({"family": family, "arms": len(members), "area": area, "area_ci": percentiles(draws)})
        rows[-1]["cross_fitted"] = float(np.nanmean(crossed))
    if against is not None:
        area, draws = samples[one_of("against", against, samples)]
        for row in rows:
            own, own_draws = samples[row["family"]]
            row |= {"difference": own - area, "difference_ci": percentiles(own_draws - draws)}
    return rows


def _joined(rows: Sequence[Row]) -> Outcome:
    images = tuple(int(row["test_images"]) for row in rows)
    known = all(row.get("right") is not None for row in rows)
    right = [unpacked(row["right"], n) for row, n in zip(rows, images, strict=True)] if known else None
    shares = [row["test_accuracy"] for row in rows]
    return Outcome(
        name=rows[0]["name"],
        family=rows[0].get("family", rows[0]["defense"]),
        hits=np.concatenate([np.asarray(row["hits"], dtype=bool) for row in rows]),
        right=None if right is None else np.concatenate(right),
        accuracy=float(np.average(shares, weights=images)),
        targets=tuple(len(row["hits"]) for row in rows),
        images=images,
        advantage=rows[0].get("advantage"),
    )


def _numbers(points: Sequence[Outcome]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.array([point.accuracy for point in points]), np.array([point.asr for point in points])


def _shares(
    values: NDArray[np.float64], runs: tuple[int, ...], draws: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Means of values [P, T] over resampled columns, each run's columns among themselves: [P, draws]."""
    total, start = np.zeros((len(values), draws)), 0
    for size in runs:
        weights = generator.multinomial(size, np.full(size, 1 / size), size=draws)
        total += values[:, start : start + size] @ weights.T
        start += size
    return total / start


def _descending(accuracy: NDArray) -> NDArray[np.int64]:
    return np.argsort(-accuracy, axis=0, kind="stable")


def _staircase(accuracy: NDArray, asr: NDArray, low: float, high: NDArray | float) -> NDArray[np.float64]:
    """Mean height from low to high of the steps asr [P, ...], step k ending at the k-th largest accuracy."""
    ends = np.clip(accuracy, low, np.maximum(high, low))
    starts = np.concatenate([ends[1:], np.full_like(ends[:1], low)])
    beyond = np.maximum(high, low) - ends[0]
    width = np.asarray(high - low, dtype=float)
    area = ((ends - starts) * asr).sum(axis=0) + beyond
    return np.where(width > 0, area / np.where(width > 0, width, 1.0), np.nan)


def _members(points: Sequence[Outcome], base: int) -> dict[str, NDArray[np.int64]]:
    """The arms of each family with the reference among them, and of all arms together."""
    families = [name for name in dict.fromkeys(p.family for p in points) if name != points[base].family]
    rows = {f: [i for i, p in enumerate(points) if p.family == f or i == base] for f in families}
    everything = {points[base].family: [base]} | rows | {"all": range(len(points))}
    return {family: np.array(members) for family, members in everything.items()}


def _halves(points: Sequence[Outcome], splits: int, seed: int) -> tuple[NDArray[np.float64], ...]:
    """Accuracy and ASR on random halves of images and targets, ASR on the other halves: three of [P, splits].

    Where only the share of right images is known, both halves have it.
    """
    generator = numpy_generator(Purpose.HALVES, seed)
    hits = np.stack([point.hits for point in points])
    first, second = _split_means(hits, count("splits", splits), generator)
    if all(point.right is not None for point in points) and len({point.images for point in points}) == 1:
        accuracy = _split_means(np.stack([point.right for point in points]), splits, generator)[0]
    else:
        accuracy = np.repeat(_numbers(points)[0][:, None], splits, axis=1)
    return accuracy, first, second


def _split_means(values: NDArray[np.bool_], splits: int, generator: np.random.Generator) -> tuple[NDArray, NDArray]:
    size = values.shape[1]
    if size < 2:
        raise refuse("hits", f"{size} target", "at least 2 targets, to choose on one half and judge on the other")
    chosen = generator.permuted(np.tile(np.arange(size) < size // 2, (splits, 1)), axis=1).astype(float)
    return values @ chosen.T / (size // 2), values @ (1 - chosen).T / (size - size // 2)


def _cross_fitted(accuracy: NDArray, chosen_by: NDArray, judged_by: NDArray, *, low: float, high: NDArray) -> NDArray:
    """The area of the staircase chosen by one half's ASR, at the heights of the other half: [splits]."""
    order = _descending(accuracy)
    ranked = np.take_along_axis(chosen_by, order, axis=0)
    falls = np.diff(np.minimum.accumulate(ranked, axis=0), axis=0, prepend=np.inf) < 0
    best = np.maximum.accumulate(np.where(falls, np.arange(len(order))[:, None], 0), axis=0)
    heights = np.take_along_axis(np.take_along_axis(judged_by, order, axis=0), best, axis=0)
    return _staircase(np.take_along_axis(accuracy, order, axis=0), heights, low, high)


def percentiles(draws: NDArray[np.float64]) -> list[float]:
    """The 95 % percentile interval of bootstrap draws [B], as JSON holds it."""
    return [float(end) for end in np.nanpercentile(draws, [TAIL, 100 - TAIL])]
