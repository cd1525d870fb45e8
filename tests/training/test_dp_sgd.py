"""DP-SGD: gradients are cut one by one, samples are Poisson, noise is as recorded, and no record touches another."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from close import assert_close_to_scale
from scipy import stats
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.streams import Purpose, child_seed, global_stream, torch_generator, torch_seed
from rp_tutorial.core.threads import one_thread
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.training import dp_sgd
from rp_tutorial.training.dp_sgd import (
    PrivacyRecord,
    PrivateNet,
    check_records_do_not_mix,
    fit_privately,
    private_steps,
    train_only,
    with_group_norm,
)
from rp_tutorial.training.privacy_accounting import spent_epsilon

RECORD = PrivacyRecord(epsilon=1.0, delta=1e-5, noise_multiplier=1.0, clip=1.0, steps=1, sample_rate=1.0)
NOISELESS = dataclasses.replace(RECORD, noise_multiplier=1e-9)


@pytest.fixture(autouse=True)
def short_products_on_one_thread():
    with one_thread():
        yield


def linear(features: int = 6, classes: int = 3, seed: int = 0) -> nn.Linear:
    with global_stream(Purpose.INITIAL_WEIGHTS, seed):
        return nn.Linear(features, classes)


def records(rows: int = 60, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three clusters in six dimensions."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(rows) % 3
    return 2 * torch.eye(6)[labels] + torch.randn(rows, 6, generator=generator), labels


def loss_of(x: torch.Tensor, y: torch.Tensor):
    return lambda model, rows: nn.functional.cross_entropy(model(x[rows]), y[rows])


def frozen_batch_norm() -> SmallFaceNet:
    """A face net of which the last layer alone is trained."""
    net = SmallFaceNet(4, size=32, seed=0)
    return train_only(net, net.fc_layer)


def faces(rows: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(256, (rows, 3, 32, 32), generator=generator, dtype=torch.uint8), torch.arange(rows) % 4


def test_each_gradient_is_cut_to_the_clipping_norm_before_they_are_added():
    """Against gradients taken record by record; half of them are scaled up, so that some are cut and some are not."""
    x, y = records()
    x[::2] *= 10
    net, clip, rate = linear(), 0.5, 0.1
    total, norms = [torch.zeros_like(p) for p in net.parameters()], []
    for row in range(len(x)):
        loss = nn.functional.cross_entropy(net(x[row : row + 1]), y[row : row + 1])
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        norms.append(math.sqrt(sum(float(g.square().sum()) for g in gradients)))
        for part, gradient in zip(total, gradients, strict=True):
            part += gradient * min(1.0, clip / norms[-1])
    assert min(norms) < clip < max(norms)
    wanted = [p.detach() - rate * part / len(x) for p, part in zip(net.parameters(), total, strict=True)]
    private_steps(net, loss_of(x, y), len(x), dataclasses.replace(NOISELESS, clip=clip), learning_rate=rate, seed=0)
    for parameter, value in zip(net.parameters(), wanted, strict=True):
        assert_close_to_scale(parameter.detach(), value)


def test_noise_has_the_recorded_deviation_and_is_new_in_every_step():
    """A loss that does not depend on the records: what is released is noise. 2 x 10,000 values fix it to 2 %."""
    net = nn.Linear(100, 100, bias=False)
    released = []
    record = dataclasses.replace(RECORD, noise_multiplier=3.0, clip=0.5, steps=2, sample_rate=0.5)
    private_steps(
        net, lambda model, rows: 0 * model(torch.ones(len(rows), 100)).mean(), 40, record, learning_rate=1e-3, seed=0,
        watch=lambda: released.append(net.weight.grad.flatten().double().numpy().copy()),
    )  # fmt: skip
    first, second = (values * record.sample_rate * 40 for values in released)
    deviation = math.sqrt((first.var() + second.var()) / 2)
    spread = stats.chi2.ppf([5e-5, 1 - 5e-5], 20_000) / 20_000  # a right one fails with probability 1e-4
    assert 1.5 * math.sqrt(spread[0]) < deviation < 1.5 * math.sqrt(spread[1])
    assert stats.kstest(first, "norm", args=(0, 1.5)).pvalue > 1e-4
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / math.sqrt(10_000)


def test_each_record_enters_each_step_with_the_recorded_probability_and_independently():
    rows, record = 200, dataclasses.replace(NOISELESS, sample_rate=0.1, steps=150)
    x, y = records(rows)
    seen = np.zeros((record.steps, rows), dtype=int)
    step = 0

    def loss(model: nn.Module, chosen: torch.Tensor) -> torch.Tensor:
        seen[step, chosen.numpy()] += 1
        return loss_of(x, y)(model, chosen)

    def watch() -> None:
        nonlocal step
        step += 1

    private_steps(linear(), loss, rows, record, learning_rate=0.1, physical_batch=7, watch=watch, seed=0)
    assert step == record.steps
    assert seen.max() == 1
    assert stats.binomtest(int(seen.sum()), seen.size, 0.1).pvalue > 1e-4
    sizes = seen.sum(axis=1)  # of independent draws: binomial, as different as these are
    dispersion = ((sizes - 20) ** 2).sum() / 18
    assert 5e-5 < stats.chi2.sf(dispersion, record.steps) < 1 - 5e-5


def test_the_size_of_the_pieces_changes_nothing():
    x, y = records()
    record = dataclasses.replace(RECORD, steps=5, sample_rate=0.5)
    weights = []
    for piece in (3, 1000):
        net = linear()
        private_steps(net, loss_of(x, y), len(x), record, learning_rate=0.5, physical_batch=piece, seed=0)
        weights.append(net.weight.detach())
    assert_close_to_scale(*weights)


def test_an_empty_sample_is_a_step_of_noise():
    x, y = records(2)
    net, steps = linear(), 0

    def watch() -> None:
        nonlocal steps
        steps += 1
        assert float(net.weight.grad.abs().min()) > 0

    private_steps(
        net,
        loss_of(x, y),
        2,
        dataclasses.replace(RECORD, sample_rate=0.01, steps=6),
        learning_rate=1.0,
        watch=watch,
        seed=0,
    )
    assert steps == 6


def test_statistics_of_frozen_batch_normalisations_do_not_move():
    net = frozen_batch_norm()
    before = {name: value.clone() for name, value in net.state_dict().items() if not name.startswith("fc_layer")}
    fit_privately(net, *faces(), epsilon=8.0, epochs=2, batch_size=8, seed=0)
    after = net.state_dict()
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not torch.equal(after["fc_layer.weight"], frozen_batch_norm().fc_layer.weight)


@pytest.mark.parametrize("make", [frozen_batch_norm, lambda: with_group_norm(SmallFaceNet(4, size=32, seed=0))])
def test_one_image_cannot_change_what_another_gets_while_training(make):
    """In the very state in which the net is trained, seen from inside a step."""
    images, labels = faces(16)
    x = to_float(images)
    other = torch.cat([x[:8], 1 - x[8:]])
    net, seen = make(), []
    net.output_layer[1].p = 0.0  # dropout would tell two passes apart by itself

    def loss(model: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        if not seen:
            with torch.no_grad():
                seen.extend([net(x)[:8], net(other)[:8]])
        return nn.functional.cross_entropy(model(x[rows]), labels[rows])

    private_steps(net, loss, 16, NOISELESS, learning_rate=0.1, seed=0)
    assert_close_to_scale(seen[0], seen[1])


def test_frozen_batch_norm_in_train_mode_mixes_records_and_is_refused():
    """Opacus lets it pass: it looks at layers with trained parameters only."""
    net = frozen_batch_norm().train()
    x = to_float(faces(16)[0])
    net.output_layer[1].p = 0.0
    assert not torch.allclose(net(x)[:8], net(torch.cat([x[:8], 1 - x[8:]]))[:8], atol=1e-3)
    with pytest.raises(InputError, match=r"^net: got 'the batch normalisation input_layer\.1 in training"):
        check_records_do_not_mix(net)


def test_batch_normalisation_that_learns_is_refused():
    with pytest.raises(InputError, match=r"^net: got 'the batch normalisation .* which mixes records', allowed is "):
        fit_privately(SmallFaceNet(4, size=32, seed=0), *faces(), epsilon=8.0, epochs=1, batch_size=8)


def test_the_record_is_what_was_spent_and_is_stored_with_the_weights():
    x, y = records()
    trained = fit_privately(linear(), x, y, epsilon=4.0, delta=1e-3, epochs=4, batch_size=15, clip=0.7, seed=0)
    record = trained.privacy
    assert (record.delta, record.clip, record.steps, record.sample_rate) == (1e-3, 0.7, 16, 0.25)
    spent = spent_epsilon(record.noise_multiplier, delta=1e-3, sample_rate=0.25, steps=16)
    assert record.epsilon == spent
    assert 3.98 <= spent <= 4
    loaded = PrivateNet(linear(seed=9))
    with pytest.raises(InputError, match=r"^net: got a net without a privacy record"):
        _ = loaded.privacy
    loaded.load_state_dict(trained.state_dict())
    assert loaded.privacy == record
    assert torch.equal(loaded(x), trained(x))


def test_it_learns_and_less_privacy_learns_more():
    x, y = records(1200)
    fresh, labels = records(600, seed=1)

    def accuracy(epsilon: float) -> float:
        net = nn.Linear(6, 3, bias=False)
        nn.init.zeros_(net.weight)
        net = fit_privately(net, x, y, epsilon=epsilon, epochs=5, batch_size=200, physical_batch=500, seed=0)
        return float((net(fresh).argmax(1) == labels).float().mean())

    assert accuracy(3.0) > 0.8 > accuracy(0.03)


def test_the_noise_and_the_samples_share_no_draw_with_data_drawn_from_the_same_seed(monkeypatch):
    """What once happened: sampling began as the private people did, noise as the public ones."""
    private, public, photographs = (
        child_seed(purpose, 0) for purpose in (Purpose.PRIVATE_PEOPLE, Purpose.PUBLIC_PEOPLE, Purpose.PHOTOGRAPHS)
    )
    of_data = {torch_seed(purpose, 0) for purpose in Purpose if Purpose.TABLE_ROWS <= purpose <= Purpose.FACE_FILES}
    of_data |= {torch_seed(Purpose.IDENTITY_FACTORS, seed) for seed in (private, public)}
    of_data |= {torch_seed(Purpose.NUISANCE_FACTORS, photographs)}
    used = []
    monkeypatch.setattr(
        dp_sgd, "torch_generator", lambda *key, **place: used.append(made := torch_generator(*key, **place)) or made
    )
    fit_privately(linear(), *records(), epsilon=3.0, epochs=1, batch_size=20, seed=0)
    seeds = {generator.initial_seed() for generator in used}
    assert len(seeds) == len(used) == 2
    assert not seeds & (of_data | {0, private, public, photographs})


def test_same_seed_same_weights_and_the_global_generator_is_left_alone():
    x, y = records()

    def weights(seed: int) -> torch.Tensor:
        settings = {"epsilon": 3.0, "epochs": 1, "batch_size": 20}
        return fit_privately(linear(), x, y, seed=seed, **settings).net.weight.detach()

    torch.manual_seed(1)
    first, untouched = weights(5), torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), untouched)
    assert torch.equal(weights(5), first)
    assert not torch.equal(weights(6), first)


def test_group_normalisation_takes_the_place_of_batch_normalisation_and_dropout_goes():
    net = with_group_norm(SmallFaceNet(4, size=32, seed=0))
    kinds = [type(module) for module in net.modules()]
    assert nn.GroupNorm in kinds
    assert not {nn.BatchNorm1d, nn.BatchNorm2d} & set(kinds)
    assert all(module.num_groups < module.num_channels for module in net.modules() if isinstance(module, nn.GroupNorm))
    assert all(module.p == 0 for module in net.modules() if isinstance(module, nn.Dropout))


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("layer", "groups"), [
    (nn.BatchNorm2d(16), 4), (nn.BatchNorm2d(6), 3), (nn.BatchNorm2d(7), 1), (nn.BatchNorm1d(64), 4),
    (nn.BatchNorm1d(6), 1), (nn.BatchNorm1d(4), 1), (nn.BatchNorm1d(12), 3)])  # fmt: skip
def test_groups_divide_the_channels_and_have_a_spread(layer, groups):
    normal = with_group_norm(nn.Sequential(layer))[0]
    assert (normal.num_groups, normal.num_channels) == (groups, layer.num_features)
    x = drawn(5, layer.num_features, *([3, 3] if isinstance(layer, nn.BatchNorm2d) else []))
    assert (normal(x).flatten(1).std(dim=0) > 0.1).all(), "records come out alike"


def test_a_batch_norm_of_two_numbers_has_no_group_and_is_refused():
    with pytest.raises(InputError, match=r"^net: got 'BatchNorm1d\(2\)', allowed is 4 channels or more"):
        with_group_norm(nn.BatchNorm1d(2))


def test_activations_in_place_are_no_longer_and_the_net_trains():
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(54, 2))
    x, y = drawn(20, 3, 5, 5), torch.arange(20) % 2
    trained = fit_privately(with_group_norm(net), x, y, epsilon=5.0, epochs=1, batch_size=5)
    assert not trained.net[2].inplace
    assert net[2].inplace


class Unused(nn.Sequential):
    def forward(self, x):
        return self[0](x)


class InPlace(nn.Sequential):
    def forward(self, x):
        y = self[1](self[0](x))
        y += 1
        return y


@pytest.mark.parametrize(("net", "change"), [
    (Unused(nn.Linear(2, 2), nn.Linear(2, 2)), {}), (InPlace(nn.Linear(2, 2), nn.Linear(2, 2)), {}),
    (nn.Sequential(nn.Linear(2, 2)).double(), {}), (nn.Linear(3, 2), {})])  # fmt: skip
def test_a_net_that_cannot_be_trained_record_by_record_is_one_line(net, change):
    x, y = drawn(20, 2), torch.arange(20) % 2
    with pytest.raises(InputError, match=r"^net: got [^\n]*$"):
        fit_privately(net, x, y, epsilon=5.0, epochs=1, batch_size=5, **change)


def test_records_and_weights_that_are_not_finite_are_refused():
    x, y = drawn(20, 2), torch.arange(20) % 2
    with pytest.raises(InputError, match=r"^inputs: got NaN"):
        fit_privately(nn.Linear(2, 2), x.where(torch.arange(20)[:, None] > 0, torch.nan), y, epsilon=5.0)
    with pytest.raises(InputError, match=r"^learning_rate: got"):
        fit_privately(nn.Linear(2, 2), x, y, epsilon=5.0, epochs=9, batch_size=5, learning_rate=3e38, seed=0)
    for label in (-1, 2):
        with pytest.raises(InputError, match=r"^labels: got .*0 to 1, as the net has them"):
            fit_privately(nn.Linear(2, 2), x, torch.full((20,), label), epsilon=5.0)


def test_without_a_seed_two_trainings_have_different_noise():
    def weights():
        torch.manual_seed(0)
        trained = fit_privately(nn.Linear(2, 2), torch.ones(20, 2), torch.arange(20) % 2, epsilon=5.0, epochs=1)
        return trained.net.weight.detach()

    assert not torch.equal(weights(), weights())


@pytest.mark.parametrize(
    "bad",
    [
        {"epsilon": 0}, {"delta": 0.0}, {"epochs": 0}, {"batch_size": 0}, {"clip": -1}, {"learning_rate": 0},
        {"physical_batch": 0}, {"seed": -1}, {"labels": torch.arange(3)}, {"inputs": torch.arange(60)},
    ],
)  # fmt: skip
def test_bad_input_is_one_line_that_names_the_argument(bad):
    x, y = records()
    settings = {"inputs": x, "labels": y, "epsilon": 3.0, "epochs": 1, "batch_size": 20} | bad
    with pytest.raises(InputError, match=f"^{next(iter(bad))}: got ") as caught:
        fit_privately(linear(), **settings)
    assert "\n" not in str(caught.value)


def test_a_net_with_nothing_to_train_is_refused():
    with pytest.raises(InputError, match=r"^net: got 'a net without trainable parameters'"):
        fit_privately(linear().requires_grad_(False), *records(), epsilon=3.0, epochs=1, batch_size=20)
