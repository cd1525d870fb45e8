"""Verdicts on inversions: counted as declared, distances by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from rp_tutorial.attacks.inversion.boundary_repulsion import Inversion
from rp_tutorial.attacks.inversion.verdicts import BATCH_ROWS, evaluate
from rp_tutorial.core.arguments import InputError

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
        stopped=("patience",) * len(targets),
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


def judged():
    return evaluate(four_targets(), lambda z: z, OneHotEvaluator(), *private_images())


def test_a_target_that_was_not_found_is_a_failure_and_its_distances_are_missing():
    verdicts = judged()
    assert verdicts.final.top1.tolist() == [True, False, False, True]
    assert verdicts.final.top5.tolist() == [True, True, False, True]
    assert np.isnan(verdicts.final.nearest_pixel).tolist() == [False, False, True, False]
    assert (verdicts.asr().successes, verdicts.asr().trials) == (2, 4)
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


def test_distances_are_those_worked_out_one_by_one(monkeypatch):
    """Against plain loops over the images, whatever the batches."""
    images, labels = private_images()
    latents = four_targets().latent
    for rows in (BATCH_ROWS, 1, 3):
        monkeypatch.setattr("rp_tutorial.attacks.inversion.verdicts.BATCH_ROWS", rows)
        verdicts = judged()
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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: judged().asr(top=3), "top: got 3"),
        (lambda: judged().asr(of="end"), "of: got 'end'"),
        (lambda: judged().hits(without_expansion="maybe"), "without_expansion: got 'maybe'"),
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
