"""Training: the penalty is exact, runs are reproducible, and what it leaves behind reads the attribute alone."""

import math

import numpy as np
import pytest
import torch
from close import assert_close_to_scale
from scipy import optimize
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.oracles.noise import visible_factor
from rp_tutorial.training.fit import _soft_threshold, accuracy, fit


def threshold_rows(rows: int, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Twelve features, of which column 3 alone decides, at its 80th percentile; column 4 is close to it."""
    x = torch.randn(rows, 12, generator=torch.Generator().manual_seed(seed))
    x[:, 4] = 0.7 * x[:, 3] + 0.7 * x[:, 4]
    return x, (x[:, 3] > 0.84).long()


@pytest.fixture(autouse=True)
def one_thread():
    """Products this small only wait for a second thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


OTHERS = tuple(column for column in range(12) if column != 3)


def test_soft_threshold_is_the_proximal_operator_of_the_absolute_value():
    """It minimises |v - w|^2 / 2 + amount |v|, as a scalar minimiser finds without knowing the closed form."""
    weight, amount = torch.linspace(-2, 2, 21, dtype=torch.float64)[:, None].repeat(1, 2), 0.7
    before = weight.clone()
    _soft_threshold(weight, [0], amount)
    for w, v in zip(before[:, 0].tolist(), weight[:, 0].tolist(), strict=True):

        def objective(u: float, w: float = w) -> float:
            return (u - w) ** 2 / 2 + amount * abs(u)

        assert v == pytest.approx(math.copysign(max(abs(w) - amount, 0), w), abs=1e-15)
        assert v == pytest.approx(optimize.minimize_scalar(objective, bounds=(-3, 3), method="bounded").x, abs=1e-5)
        assert objective(v) <= min(objective(v + 1e-3), objective(v - 1e-3))
    assert torch.equal(weight[:, 1], before[:, 1])


@pytest.mark.parametrize("columns", [[0, 2], (0, 2), range(0, 3, 2), np.array([0, 2]), torch.tensor([0, 2])])
def test_columns_may_be_any_sequence(columns):
    weight = torch.ones(2, 3)
    _soft_threshold(weight, columns, 0.25)
    assert weight.tolist() == [[0.75, 1, 0.75]] * 2


def test_l1_penalty_makes_a_net_that_reads_the_attribute_alone():
    x, y = threshold_rows(4000)
    net = fit(two_layer_net(12, seed=1), x, y, steps=600, l1=3.0, l1_columns=OTHERS, seed=2)
    first = net[0].weight.detach()
    assert (first[:, OTHERS] == 0).all()
    assert (first[:, 3] != 0).any()
    factor = visible_factor(first)
    assert factor.shape == (1, 64)
    assert_close_to_scale(factor.T @ factor, first @ first.T)
    fresh_x, fresh_y = threshold_rows(4000, seed=5)
    assert accuracy(net, fresh_x, fresh_y) > 0.98
    garbage = fresh_x.clone()
    garbage[:, OTHERS] = 1e6
    assert torch.equal(net(garbage), net(fresh_x))


def test_without_a_penalty_the_net_reads_the_other_columns_too():
    x, y = threshold_rows(2000)
    net = fit(two_layer_net(12, seed=1), x, y, steps=50, l1=0.0, l1_columns=OTHERS)
    assert (net[0].weight[:, OTHERS] != 0).all()
    assert visible_factor(net[0].weight).shape == (12, 64)


def test_training_lowers_the_loss_to_near_nothing_on_separable_rows():
    x = torch.tensor([[-1.0], [1.0]]).repeat(50, 1)
    y = torch.tensor([0, 1]).repeat(50)
    net = fit(two_layer_net(1), x, y, steps=200, batch_size=10)
    assert nn.functional.cross_entropy(net(x), y).item() < 0.01
    assert accuracy(net, x, y) == 1


def test_same_seed_same_weights_and_another_order_gives_others():
    x, y = threshold_rows(300)

    def trained(seed: int) -> torch.Tensor:
        return fit(two_layer_net(12, seed=1), x, y, steps=20, batch_size=64, seed=seed)[0].weight

    torch.manual_seed(1)
    first = trained(7)
    torch.manual_seed(2)  # the global generator has no say
    assert torch.equal(trained(7), first)
    assert not torch.equal(trained(8), first)


class Recording(nn.Module):
    """One linear layer that writes down the rows it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.batches = nn.Linear(1, 2), []

    def forward(self, x):
        self.batches.append(x[:, 0].tolist())
        return self.layer(x)


@pytest.mark.parametrize(
    ("rows", "batch_size", "steps"), [(10, 4, 7), (10, 4, 6), (10, 10, 3), (3, 512, 5), (10, 1, 1)]
)
def test_steps_are_counted_and_every_round_shows_every_row_once(rows, batch_size, steps):
    net = Recording()
    fit(net, torch.arange(rows).float()[:, None], torch.zeros(rows).long(), steps=steps, batch_size=batch_size)
    assert len(net.batches) == steps
    a_round = -(-rows // batch_size)
    for start in range(0, steps - a_round + 1, a_round):
        shown = [row for batch in net.batches[start : start + a_round] for row in batch]
        assert sorted(shown) == list(range(rows))


def test_net_trains_in_train_mode_and_comes_back_in_eval_mode():
    modes = []
    net = nn.Sequential(nn.Linear(12, 4), nn.Dropout(0.5), nn.Linear(4, 2)).eval()
    net[1].register_forward_hook(lambda module, *_: modes.append(module.training))
    x, y = threshold_rows(100)
    assert fit(net, x, y, steps=3) is net
    assert modes == [True] * 3
    assert not any(module.training for module in net.modules())


def test_accuracy_is_the_share_of_right_labels_in_eval_mode():
    net = nn.Sequential(nn.Dropout(0.99), nn.Identity()).train()
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 2.0], [0.0, 5.0]])
    assert accuracy(net, logits, torch.tensor([0, 1, 1, 1])) == 0.75
    assert not net.training


GOOD = {"x": torch.zeros(4, 12), "y": torch.zeros(4, dtype=torch.int64)}
BAD = [
    ("x, y", {"y": torch.zeros(3, dtype=torch.int64)}),
    ("x, y", {"x": torch.zeros(0, 12), "y": torch.zeros(0, dtype=torch.int64)}),
    *(("steps", {"steps": bad}) for bad in (0, -1, 2.5, None)),
    *(("batch_size", {"batch_size": bad}) for bad in (0, -1, 2.5)),
    *(("learning_rate", {"learning_rate": bad}) for bad in (0, -1, math.nan, math.inf, "fast")),
    *(("l1", {"l1": bad, "l1_columns": OTHERS}) for bad in (-0.1, math.nan, math.inf, "1")),
    *(("l1_columns", {"l1": 0.1, "l1_columns": bad}) for bad in ([12], [-13], [0.5])),
    ("seed", {"seed": -1}),
]


@pytest.mark.parametrize(("argument", "bad"), BAD)
def test_bad_input_is_refused_in_one_line_and_the_net_left_as_it_was(argument, bad):
    net = two_layer_net(12, seed=1)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(InputError, match=rf"^{argument}: got ") as error:
        fit(net, **GOOD | bad)
    assert len(str(error.value).splitlines()) == 1
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_penalty_on_columns_needs_a_linear_first_layer():
    net = nn.Sequential(nn.BatchNorm1d(12), nn.Linear(12, 2))
    with pytest.raises(InputError, match=r"^l1_columns: got .*BatchNorm1d"):
        fit(net, **GOOD, l1=0.1, l1_columns=OTHERS)
