"""Verdicts on inversions: counted as declared, distances by hand, intervals and paired tests exact."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from rp_tutorial.attacks.inversion.boundary_repulsion import BREP_MI, Inversion
from rp_tutorial.attacks.inversion.verdicts import evaluate
from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.binomial import clopper_pearson
from rp_tutorial.statistics.paired import paired_comparison, paired_difference, rate

CLASSES = 7


class OneHotEvaluator(nn.Module):
    """Inputs [B, 7] are the logits; the features are twice the input, as an image [B, 7, 1]."""

    def forward(self, x):
        return x

    def features(self, x):
        return 2 * x[:, :, None]


def inversion(targets, found, kept_expansions, start, latent):
    """An inversion with the fields the metrics read; the rest is filled in."""
    zeros = torch.zeros(len(targets), dtype=torch.int64)
    counters = ("chosen", "expansions", "accepted", "rejected", "iterations", "queries")
    return Inversion(
        targets=torch.tensor(targets),
        found=torch.tensor(found),
        start=start,
        latent=latent,
        z=latent,
        radius=torch.ones(len(targets)),
        kept_expansions=torch.tensor(kept_expansions),
        **dict.fromkeys(counters, zeros),
        search_queries=0,
        forward_passes=0,
        search_forward_passes=0,
        stopped=("patience",) * len(targets),
        settings=BREP_MI,
        trace=None,
    )


def four_targets():
    """Target 0 is hit in first place, 1 in second and not expanded, 2 was not found, 3 is hit and not expanded."""
    latent = torch.zeros(4, CLASSES)
    latent[0, 0] = 1.0
    latent[1, [0, 1]] = torch.tensor([2.0, 1.0])
    latent[2] = torch.nan
    latent[3, 3] = 5.0
    start = torch.full((4, CLASSES), 1.0)
    start[0] = torch.tensor([0.0, 1, 2, 3, 4, 5, 6])
    start[1:] = latent[1:]
    return inversion([0, 1, 2, 3], [True, True, False, True], [3, 0, 0, 0], start, latent)


def private_images(per_class=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(CLASSES).repeat(per_class)
    return torch.rand(len(labels), CLASSES, generator=generator), labels


def judged(**options):
    return evaluate(four_targets(), lambda z: z, OneHotEvaluator(), *private_images(), **options)


def test_a_target_that_was_not_found_is_a_failure_and_its_distances_are_missing():
    verdicts = judged()
    assert verdicts.final.top1.tolist() == [True, False, False, True]
    assert verdicts.final.top5.tolist() == [True, True, False, True]
    assert np.isnan(verdicts.final.nearest_pixel).tolist() == [False, False, True, False]
    assert (verdicts.asr().successes, verdicts.asr().trials) == (2, 4)
    assert (verdicts.asr(among="found").successes, verdicts.asr(among="found").trials) == (2, 3)
    assert (verdicts.asr(top=5).successes, verdicts.asr(top=5).trials) == (3, 4)


def test_the_starting_points_are_judged_apart():
    verdicts = judged()
    assert verdicts.start.top1.tolist() == [False, False, False, True]
    assert verdicts.start.top5.tolist() == [False, True, False, True]
    assert verdicts.asr(of="start").successes == 1


def test_the_rule_of_the_authors_fails_a_target_without_an_accepted_expansion():
    verdicts = judged()
    assert verdicts.hits(without_expansion="failure").tolist() == [True, False, False, False]
    assert verdicts.hits(of="start", without_expansion="failure").tolist() == verdicts.hits(of="start").tolist()


def test_distances_are_those_worked_out_one_by_one():
    """Against plain loops over the images, whatever the batches."""
    images, labels = private_images()
    latents = four_targets().latent
    for options in ({}, {"batch_rows": 1}, {"batch_rows": 3}):
        verdicts = judged(**options)
        for row in (0, 1, 3):
            own = [image for image, label in zip(images, labels, strict=True) if label == row]
            pixel = min(math.sqrt(float(((latents[row] - image) ** 2).mean())) for image in own)
            feature = min(float((2 * latents[row] - 2 * image).norm()) for image in own)
            centroid = sum(2 * image for image in own) / len(own)
            assert verdicts.final.nearest_pixel[row] == pytest.approx(pixel, rel=1e-5)
            assert verdicts.final.nearest_feature[row] == pytest.approx(feature, rel=1e-5)
            assert verdicts.final.feature_distance[row] == pytest.approx(
                float((2 * latents[row] - centroid).norm()), rel=1e-5
            )


def test_a_reconstruction_that_is_a_private_image_has_distance_zero():
    images, labels = private_images()
    found = four_targets()
    found.latent[0] = images[labels == 0][2]
    verdicts = evaluate(found, lambda z: z, OneHotEvaluator(), images, labels)
    assert verdicts.final.nearest_pixel[0] == 0
    assert verdicts.final.nearest_feature[0] == 0


def test_byte_images_are_read_on_the_grid_of_255():
    images, labels = private_images()
    quantised = (images * 255).round()
    as_bytes = evaluate(four_targets(), lambda z: z, OneHotEvaluator(), quantised.to(torch.uint8), labels)
    as_floats = evaluate(four_targets(), lambda z: z, OneHotEvaluator(), quantised / 255, labels)
    np.testing.assert_allclose(as_bytes.final.nearest_pixel, as_floats.final.nearest_pixel)


def test_with_fewer_than_five_classes_every_found_target_is_among_the_first_five():
    found = inversion([0, 1], [True, False], [1, 0], torch.ones(2, 3), torch.tensor([[0.0, 1, 2], [math.nan] * 3]))
    images, labels = torch.rand(6, 3, generator=torch.Generator().manual_seed(0)), torch.arange(3).repeat(2)
    verdicts = evaluate(found, lambda z: z, OneHotEvaluator(), images, labels)
    assert verdicts.final.top5.tolist() == [True, False]


def test_the_interval_of_a_rate_is_exact():
    hits = np.arange(100) < 73
    low, high = clopper_pearson(73, 100)
    assert (rate(hits).low, rate(hits).high) == (low, high)
    assert rate(hits).value == 0.73
    empty = rate(np.zeros(0, dtype=bool))
    assert (empty.low, empty.high) == (0, 1)
    assert math.isnan(empty.value)


def test_mcnemar_is_the_exact_binomial_test_on_the_discordant_pairs():
    """12 targets for a alone, 3 for b alone: p = 2 Pr[Bin(15, 1/2) >= 12] = 1152 / 32768, and so for joined seeds."""
    a = np.array([True] * 12 + [False] * 3 + [True] * 5 + [False] * 20)
    b = np.array([False] * 12 + [True] * 3 + [True] * 5 + [False] * 20)
    whole = paired_comparison(a, b)
    assert whole.p_value == pytest.approx(1152 / 32768, rel=1e-12)
    assert (whole.pairs, whole.only_a, whole.only_b, whole.difference) == (40, 12, 3, 9 / 40)
    assert paired_comparison([a[:17], a[17:]], [b[:17], b[17:]]) == whole
    turned = paired_comparison(b, a)
    assert (turned.difference, turned.low, turned.high) == pytest.approx((-whole.difference, -whole.high, -whole.low))
    assert paired_comparison(a, a).p_value == 1


def test_the_interval_of_the_difference_covers_as_often_as_it_says():
    """4,000 simulated pairs of arms of 40 targets: coverage of 95 % is not below 94 %.

    With a coverage of 95 %, fewer than 3,760 of 4,000 would have probability .002; the seed is fixed.
    """
    law = np.array([0.35, 0.25, 0.05, 0.35])  # both, only a, only b, neither
    rng = np.random.default_rng(0)
    covered = 0
    for counts in rng.multinomial(40, law, size=4000):
        a = np.repeat([True, True, False, False], counts)
        b = np.repeat([True, False, True, False], counts)
        found = paired_comparison(a, b)
        covered += found.low <= 0.2 <= found.high
    assert covered >= 3760


def test_a_paired_difference_is_students_and_leaves_out_missing_pairs():
    a = np.array([1.0, 2.0, 4.0, np.nan, 8.0])
    b = np.array([0.5, 2.5, 3.0, 1.0, np.nan])
    found = paired_difference(a, b)
    test = stats.ttest_rel(a[:3], b[:3])
    interval = test.confidence_interval(0.95)
    assert found.pairs == 3
    assert found.p_value == pytest.approx(test.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert math.isnan(paired_difference(a[:1], b[:1]).low)
    assert paired_difference(a[:2], a[:2]).p_value == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_comparison(np.zeros(3), np.zeros(3)), "a: got"),
        (lambda: paired_comparison(np.zeros(3, bool), np.zeros(4, bool)), "b: got '4 targets'"),
        (lambda: paired_comparison(np.zeros(0, bool), np.zeros(0, bool)), "b: got"),
        (lambda: paired_comparison(np.zeros(2, bool), np.zeros(2, bool), confidence=1), "confidence: got 1"),
        (lambda: paired_difference(np.zeros(3, int), np.zeros(3, int)), "a: got"),
        (lambda: rate(np.zeros((2, 2), bool)), "hits: got"),
        (lambda: judged().asr(top=3), "top: got 3"),
        (lambda: judged().asr(of="end"), "of: got 'end'"),
        (lambda: judged().asr(among="some"), "among: got 'some'"),
        (lambda: judged().hits(without_expansion="maybe"), "without_expansion: got 'maybe'"),
        (lambda: judged(batch_rows=0), "batch_rows: got 0"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.zeros(35)}, "labels: got"),
        ({"labels": torch.zeros(35, dtype=torch.int64)}, "labels: got 'none of target 1'"),
        ({"images": [1, 2]}, "images: got"),
        ({"images": torch.zeros(35, 8)}, "images: got"),
        ({"evaluator": nn.Sequential()}, "features"),
    ],
)
def test_private_images_that_do_not_fit_are_refused_in_one_line(change, message):
    images, labels = private_images()
    given = {"evaluator": OneHotEvaluator(), "images": images, "labels": labels} | change
    with pytest.raises(InputError) as error:
        evaluate(four_targets(), lambda z: z, **given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_evaluator_without_a_column_for_a_target_is_refused():
    found = replace(four_targets(), targets=torch.tensor([0, 1, 2, 9]))
    images, labels = private_images()
    with pytest.raises(InputError, match="evaluator: got"):
        evaluate(found, lambda z: z, OneHotEvaluator(), images, labels.where(labels != 3, torch.tensor(9)))
