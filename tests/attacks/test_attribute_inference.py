"""The label-only adversary: it finds exactly the preimage of the label, pays for every query, and never peeks."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from rp_tutorial.attacks.attribute_inference import Inference, infer_attribute
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.data.tables.sources import load_table
from rp_tutorial.data.tables.tasks import ThresholdTask, threshold_task
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.plain import PlainOracle

CANDIDATES = np.linspace(12, 50.4, 385)  # the attribute's domain in steps of .1 kg/m^2
SPACING = CANDIDATES[1] - CANDIDATES[0]
BOUNDARY = 33.455  # between two candidates, so that rounding to float32 decides nothing
ERROR = 1e-6


@pytest.fixture(scope="module")
def task() -> ThresholdTask:
    return threshold_task(load_table("synthetic", rows=2000, seed=3), seed=1)


@pytest.fixture(scope="module")
def victims(task) -> torch.Tensor:
    return task.x_test[:200]


class OnAttribute(LabelOracle):
    """Releases rule(attribute in its own unit); one forward pass an input."""

    def __init__(self, task: ThresholdTask, rule) -> None:
        super().__init__(num_classes=2)
        self.task, self.rule = task, rule

    def _release(self, x: torch.Tensor) -> torch.Tensor:
        self.forward_passes += len(x)
        return self.rule(self.task.attribute_of(x))


def threshold_oracle(task: ThresholdTask) -> PlainOracle:
    """A real net that reads the attribute alone and switches at BOUNDARY."""
    net = nn.Linear(len(task.feature_names), 2)
    with torch.no_grad():
        net.weight.zero_()
        net.bias.zero_()
        net.weight[1, task.attribute_column] = 1.0
        net.bias[1] = -task.to_std(BOUNDARY)
    return PlainOracle(net, num_classes=2)


def infer(task, oracle, known, released, **options) -> Inference:
    arguments = {"candidates": CANDIDATES, "with_attribute": task.with_attribute, "unit": task.unit}
    return infer_attribute(oracle, known, released, **arguments | options)


def test_compatible_set_is_exactly_the_preimage_of_the_released_label(task, victims):
    oracle = threshold_oracle(task)
    released = oracle(victims)
    found = infer(task, oracle, victims, released)
    for row, label in zip(found.compatible(), released.tolist(), strict=True):
        assert (row == ((CANDIDATES > BOUNDARY) == bool(label))).all()
    assert set(released.tolist()) == {0, 1}
    assert set(np.unique(found.agreement)) == {0, 1}
    assert found.unit == "kg/m^2"


def test_true_value_of_a_victim_is_never_ruled_out_by_a_function(task, victims):
    oracle = threshold_oracle(task)
    found = infer(task, oracle, victims, oracle(victims))
    own = task.attribute_of(victims).numpy()
    nearest = np.abs(CANDIDATES - own[:, None]).argmin(axis=1)
    away = np.abs(own - BOUNDARY) > SPACING
    assert found.compatible()[np.arange(len(own)), nearest][away].all()


def test_length_is_that_of_the_preimage_up_to_a_cell(task, victims):
    oracle = threshold_oracle(task)
    released = oracle(victims).numpy()
    exact = np.where(released == 1, CANDIDATES[-1] - BOUNDARY, BOUNDARY - CANDIDATES[0])
    length = infer(task, oracle, victims, oracle(victims)).length()
    assert length == pytest.approx(exact, abs=SPACING)
    fine = np.linspace(12, 50.4, 3841)
    assert infer(task, oracle, victims, oracle(victims), candidates=fine).length() == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("garbage", [math.nan, math.inf, -1e30, 0.0])
def test_victims_own_attribute_is_never_read(task, victims, garbage):
    oracle = threshold_oracle(task)
    released = oracle(victims)
    honest = infer(task, oracle, victims, released)
    unknown = victims.clone()
    unknown[:, task.attribute_column] = garbage
    blind = infer(task, oracle, unknown, released)
    assert (blind.agreement == honest.agreement).all()


def test_every_query_is_counted(task, victims):
    oracle = threshold_oracle(task)
    infer(task, oracle, victims[:7], torch.zeros(7, dtype=torch.int64), repeats=3)
    assert oracle.queries == oracle.forward_passes == 7 * 385 * 3


@pytest.mark.parametrize("batch_rows", [1, 384, 385, 5000, 10**9])
def test_batches_change_nothing(task, victims, batch_rows):
    oracle = threshold_oracle(task)
    released = oracle(victims[:30])
    whole = infer(task, oracle, victims[:30], released)
    parts = infer(task, oracle, victims[:30], released, batch_rows=batch_rows)
    assert (parts.agreement == whole.agreement).all()


def test_arrays_and_lists_are_taken_as_tensors_are(task, victims):
    oracle = threshold_oracle(task)
    released = oracle(victims)
    expected = infer(task, oracle, victims, released).agreement
    assert np.array_equal(infer(task, oracle, victims.numpy(), released.numpy()).agreement, expected)
    assert np.array_equal(infer(task, oracle, victims, released.tolist()).agreement, expected)


def test_no_victims_give_an_empty_inference(task, victims):
    found = infer(task, threshold_oracle(task), victims[:0], torch.zeros(0, dtype=torch.int64))
    assert found.agreement.shape == (0, 385)
    assert found.length().shape == (0,)


def test_one_label_beats_the_prior_guess(task, victims):
    """Squared error of the posterior mean against that of the prior's mean, on rows the adversary never saw."""
    oracle = threshold_oracle(task)
    train = task.attribute_of(task.x_train).numpy()
    prior = stats.norm.pdf(CANDIDATES, train.mean(), train.std())
    found = infer(task, oracle, task.x_test, oracle(task.x_test))
    own = task.test_attribute.numpy()
    with_label = ((found.posterior_mean(prior) - own) ** 2).mean()
    without = ((prior @ CANDIDATES / prior.sum() - own) ** 2).mean()
    # A normal cut at its 90th percentile keeps 1 - phi(t)^2 / (p (1 - p)) of its variance, about two thirds.
    t = (BOUNDARY - train.mean()) / train.std()
    kept = 1 - stats.norm.pdf(t) ** 2 / (stats.norm.cdf(t) * stats.norm.sf(t))
    assert with_label < without
    assert with_label / without == pytest.approx(kept, abs=0.08)


def test_posterior_mean_is_bayes_rule_and_falls_back_on_the_prior():
    agreement = np.array([[0, 1, 0.5, 0], [0, 0, 0, 0], [0.0, 0, 0, 1]])
    prior = np.array([1.0, 2, 4, 0])
    found = Inference(agreement, np.array([10.0, 20, 30, 40]), "years")
    # The last victim: only a candidate that the prior excludes agrees, so the label says nothing the prior can use.
    assert found.posterior_mean(prior) == pytest.approx([(2 * 20 + 2 * 30) / 4, 170 / 7, 170 / 7])


def test_abstain_is_a_label_like_any_other(task, victims):
    def rule(values):
        return torch.where((values - BOUNDARY).abs() < 2, ABSTAIN, (values > BOUNDARY).long())

    oracle = OnAttribute(task, rule)
    released = torch.tensor([ABSTAIN, 0, 1])
    found = infer(task, oracle, victims[:3], released)
    low, high = CANDIDATES < BOUNDARY - 2, CANDIDATES > BOUNDARY + 2
    assert (found.compatible() == np.stack([~low & ~high, low, high])).all()
    assert found.length() == pytest.approx([4, BOUNDARY - 14, 50.4 - BOUNDARY - 2], abs=SPACING)


def test_repeats_average_a_random_oracle(task, victims):
    """Class 1 with a chance that rises along the attribute: every agreement is a binomial share of it."""
    generator = torch.Generator().manual_seed(0)

    def chance(values):
        return torch.sigmoid((values - BOUNDARY) / 4)

    oracle = OnAttribute(task, lambda v: (torch.rand(v.shape, generator=generator) < chance(v)).long())
    repeats, candidates = 400, np.linspace(20, 46, 14)
    released = torch.tensor([1, 0])
    found = infer(task, oracle, victims[:2], released, candidates=candidates, repeats=repeats)
    p_one = chance(torch.tensor(candidates)).numpy()
    hits = found.agreement * repeats
    assert hits == pytest.approx(hits.round())
    for row, p in zip(hits.round(), (p_one, 1 - p_one), strict=True):
        low, high = stats.binom.ppf([[ERROR / 56], [1 - ERROR / 56]], repeats, p)
        assert ((low <= row) & (row <= high)).all()
    assert found.compatible(level=0.9).sum() < found.compatible(level=0.5).sum() < found.compatible(level=0.1).sum()


@pytest.mark.parametrize(
    "candidates",
    [
        [30.0],
        [],
        [[20.0, 30.0]],
        [20, 30, 41],
        [30, 20, 10],
        [20, 20, 20],
        [20, math.nan, 40],
        [20, 30, math.inf],
        [0, 1e-10, 5e-10],
    ],
)
def test_candidates_that_are_not_an_increasing_even_grid_are_refused(task, victims, candidates):
    with pytest.raises(InputError, match=r"^candidates: got "):
        infer(task, threshold_oracle(task), victims[:1], torch.tensor([0]), candidates=candidates)


@pytest.mark.parametrize("candidates", [np.linspace(0, 1e9, 1001), torch.linspace(12, 50.4, 385), np.arange(0, 1, 0.1)])
def test_rounding_does_not_make_a_grid_uneven(task, victims, candidates):
    found = infer(task, threshold_oracle(task), victims[:1], torch.tensor([0]), candidates=candidates)
    assert found.agreement.shape == (1, len(candidates))


def test_other_bad_input_is_refused_in_one_line(task, victims):
    oracle = threshold_oracle(task)
    for released in (torch.zeros(2).long(), torch.zeros(3, 1).long()):
        with pytest.raises(InputError, match=r"^released: got "):
            infer(task, oracle, victims[:3], released)
    for known in ("rows", None, [["x"]]):
        with pytest.raises(InputError, match=r"^known, released: got [^\n]*$"):
            infer(task, oracle, known, torch.zeros(1).long())
    for repeats in (0, -1, 1.5, None):
        with pytest.raises(InputError, match=r"^repeats: got "):
            infer(task, oracle, victims[:1], torch.tensor([0]), repeats=repeats)
    found = infer(task, oracle, victims[:1], torch.tensor([0]), candidates=[20, 30, 40])
    for prior in ([1, 1], [1, 1, -1], [0, 0, 0], [1, math.nan, 1], [1, math.inf, 1], [[1, 1, 1]]):
        with pytest.raises(InputError, match=r"^prior: got ") as error:
            found.posterior_mean(prior)
        assert len(str(error.value).splitlines()) == 1
